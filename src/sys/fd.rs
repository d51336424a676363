//! What the standard library, mnl and tokio do with descriptors only through unsafe calls.

#![allow(unsafe_code)]

use nix::libc;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub fn of_netlink(socket: &mnl::Socket) -> BorrowedFd<'_> {
    // SAFETY: the descriptor is open as long as the socket is borrowed.
    unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }
}

/// Closes every descriptor from 3 on, which this process has inherited. Call it only at the very
/// beginning of a process.
pub fn close_inherited() {
    // SAFETY: at the beginning of `main` no value owns a descriptor but the standard ones.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    if closed == 0 {
        return;
    }
    // Before Linux 5.9, close one by one.
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers = open.flatten().map(|entry| entry.file_name());
    let numbers: Vec<i32> = numbers.filter_map(|name| name.to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: as above; the directory's own descriptor is closed already.
        unsafe { libc::close(number) };
    }
}

/// Waits for one of these descriptors, for so long at most, and tells how many are ready. A
/// signal ends the wait, too.
pub fn wait(set: &mut [PollFd<'_>], most: Option<Duration>) -> io::Result<usize> {
    match poll_for(set, most) {
        Err(Errno::INTR) => Ok(0),
        ready => Ok(ready?),
    }
}

/// Whether a descriptor becomes readable within a time; no signal ends the wait.
pub fn is_readable(descriptor: impl AsFd, within: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + within;
    let mut set = [PollFd::new(&descriptor, PollFlags::IN)];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match poll_for(&mut set, Some(left)) {
            Err(Errno::INTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

fn poll_for(set: &mut [PollFd<'_>], most: Option<Duration>) -> Result<usize, Errno> {
    let timeout = most.map(|most| Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(most.subsec_nanos()),
    });
    poll(set, timeout.as_ref())
}

/// Lets tokio watch when a descriptor becomes readable.
pub fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` gives out the same open descriptor until it is dropped.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    Ok(registered?)
}
