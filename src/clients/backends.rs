//! The backends of a postmaster, found and signalled without SQL.

use super::children::{Child, PortInodes, among_children, ended};
use super::processes::{Process, ProcessError};
use super::title::Client;
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

/// How far a backend has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has not read its startup packet to the end: its command line is still the
    /// postmaster's, or it still holds the listening sockets, as every backend does for a
    /// moment after the fork, or its title says `initializing`. A SIGTERM now can crash
    /// the whole server on 12 and 13; its socket is to be destroyed instead.
    Startup,
    /// It is past that, and ends in order on SIGTERM.
    Running,
}

/// A session of the postmaster that holds a connection of the port.
#[derive(Debug)]
pub struct Backend {
    /// Its process id, as seen from this host.
    pub pid: i32,
    /// Refers to this very process, and becomes readable when it has ended.
    pub pidfd: OwnedFd,
    /// How far it has come.
    pub stage: Stage,
    /// Its command line.
    pub title: String,
    /// Its client, as the title names it.
    pub client: Client,
    /// The inodes of its connections in the scan.
    pub inodes: Vec<u32>,
    /// Its own end of a connection of the port that is not in the scan: the client has
    /// reset it while a statement runs, or it came after the scan.
    pub unlisted: Option<SocketAddr>,
}

impl Backend {
    /// One whose postmaster has ended. Its connection is not looked for: it is not to be
    /// signalled.
    pub(super) fn of_orphan(orphan: Child) -> Backend {
        Backend::new(orphan, &PortInodes::default(), Vec::new(), None)
    }

    /// Whether its title says that it serves a standby (or another receiver of the log):
    /// `postgres: walsender …`, or `postgres: main: walsender …` with a `cluster_name`.
    #[must_use]
    pub fn is_walsender(&self) -> bool {
        self.title.starts_with("postgres: ") && self.title.contains(": walsender ")
    }

    /// Whether its process has ended.
    ///
    /// # Errors
    /// What the kernel says of the poll.
    pub fn has_ended(&self) -> io::Result<bool> {
        ended(self.pidfd.as_fd())
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
            stage: if in_startup {
                Stage::Startup
            } else {
                Stage::Running
            },
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
/// Each was looked at after its pidfd had been opened and was alive afterwards, so pid,
/// title and sockets are those of the process that the pidfd refers to. One that is just
/// ending may be missing; its socket still has an inode (see [`Socket::is_unaccepted`](super::Socket::is_unaccepted)).
///
/// # Errors
/// [`ProcessError::Privilege`], and what the kernel says of `/proc` and pidfds.
pub fn backends(postmaster: &Process, inodes: &PortInodes) -> Result<Vec<Backend>, ProcessError> {
    among_children(postmaster, |child| {
        let held = child.connections(inodes);
        if held.is_empty() || !child.is_alive()? {
            return Ok(None);
        }
        Ok(Some(Backend::new(child, inodes, held, None)))
    })
}

/// The sessions of a postmaster that hold no connection of the scan, local ones over TCP
/// included: those whose title names a TCP client, and those that hold a TCP socket of the
/// port, which pidfd_getfd(2) tells (Linux 5.6; without it, titles alone).
///
/// # Errors
/// As [`backends`].
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

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signalled {
    /// SIGTERM was sent.
    Sent,
    /// The process had ended.
    Gone,
}

/// Why a backend was not signalled.
#[derive(Debug, thiserror::Error)]
pub enum SignalError {
    /// SIGTERM in startup can crash the server on 12 and 13.
    #[error("backend {0} is still in startup, where it is never signalled")]
    InStartup(i32),
    /// Only its title says that it has a client.
    #[error("process {0} was not seen to hold a connection of the port, so it is not signalled")]
    NoConnection(i32),
    /// `CAP_KILL` is missing.
    #[error("signalling backend {0} needs CAP_KILL")]
    Privilege(i32),
    /// Anything else that the kernel said.
    #[error("cannot signal backend {0}: {1}")]
    Kernel(i32, #[source] io::Error),
}

/// Sends SIGTERM, the only signal there is here.
///
/// # Errors
/// A backend in startup and one without a connection are refused; else what the kernel says.
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
