//! Finds and signals the backends of a postmaster without SQL.

use super::children::{Child, PortInodes, among_children};
use super::processes::{self, Process, ProcessError};
use super::title::Client;
use crate::sys::proc::{self, Stat};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has not read its whole startup packet: its command line is still the postmaster's, or
    /// it still holds the listening sockets (as every backend does for a moment after the fork),
    /// or its title says `initializing`. Now a SIGTERM can crash the whole server on 12 and 13;
    /// its socket must be destroyed instead.
    Startup,
    /// It ends in order on SIGTERM.
    Running,
}

/// A session of the postmaster that holds a connection of the port.
#[derive(Debug)]
pub struct Backend {
    /// Its pid on this host.
    pub pid: i32,
    /// Becomes readable when the process has ended.
    pub pidfd: OwnedFd,
    pub stage: Stage,
    /// Its command line.
    pub title: String,
    /// As its title names it.
    pub client: Client,
    /// The inodes of its connections in the scan.
    pub inodes: Vec<u32>,
    /// Its own end of a connection of the port that is not in the scan: either the client has
    /// reset it while a statement runs, or it is newer than the scan.
    pub unlisted: Option<SocketAddr>,
}

impl Backend {
    /// Whether its title says that it serves a standby (or another receiver of the WAL):
    /// `postgres: walsender …`, or `postgres: main: walsender …` with a `cluster_name`.
    pub fn is_walsender(&self) -> bool {
        self.title.starts_with("postgres: ") && self.title.contains(": walsender ")
    }

    pub fn has_ended(&self) -> io::Result<bool> {
        proc::has_ended(&self.pidfd)
    }

    fn new(
        child: Child,
        inodes: &PortInodes,
        held: Vec<u32>,
        unlisted: Option<SocketAddr>,
    ) -> Backend {
        let in_startup = !child.has_title
            || child.holds_listener(inodes)
            || child.title.ends_with(" initializing");
        Backend {
            pid: child.pid,
            stage: if in_startup { Stage::Startup } else { Stage::Running },
            client: Client::from_title(&child.title),
            pidfd: child.pidfd,
            title: child.title,
            inodes: held,
            unlisted,
        }
    }
}

/// The backends of a postmaster that hold a connection of the scan.
///
/// Each was examined after its pidfd was opened, and was alive afterwards: so pid, title and
/// sockets are those of the process that the pidfd refers to. A backend that is just ending may
/// be missing; its socket still has an inode (see
/// [`Socket::is_unaccepted`](super::Socket::is_unaccepted)).
pub fn backends(postmaster: &Process, inodes: &PortInodes) -> Result<Vec<Backend>, ProcessError> {
    among_children(postmaster, |child| {
        let held = child.connections(inodes);
        if held.is_empty() || !child.is_alive()? {
            return Ok(None);
        }
        Ok(Some(Backend::new(child, inodes, held, None)))
    })
}

/// The sessions of a postmaster that hold no connection of the scan, including local ones over
/// TCP: those whose title names a TCP client, and those that hold a TCP socket of the port.
/// pidfd_getfd(2) finds the latter (from Linux 5.6 on; before, only titles count).
pub fn sessions_without_socket(
    postmaster: &Process,
    port: u16,
    inodes: &PortInodes,
) -> Result<Vec<Backend>, ProcessError> {
    among_children(postmaster, |child| {
        if !child.connections(inodes).is_empty() {
            return Ok(None);
        }
        let unlisted = child.unlisted(port, inodes)?;
        let names_client = matches!(Client::from_title(&child.title), Client::Address { .. });
        if (unlisted.is_none() && !names_client) || !child.is_alive()? {
            return Ok(None);
        }
        Ok(Some(Backend::new(child, inodes, Vec::new(), unlisted)))
    })
}

/// The sessions and other children that a postmaster has left behind, if it has ended: a backend
/// in the middle of a statement does not notice that, and goes on with its locks.
///
/// These are the processes that run the postmaster's file, have set their title and are no
/// children of a process that runs the same file. One may belong to another server that was
/// killed: nobody can tell any more, so none of them may ever be signalled.
pub fn orphans(postmaster: &Process) -> Result<Vec<Backend>, ProcessError> {
    let of_postmaster = ProcessError::of(postmaster.pid);
    if runs(postmaster.pid, postmaster).map_err(of_postmaster)? {
        return Ok(Vec::new());
    }
    let mut orphans = Vec::new();
    for pid in processes::all()? {
        let orphan = find_orphan(pid, postmaster).map_err(ProcessError::of(pid))?;
        orphans.extend(orphan);
    }
    Ok(orphans)
}

fn find_orphan(pid: i32, postmaster: &Process) -> io::Result<Option<Backend>> {
    if !runs(pid, postmaster)? {
        return Ok(None);
    }
    let Some(orphan) = Child::read_orphan(pid, postmaster)? else {
        return Ok(None);
    };
    let has_parent = match Stat::read(pid)? {
        Some(stat) => runs(stat.parent, postmaster)?,
        None => return Ok(None),
    };
    if has_parent || !orphan.is_alive()? {
        return Ok(None);
    }
    // It must not be signalled, so its connections are not looked up.
    Ok(Some(Backend::new(orphan, &PortInodes::default(), Vec::new(), None)))
}

/// Whether the process is alive and runs the postmaster's file.
fn runs(pid: i32, postmaster: &Process) -> io::Result<bool> {
    let alive = Stat::read(pid)?.is_some_and(|stat| !stat.is_dead());
    Ok(alive && proc::executable(pid)? == Some(postmaster.executable))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signalled {
    Sent,
    /// The process had ended.
    Gone,
}

/// Why a backend was not signalled.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    #[error("backend {0} is still in startup, where it is never signalled")]
    InStartup(i32),
    /// Only its title says that it has a client.
    #[error("process {0} was not seen to hold a connection of the port, so it is not signalled")]
    NoConnection(i32),
    #[error("signalling backend {0} needs CAP_KILL")]
    Privilege(i32),
    #[error("cannot signal backend {0}: {1}")]
    Kernel(i32, #[source] io::Error),
}

/// Sends SIGTERM; this is the only signal that backends get.
///
/// A backend in startup and one without a connection are refused.
pub fn signal(backend: &Backend) -> Result<Signalled, SignalError> {
    if backend.stage == Stage::Startup {
        return Err(SignalError::InStartup(backend.pid));
    }
    if backend.inodes.is_empty() && backend.unlisted.is_none() {
        return Err(SignalError::NoConnection(backend.pid));
    }
    // A process that has ended but was not reaped yet takes signals without an error.
    let kernel = |error| SignalError::Kernel(backend.pid, error);
    if backend.has_ended().map_err(kernel)? {
        return Ok(Signalled::Gone);
    }
    match pidfd_send_signal(&backend.pidfd, Signal::TERM) {
        Ok(()) => Ok(Signalled::Sent),
        Err(Errno::SRCH) => Ok(Signalled::Gone),
        Err(Errno::PERM) => Err(SignalError::Privilege(backend.pid)),
        Err(error) => Err(kernel(error.into())),
    }
}
