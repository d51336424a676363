//! Finds the process that listens on a port.

use super::processes::{self, Process, ProcessError};
use super::sockets::Socket;
use crate::sys::proc::{self, Stat};
use std::collections::{HashMap, HashSet};
use std::io;

/// Finds the process of each listening socket, in their order; for PostgreSQL it is the
/// postmaster. `None` if no process that holds the socket can be seen, as from outside of its
/// pid namespace.
///
/// Backends that are just starting hold the listening sockets too. So this finds the holder
/// whose parent does not hold the socket. It fails with [`ProcessError::Privilege`] only if a
/// socket has no visible holder and some process could not be inspected.
pub fn listener_processes(listening: &[Socket]) -> Result<Vec<Option<Process>>, ProcessError> {
    let mut search = Search {
        missing: listening.iter().map(|socket| socket.inode).filter(|inode| *inode != 0).collect(),
        ..Search::default()
    };
    search.run(&listening.iter().map(|socket| socket.uid).collect())?;
    let mut processes = HashMap::new();
    for pid in search.found.values() {
        if !processes.contains_key(pid) {
            processes.insert(*pid, Process::read(*pid)?);
        }
    }
    let process = |socket: &Socket| processes.get(search.found.get(&socket.inode)?)?.clone();
    Ok(listening.iter().map(process).collect())
}

/// Looks for the holders of inodes.
#[derive(Default)]
struct Search {
    missing: HashSet<u32>,
    found: HashMap<u32, i32>,
    looked_at: HashSet<i32>,
    denied: Option<i32>,
}

impl Search {
    /// Looks at the most likely processes first, since there may be thousands with thousands of
    /// descriptors: those of the socket's user with PostgreSQL's name and no parent of that name.
    fn run(&mut self, users: &HashSet<u32>) -> Result<(), ProcessError> {
        let pids = processes::all()?;
        let mut of_users = Vec::new();
        for pid in &pids {
            if self.missing.is_empty() {
                return Ok(());
            }
            // The directory's owner is the effective user, or root for a process that has changed
            // its user; such processes come last.
            match proc::owner(*pid) {
                Ok(owner) if users.contains(&owner) => of_users.push(*pid),
                _ => continue,
            }
            if is_head_of_family(*pid) {
                self.look_at(*pid)?;
            }
        }
        for pid in of_users.into_iter().chain(pids) {
            if self.missing.is_empty() {
                return Ok(());
            }
            self.look_at(pid)?;
        }
        match self.denied {
            Some(pid) if !self.missing.is_empty() => Err(ProcessError::Privilege(pid)),
            _ => Ok(()),
        }
    }

    fn look_at(&mut self, pid: i32) -> Result<(), ProcessError> {
        if !self.looked_at.insert(pid) {
            return Ok(());
        }
        let held = self.held(pid)?;
        for inode in held {
            if self.missing.remove(&inode) {
                let holder = self.topmost(pid, inode)?;
                self.found.insert(inode, holder);
            }
        }
        Ok(())
    }

    /// Climbs from a holder to the one whose parent does not hold the socket.
    fn topmost(&mut self, pid: i32, inode: u32) -> Result<i32, ProcessError> {
        let mut holder = pid;
        while let Some(stat) = Stat::read(holder).map_err(ProcessError::of(holder))? {
            if stat.parent <= 0 || !self.held(stat.parent)?.contains(&inode) {
                break;
            }
            holder = stat.parent;
        }
        Ok(holder)
    }

    /// The inodes of a process's sockets; none if it is gone or may not be inspected.
    fn held(&mut self, pid: i32) -> Result<Vec<u32>, ProcessError> {
        match proc::sockets(pid) {
            Ok(sockets) => Ok(sockets.into_iter().flatten().map(|(_, inode)| inode).collect()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.denied.get_or_insert(pid);
                Ok(Vec::new())
            }
            Err(source) => Err(ProcessError::Read { pid, source }),
        }
    }
}

/// Whether it is named like a postmaster and its parent is not.
fn is_head_of_family(pid: i32) -> bool {
    let is_postgres =
        |stat: &Stat| matches!(stat.name.as_str(), "postgres" | "postmaster" | "edb-postgres");
    let Ok(Some(stat)) = Stat::read(pid) else {
        return false;
    };
    is_postgres(&stat)
        && !matches!(Stat::read(stat.parent), Ok(Some(parent)) if is_postgres(&parent))
}
