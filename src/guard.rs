//! The guard: one small process for each window, which keeps the cordon whole until its end
//! (ARCHITECTURE.md, "The guard").
//!
//! Whoever changes a cordon brings its guard: [`Guarded`] is the firewall as commands see it.
//! It starts a guard before a cordon is raised, so that the guard's pid can stand in the
//! window's comment; tells it what is to stand; and ends an old guard before anything is
//! changed. So a wanted change is never healed away, not even by a guard that was stopped and
//! goes on later: it is not there any more. A guard that was told nothing ends with the
//! process that has started it.
//!
//! The guard itself ([`main()`]) waits for what the kernel tells of nftables, for what it is
//! told, and for the end of its window. When its table is not what it should be, it puts it
//! back with the time that is left, and lets whoever got in meanwhile be drained.

mod channel;
mod detach;
mod guarded;
mod handle;
mod heal;
mod liveness;
mod main;
mod redrain;
mod run;
mod take_over;
mod target;

pub use guarded::Guarded;
pub use liveness::NAME;
pub use main::main;
pub use run::GuardError;

use crate::firewall::FirewallError;
use crate::sys::{fd, proc};
use rustix::process::{Signal, pidfd_send_signal};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A transaction that takes longer makes a window end noticeably later than it was to.
const SLOW_TRANSACTION: Duration = Duration::from_millis(50);

/// How long the end of a killed guard may take; it is held up only inside the kernel.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// A descriptor that becomes readable when the guard of a port ends; `None` if there is none.
///
/// `named` is the pid that the window's comment names.
pub fn watch(port: u16, named: Option<u32>) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = liveness::guardian(port, named)? else {
        return Ok(None);
    };
    let Some(pidfd) = i32::try_from(pid).map_or(Ok(None), proc::pidfd)? else {
        return Ok(None);
    };
    // The pid may have become another process's before it was opened, not after.
    let still = liveness::guardian(port, named)? == Some(pid);
    Ok(still.then_some(pidfd))
}

/// Ends the guard of a port, stopped or not. It needs no time to clean up: its locks and its
/// twin go with it.
fn end(port: u16, named: Option<u32>) -> Result<(), FirewallError> {
    let failed = |source: io::Error| FirewallError::Guard { port, source };
    let Some(pidfd) = watch(port, named).map_err(failed)? else {
        return Ok(());
    };
    match pidfd_send_signal(&pidfd, Signal::KILL) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => return Err(failed(error.into())),
    }
    if fd::is_readable(&pidfd, KILLED_WITHIN).map_err(failed)? {
        return Ok(());
    }
    Err(failed(io::ErrorKind::TimedOut.into()))
}
