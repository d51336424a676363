//! One lock for each network namespace and port, so that two calls never change the same cordon
//! at once. It is held while the kernel is changed, not during a drain.

use super::proc;
use crate::failure::{Explain, Explanation, Kind};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where locks and the guard's liveness live (ARCHITECTURE.md, promise 7).
pub const DIRECTORY: &str = "/run/pgcordon";

/// How long a call waits for another call. Changing the kernel takes milliseconds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

const LOCK_RETRY: Duration = Duration::from_millis(5);

/// A lock on one port of this network namespace. It ends when it is dropped or the process
/// ends.
#[derive(Debug)]
pub struct PortLock(#[expect(dead_code, reason = "held, not used")] Flock<File>);

impl PortLock {
    /// Writes this process's pid into it.
    fn signed(mut locked: Flock<File>) -> Self {
        // Only for the message of those who wait: a full /run must not matter.
        let _ = sign(&mut locked);
        Self(locked)
    }
}

/// Why a port could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("cannot use {DIRECTORY} for locks: {0}")]
    Directory(#[source] io::Error),
    /// Another user could interfere.
    #[error("{DIRECTORY} is not a directory that only root can write")]
    Untrusted,
    #[error("cannot open the lock {}: {source}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error(
        "port {port} is being changed by {holder}, for more than {} s",
        LOCK_TIMEOUT.as_secs()
    )]
    Taken { port: u16, holder: String, pid: Option<u32> },
}

/// Locks ports in ascending order, so that two calls cannot wait for each other.
///
/// After five seconds of waiting, the error says who holds the lock.
pub fn ports(ports: &[u16]) -> Result<Vec<PortLock>, LockError> {
    let mut sorted = ports.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.into_iter().map(|port| self::port(port, || ())).collect()
}

/// The inode of this thread's network namespace: each namespace has its own ports.
pub fn network_namespace() -> io::Result<u64> {
    proc::namespace("thread-self", "net")
}

fn prepare(directory: &Path) -> Result<(), LockError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(LockError::Directory(error));
        }
        _ => {}
    }
    let found = std::fs::symlink_metadata(directory).map_err(LockError::Directory)?;
    match found.is_dir() && found.uid() == 0 && found.mode() & 0o022 == 0 {
        true => Ok(()),
        false => Err(LockError::Untrusted),
    }
}

/// Opens a file, and creates it if it does not exist.
pub fn open(path: &Path) -> Result<File, LockError> {
    let open = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(nix::libc::O_NOFOLLOW)
        .open(path);
    open.map_err(|source| LockError::Open { path: path.to_owned(), source })
}

fn try_port(port: u16) -> Result<Option<PortLock>, LockError> {
    let path = path_of(port, "lock")?;
    match Flock::lock(open(&path)?, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => Ok(Some(PortLock::signed(locked))),
        Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => Ok(None),
        Err((_, error)) => Err(LockError::Open { path, source: error.into() }),
    }
}

/// The file of a port in this network namespace.
pub fn path_of(port: u16, kind: &str) -> Result<PathBuf, LockError> {
    let directory = Path::new(DIRECTORY);
    prepare(directory)?;
    let namespace = network_namespace().map_err(LockError::Directory)?;
    Ok(directory.join(format!("{namespace}-{port}.{kind}")))
}

/// Locks a port, and does something `meanwhile` again and again. Any error but
/// [`LockError::Taken`] says that no lock can be had here at all.
pub fn port(port: u16, mut meanwhile: impl FnMut()) -> Result<PortLock, LockError> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        if let Some(lock) = try_port(port)? {
            return Ok(lock);
        }
        if Instant::now() >= deadline {
            let pid = signer(&mut open(&path_of(port, "lock")?)?);
            let holder = match pid {
                Some(pid) => format!("pgcordon process {pid}"),
                None => "another pgcordon process".to_owned(),
            };
            return Err(LockError::Taken { port, holder, pid });
        }
        std::thread::sleep(LOCK_RETRY);
        meanwhile();
    }
}

/// Writes into a lock's file which process holds it.
pub fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

/// The process that has signed a lock's file.
pub fn signer(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

impl Explain for LockError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Taken { .. } => {
                Kind::Locked.hint("wait for the other call, or end it; see pgcordon status")
            }
            Self::Directory(_) | Self::Untrusted | Self::Open { .. } => Kind::Lock.hint(
                "/run must be writable for root; the directory /run/pgcordon must belong to root with mode 0700",
            ),
        }
    }
}
