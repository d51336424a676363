//! Opens the Unix sockets that a postmaster listens on, in such a way that nobody can put
//! another socket in their place, and connects to them as their owner.

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
use tokio::net::UnixStream;

/// Opens a socket's file only to refer to it.
const NAME_ONLY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

#[derive(Debug)]
pub(super) struct UnixSocket {
    at: At,
    /// Its path, for messages.
    pub(super) path: PathBuf,
    /// The server is to see the effective ids of this user.
    pub(super) owner: u32,
    group: u32,
}

#[derive(Debug)]
enum At {
    /// The socket's inode, which stays the same whatever happens to its name.
    File(OwnedFd),
    /// A name in the abstract namespace of this network namespace.
    Abstract(Vec<u8>),
}

/// The Unix sockets through which the server may be reached, best first.
///
/// If none can be opened, the error is that of the first.
pub(super) fn unix_sockets(target: &Target) -> Result<Vec<UnixSocket>, SessionError> {
    let (pid, port) = (target.postmaster, target.port);
    if let Some(directory) = &target.access.socket_dir {
        let path = directory.join(format!(".s.PGSQL.{port}"));
        let file = fs::open(&path, NAME_ONLY, Mode::empty());
        return Ok(vec![UnixSocket::of_file(path, file)?]);
    }
    let addresses = procfs::listening_sockets(pid, port)
        .map_err(|source| SessionError::Postmaster { pid, source })?;
    let mut sockets = Vec::new();
    let mut first_error = None;
    for address in addresses {
        match UnixSocket::open(pid, address) {
            Ok(socket) => sockets.push(socket),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    match first_error {
        _ if !sockets.is_empty() => Ok(sockets),
        Some(error) => Err(error),
        None => Err(SessionError::NoSocket { pid, port }),
    }
}

impl UnixSocket {
    /// Opens the socket at an address that the postmaster `pid` listens on.
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
        Ok(Self { at: At::File(file), path, owner: stat.st_uid, group: stat.st_gid })
    }

    /// Tries to connect once, without waiting. Only during the connect are this thread's
    /// effective ids the owner's. Then asks the kernel who called listen(2) (`SO_PEERCRED`,
    /// unix(7)). `None` if the queue of connections that wait to be accepted is full.
    pub(super) fn connect(&self, postmaster: i32) -> Result<Option<UnixStream>, SessionError> {
        let failed = |source: io::Error| SessionError::Connect {
            to: self.path.display().to_string(),
            source,
        };
        let refused = |errno: Errno| failed(errno.into());
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(refused)?;
        let address = match &self.at {
            // Through the descriptor: by now the path could lead elsewhere, and it could be longer
            // than the 107 bytes of an address.
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
            // A Unix socket never says EINPROGRESS: it says EAGAIN and has done nothing.
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(errno) => return Err(refused(errno)),
        }
        let peer = getsockopt(&socket, PeerCredentials).map_err(|errno| failed(errno.into()))?;
        if peer.pid() != postmaster {
            return Err(SessionError::WrongPeer {
                path: self.path.clone(),
                peer: peer.pid(),
                postmaster,
            });
        }
        let stream = UnixStream::from_std(socket.into()).map_err(failed)?;
        Ok(Some(stream))
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
    match fs::openat2(&directory, path, NAME_ONLY, Mode::empty(), ResolveFlags::IN_ROOT) {
        // Linux before 5.6. If both roots are the same, so is the result; if not, the check of
        // the peer will notice.
        Err(Errno::NOSYS) => {
            let beneath = path.strip_prefix("/").unwrap_or(path);
            fs::openat(&directory, beneath, NAME_ONLY, Mode::empty())
        }
        opened => opened,
    }
}
