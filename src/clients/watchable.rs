//! Processes that rows of `pg_stat_activity` name, to be waited for.

use super::processes::{self, Process, ProcessError, Stat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::OwnedFd;

/// A pidfd of a child of the postmaster that runs the same file; `None` if `pid` is none.
///
/// The checks come after the descriptor was opened: if they hold, it refers to that child,
/// or to one that has ended.
///
/// # Errors
/// What the kernel says of pidfds (Linux 5.3) and `/proc`.
pub fn pidfd_of_child(postmaster: &Process, pid: i32) -> Result<Option<OwnedFd>, ProcessError> {
    let open = || {
        let Some(id) = Pid::from_raw(pid) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(id, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_child = Stat::read(pid)?.is_some_and(|stat| stat.parent == postmaster.pid);
        let is_same = processes::executable(pid)? == Some(postmaster.executable);
        Ok((is_child && is_same).then_some(pidfd))
    };
    open().map_err(ProcessError::of(pid))
}

/// Whether a child of the postmaster that runs the same file holds a socket.
///
/// # Errors
/// What the kernel says of `/proc`.
pub fn child_holds(postmaster: &Process, pid: i32, inode: u32) -> Result<bool, ProcessError> {
    let look = || {
        let is_child = Stat::read(pid)?.is_some_and(|stat| stat.parent == postmaster.pid);
        if !is_child || processes::executable(pid)? != Some(postmaster.executable) {
            return Ok(false);
        }
        let held = processes::sockets(pid)?.unwrap_or_default();
        Ok(held.iter().any(|(_, held)| *held == inode))
    };
    look().map_err(ProcessError::of(pid))
}
