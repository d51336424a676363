//! The runtime of a thread that waits for several things at once.

use std::io;
use std::os::unix::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

/// A runtime for the calling thread alone: sockets of a network namespace belong to the thread
/// that opened them.
pub fn runtime() -> io::Result<Runtime> {
    // The runtime panics where it cannot have a pair of sockets for signals, beside its epoll
    // set and its waker: so many descriptors must be free.
    let pairs: io::Result<Vec<_>> = (0..3).map(|_| UnixStream::pair()).collect();
    drop(pairs?);
    Builder::new_current_thread().enable_all().build()
}
