//! The children of a postmaster, found in `/proc` and held by pidfds.

use super::processes::{self, Process, ProcessError};
use super::sockets::Socket;
use crate::sys::proc::{self, Stat};
use rustix::io::Errno;
use rustix::net::{SocketType, getsockname, sockopt};
use rustix::process::{ForeignRawFd, PidfdGetfdFlags, pidfd_getfd};
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// How often the list of children is read again because some ended meanwhile, before this looks
/// at all processes instead.
const CHILDREN_ATTEMPTS: usize = 6;

/// One thread looks at this many children. Each takes about 0.1 ms; the kernel needs most of
/// that to list its descriptors.
const FEW_CHILDREN: usize = 50;

/// The sockets of one port, by inode.
#[derive(Debug, Clone, Default)]
pub struct PortInodes {
    listening: HashSet<u32>,
    connected: HashSet<u32>,
}

impl PortInodes {
    /// From two scans of a port.
    pub fn new(listening: &[Socket], connected: &[Socket]) -> Self {
        let inodes = |sockets: &[Socket]| {
            let inodes = sockets.iter().map(|socket| socket.inode);
            inodes.filter(|inode| *inode != 0).collect()
        };
        Self { listening: inodes(listening), connected: inodes(connected) }
    }
}

/// A child of the postmaster, or an orphan, that runs the same file.
pub(super) struct Child {
    pub pid: i32,
    pub pidfd: OwnedFd,
    pub title: String,
    pub has_title: bool,
    /// Its command line.
    line: Vec<u8>,
    /// Descriptors and inodes.
    sockets: Vec<(i32, u32)>,
}

impl Child {
    /// `None` if it is not, or no longer, a child that runs the same file.
    fn read(pid: i32, postmaster: &Process, command_line: &[u8]) -> io::Result<Option<Self>> {
        let child = Self::read_any(pid, postmaster, |parent| parent == postmaster.pid)?;
        Ok(child.map(|child| Self { has_title: child.line != command_line, ..child }))
    }

    /// A process with any parent that runs the postmaster's file and has set its title.
    pub fn read_orphan(pid: i32, postmaster: &Process) -> io::Result<Option<Self>> {
        let child = Self::read_any(pid, postmaster, |_| true)?;
        Ok(child.filter(|child| child.title.starts_with("postgres: ")))
    }

    fn read_any(
        pid: i32,
        postmaster: &Process,
        is_parent: impl Fn(i32) -> bool,
    ) -> io::Result<Option<Self>> {
        // First the pidfd: everything below is then about the process it refers to, or
        // that process is dead at the end.
        let Some(pidfd) = proc::pidfd(pid)? else {
            return Ok(None);
        };
        let Some(stat) = Stat::read(pid)? else {
            return Ok(None);
        };
        if !is_parent(stat.parent) || stat.is_dead() {
            return Ok(None);
        }
        if proc::executable(pid)? != Some(postmaster.executable) {
            return Ok(None);
        }
        let Some(sockets) = proc::sockets(pid)? else {
            return Ok(None);
        };
        let Some(line) = proc::command_line(pid)? else {
            return Ok(None);
        };
        let title = String::from_utf8_lossy(&line).replace('\0', " ");
        Ok(Some(Self {
            pid,
            pidfd,
            title: title.trim_end().to_owned(),
            has_title: true,
            line,
            sockets,
        }))
    }

    pub fn connections(&self, inodes: &PortInodes) -> Vec<u32> {
        let held = self.sockets.iter().map(|(_, inode)| *inode);
        held.filter(|inode| inodes.connected.contains(inode)).collect()
    }

    pub fn holds_listener(&self, inodes: &PortInodes) -> bool {
        self.sockets.iter().any(|(_, inode)| inodes.listening.contains(inode))
    }

