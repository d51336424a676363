//! The door to a server: a Unix socket that its postmaster listens on, opened without a
//! chance to be led elsewhere, and one attempt to connect to it as its owner.

use super::procfs::{self, Address};
use super::{SessionError, Target};
use crate::sys::privilege::EffectiveIds;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A socket's file is opened to be named, not to be read.
const NAME_ONLY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// One Unix socket of the server.
#[derive(Debug)]
pub(super) struct Door {
    at: At,
    /// Its path, for messages.
    pub(super) path: PathBuf,
    /// Whose effective ids the server is to see.
    pub(super) owner: u32,
    group: u32,
}

#[derive(Debug)]
enum At {
    /// The socket's inode; whatever happens to its name, this stays the same.
    File(OwnedFd),
    /// A name in the abstract namespace of this network namespace.
    Abstract(Vec<u8>),
}

/// What came of one attempt.
pub(super) enum Attempt {
    /// A connected, non-blocking socket whose peer is the postmaster.
    Connected(OwnedFd),
    /// The queue of connections that wait to be accepted is full.
    QueueFull,
}

/// The Unix sockets through which the server may be reached, best first.
///
/// # Errors
/// [`SessionError::NoSocket`], or the error of the first one if none can be opened.
pub(super) fn doors(target: &Target) -> Result<Vec<Door>, SessionError> {
    let (pid, port) = (target.postmaster, target.port);
    if let Some(directory) = &target.access.socket_dir {
        let path = directory.join(format!(".s.PGSQL.{port}"));
        let file = fs::open(&path, NAME_ONLY, Mode::empty());
        return Ok(vec![Door::of_file(path, file)?]);
    }
    let addresses = procfs::listening_sockets(pid, port)
        .map_err(|source| SessionError::Postmaster { pid, source })?;
    let mut doors = Vec::new();
    let mut first_error = None;
    for address in addresses {
        match Door::open(pid, address) {
            Ok(door) => doors.push(door),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    match first_error {
        _ if !doors.is_empty() => Ok(doors),
        Some(error) => Err(error),
        None => Err(SessionError::NoSocket { pid, port }),
    }
}

impl Door {
    /// Opens the door at an address that the postmaster `pid` uses.
    fn open(pid: i32, address: Address) -> Result<Self, SessionError> {
        match address {
            Address::Path(path) => {
                let file = open_as_process(pid, &path);
                Self::of_file(path, file)
            }
            Address::Abstract(name) => {
                let (owner, group) = procfs::effective_ids(pid)
                    .map_err(|source| SessionError::Postmaster { pid, source })?;
                Ok(Self {
                    path: format!("@{}", String::from_utf8_lossy(&name)).into(),
                    at: At::Abstract(name),
                    owner,
                    group,
                })
            }
        }
    }

    fn of_file(path: PathBuf, file: rustix::io::Result<OwnedFd>) -> Result<Self, SessionError> {
        let opened = file.and_then(|file| Ok((fs::fstat(&file)?, file)));
        let (stat, file) = match opened {
            Ok(opened) => opened,
            Err(errno) => {
                let source = errno.into();
                return Err(SessionError::OpenSocket { path, source });
            }
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
            return Err(SessionError::NotASocket { path });
        }
        Ok(Self {
            at: At::File(file),
            path,
            owner: stat.st_uid,
            group: stat.st_gid,
        })
    }

    /// Tries to connect, once and without waiting, with this thread's effective ids switched to
    /// the owner for the connect alone; then asks the kernel who called listen(2)
    /// (`SO_PEERCRED`, unix(7)).
    ///
    /// # Errors
    /// [`SessionError::SwitchIds`], [`SessionError::Connect`], [`SessionError::WrongPeer`].
    pub(super) fn connect(&self, postmaster: i32) -> Result<Attempt, SessionError> {
        let refused = |errno: Errno| SessionError::Connect {
            to: self.path.display().to_string(),
            source: errno.into(),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(refused)?;
        let address = match &self.at {
            // Through the descriptor: a path could lead elsewhere by now, and could be longer
            // than the 107 bytes that an address takes.
            At::File(file) => SocketAddrUnix::new(format!("/proc/self/fd/{}", file.as_raw_fd())),
            At::Abstract(name) => SocketAddrUnix::new_abstract_name(name),
        };
        let address = address.map_err(refused)?;

        let ids = EffectiveIds::switch(self.owner, self.group).map_err(|source| {
            let (path, uid) = (self.path.clone(), self.owner);
            SessionError::SwitchIds { path, uid, source }
        })?;
        let connected = net::connect(&socket, &address);
        drop(ids);

        match connected {
            Ok(()) => {}
            // A Unix socket does not say EINPROGRESS: it says EAGAIN and has done nothing.
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Attempt::QueueFull),
            Err(errno) => return Err(refused(errno)),
        }
        let peer = getsockopt(&socket, PeerCredentials).map_err(|errno| SessionError::Connect {
            to: self.path.display().to_string(),
            source: errno.into(),
        })?;
        if peer.pid() != postmaster {
            return Err(SessionError::WrongPeer {
                path: self.path.clone(),
                peer: peer.pid(),
                postmaster,
            });
        }
        Ok(Attempt::Connected(socket))
    }
}

/// Opens a path as the process sees it: an absolute one under its root directory (a private
/// /tmp, a container), a relative one under its working directory.
fn open_as_process(pid: i32, path: &Path) -> rustix::io::Result<OwnedFd> {
    let start = if path.is_absolute() { "root" } else { "cwd" };
    let directory = fs::open(
        format!("/proc/{pid}/{start}"),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    if path.is_relative() {
        return fs::openat(&directory, path, NAME_ONLY, Mode::empty());
    }
    // Debian's /var/run is a link to the absolute path /run: it has to be followed under that
    // root, not under ours.
    match fs::openat2(
        &directory,
        path,
        NAME_ONLY,
        Mode::empty(),
        ResolveFlags::IN_ROOT,
    ) {
        // Linux before 5.6. Where the roots are the same, so is the result; where not, the
        // check of the peer finds out.
        Err(Errno::NOSYS) => {
            let beneath = path.strip_prefix("/").unwrap_or(path);
            fs::openat(&directory, beneath, NAME_ONLY, Mode::empty())
        }
        opened => opened,
    }
}

/// The socket as one of the runtime's.
pub(super) fn stream(socket: OwnedFd) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::from_std(socket.into())
}
