//! The guard's liveness: a lock that a guard holds as long as it lives, on a file that names
//! it. Whoever looks asks the kernel for the lock and leaves it alone.

use crate::failure::lacks_descriptors;
use crate::sys::lock::{DIRECTORY, LockError, network_namespace, open, path_of, sign, signer};
use crate::sys::proc;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

/// How often the holder of a taken lock is read until it can be seen.
const HOLDER_READS: usize = 20;
const HOLDER_RETRY: Duration = Duration::from_millis(5);

pub const NAME: &str = "pgcordon-guard";

/// A guard's own lock; gone when it is dropped, or with the process.
#[derive(Debug)]
pub struct GuardLock(#[expect(dead_code, reason = "held, not used")] File);

impl GuardLock {
    /// Makes this process the guard of a port.
    pub fn take(port: u16) -> Result<Self, LockError> {
        let path = path_of(port, "guard")?;
        let mut file = open(&path)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => {}
            Err(Errno::EAGAIN | Errno::EACCES) => {
                let pid = signer(&mut file);
                let holder = match pid {
                    Some(pid) => format!("the guard {pid}"),
                    None => "another guard".to_owned(),
                };
                return Err(LockError::Taken { port, holder, pid });
            }
            Err(error) => return Err(LockError::Open { path, source: error.into() }),
        }
        // Where /run is full the lock tells that there is a guard, and the window's comment who.
        if let Err(error) = sign(&mut file) {
            tracing::debug!(%error, "the guard's lock does not name it");
        }
        Ok(Self(file))
    }
}

/// An exclusive lock from the first byte to the last.
fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// The process that guards a port of this network namespace, while it is alive: the one that
/// holds the lock, or, where there is no lock file, the one that is `named` by the window.
/// It fails where this process has no file descriptor left, or where the lock is held by a process
/// that is not to be seen from here, as in another PID namespace.
pub fn guardian(port: u16, named: Option<u32>) -> io::Result<Option<u32>> {
    let namespace = network_namespace()?;
    let path = Path::new(DIRECTORY).join(format!("{namespace}-{port}.guard"));
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if lacks_descriptors(&error) => return Err(error),
        Err(_) => return as_guard(named, port, namespace),
    };
    for _ in 0..HOLDER_READS {
        let mut lock = whole_file();
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut lock))?;
        if lock.l_type == libc::F_UNLCK as i16 {
            return Ok(None);
        }
        let pid = signer(&mut file).or(named);
        if let Some(pid) = as_guard(pid, port, namespace)? {
            return Ok(Some(pid));
        }
        // It has just begun and has not yet written its pid, or it is just ending.
        std::thread::sleep(HOLDER_RETRY);
    }
    Err(io::Error::other(
        "its lock is held by a process that is not to be seen from here; call pgcordon in the PID namespace where the window was raised",
    ))
}

/// The ports of this network namespace that had a guard; it may be gone.
pub fn guarded_ports() -> Vec<u16> {
    let (Ok(namespace), Ok(files)) = (network_namespace(), std::fs::read_dir(DIRECTORY)) else {
        return Vec::new();
    };
    let start = format!("{namespace}-");
    let port = |name: std::ffi::OsString| -> Option<u16> {
        let middle = name.to_str()?.strip_prefix(&start)?;
        middle.strip_suffix(".guard")?.parse().ok()
    };
    let names = files.flatten().map(|file| file.file_name());
    names.filter_map(port).collect()
}

/// A process, if it is the guard of a port of this network namespace: a pid may belong to
/// another process by now, and anybody can call himself so.
fn as_guard(pid: Option<u32>, port: u16, namespace: u64) -> io::Result<Option<u32>> {
    let Some(process) = pid.and_then(|pid| i32::try_from(pid).ok()) else {
        return Ok(None);
    };
    let words = match proc::command_line(process) {
        Err(error) if lacks_descriptors(&error) => return Err(error),
        words => words.ok().flatten().unwrap_or_default(),
    };
    let mut words = words.split(|byte| *byte == 0);
    let own = rustix::process::geteuid().as_raw();
    let is_it = words.next() == Some(NAME.as_bytes())
        && words.next() == Some(port.to_string().as_bytes())
        && proc::owner(process).is_ok_and(|owner| owner == own)
        && proc::namespace(process, "net").is_ok_and(|network| network == namespace);
    Ok(pid.filter(|_| is_it))
}