    /// Its own end of a TCP connection of the port that the scan does not list.
    pub fn unlisted(&self, port: u16, inodes: &PortInodes) -> io::Result<Option<SocketAddr>> {
        for (descriptor, inode) in &self.sockets {
            if inodes.listening.contains(inode) {
                continue;
            }
            let flags = PidfdGetfdFlags::empty();
            let socket = match pidfd_getfd(&self.pidfd, *descriptor as ForeignRawFd, flags) {
                Ok(socket) => socket,
                // Closed meanwhile, or the process has ended.
                Err(Errno::BADF | Errno::SRCH) => continue,
                Err(Errno::NOSYS) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            // After the client has reset a socket, it has no peer address but still its own.
            let own = getsockname(&socket).ok().and_then(|own| SocketAddr::try_from(own).ok());
            let is_stream = sockopt::socket_type(&socket) == Ok(SocketType::STREAM);
            if let (true, Some(own)) = (is_stream, own) {
                if own.port() == port {
                    let own = SocketAddr::new(own.ip().to_canonical(), port);
                    return Ok(Some(own));
                }
            }
        }
        Ok(None)
    }

    pub fn is_alive(&self) -> io::Result<bool> {
        Ok(!proc::has_ended(&self.pidfd)?)
    }
}

/// Runs `look` on the postmaster's children that run the same file, and returns what it finds in
/// the order of their list.
pub(super) fn among_children<T: Send>(
    postmaster: &Process,
    look: impl Fn(Child) -> io::Result<Option<T>> + Sync,
) -> Result<Vec<T>, ProcessError> {
    let command_line =
        proc::command_line(postmaster.pid).map_err(ProcessError::of(postmaster.pid))?;
    let Some(command_line) = command_line else {
        return Ok(Vec::new()); // The postmaster is gone.
    };
    let pids = children(postmaster.pid)?;
    let look_at = |pids: &[i32]| {
        let mut found = Vec::new();
        for pid in pids {
            let child = Child::read(*pid, postmaster, &command_line);
            let looked = child.and_then(|child| child.map_or(Ok(None), &look));
            found.extend(looked.map_err(ProcessError::of(*pid))?);
        }
        Ok(found)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = pids.len().div_ceil(threads).max(FEW_CHILDREN);
    // These threads have this thread's network namespace and capabilities.
    std::thread::scope(|scope| {
        let (first, others) = pids.split_at(share.min(pids.len()));
        let others: Vec<_> =
            others.chunks(share).map(|share| scope.spawn(|| look_at(share))).collect();
        let mut found = look_at(first)?;
        for thread in others {
            let more = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            found.extend(more?);
        }
        Ok(found)
    })
}

/// All children of a process.
///
/// `/proc/PID/task/TID/children` (`CONFIG_PROC_CHILDREN`) misses children if others end while it
/// is read (proc(5)). If two readings are the same, no child ended in between, so none was
/// missed. If there is no quiet moment, this looks at every process.
fn children(pid: i32) -> Result<Vec<i32>, ProcessError> {
    let mut before = None;
    for _ in 0..CHILDREN_ATTEMPTS {
        let Some(now) = proc::listed_children(pid).map_err(ProcessError::of(pid))? else {
            break;
        };
        if before.as_ref() == Some(&now) {
            return Ok(now);
        }
        before = Some(now);
    }
    let mut children = Vec::new();
    for candidate in processes::all()? {
        let stat = Stat::read(candidate).map_err(ProcessError::of(candidate))?;
        if stat.is_some_and(|stat| stat.parent == pid) {
            children.push(candidate);
        }
    }
    Ok(children)
}

/// A pidfd of the process `pid` of `pg_stat_activity`; `None` if it is not a child of the
/// postmaster that runs the same file.
///
/// The checks come after the descriptor was opened: if they hold, it refers to that child, or
/// to one that has ended.
pub fn pidfd_of_child(postmaster: &Process, pid: i32) -> Result<Option<OwnedFd>, ProcessError> {
    let open = || {
        let Some(pidfd) = proc::pidfd(pid)? else {
            return Ok(None);
        };
        Ok(is_child(postmaster, pid)?.then_some(pidfd))
    };
    open().map_err(ProcessError::of(pid))
}

/// Whether a child of the postmaster that runs the same file holds a socket.
pub fn child_holds(postmaster: &Process, pid: i32, inode: u32) -> Result<bool, ProcessError> {
    let look = || {
        if !is_child(postmaster, pid)? {
            return Ok(false);
        }
        let held = proc::sockets(pid)?.unwrap_or_default();
        Ok(held.iter().any(|(_, held)| *held == inode))
    };
    look().map_err(ProcessError::of(pid))
}

fn is_child(postmaster: &Process, pid: i32) -> io::Result<bool> {
    let is_child = Stat::read(pid)?.is_some_and(|stat| stat.parent == postmaster.pid);
    Ok(is_child && proc::executable(pid)? == Some(postmaster.executable))
}
