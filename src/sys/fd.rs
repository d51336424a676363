//! What the standard library, mnl and tokio do with descriptors only through unsafe calls.

#![allow(unsafe_code)]

use nix::libc;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
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
    let numbers: Vec<i32> = numbers
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // SAFETY: as above; the directory's own descriptor is closed already.
        unsafe { libc::close(number) };
    }
}

/// Lets tokio watch when a descriptor becomes readable.
pub fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` gives out the same open descriptor until it is dropped.
    let registered = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
    Ok(registered?)
}
