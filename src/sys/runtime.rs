//! Waits for several things at once in one thread, and for blocking calls in another thread.

use std::io;
use std::os::unix::net::UnixStream;
use std::thread::Builder as Thread;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// A runtime for the calling thread alone: sockets of a network namespace belong to the thread
/// that opened them.
pub fn runtime() -> io::Result<Runtime> {
    // The runtime panics if it cannot open a pair of sockets for signals, its epoll set and its
    // waker, so this first makes sure that this many descriptors are free.
    let pairs: io::Result<Vec<_>> = (0..3).map(|_| UnixStream::pair()).collect();
    drop(pairs?);
    Builder::new_current_thread().enable_all().build()
}

/// Runs `work`, which may block on a lock, on the kernel or on a directory service, in a thread of
/// its own, so that the runtime goes on. The thread has the caller's network namespace and
/// rights. If the caller stops waiting, the thread runs on, at most until the process ends.
pub async fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    Thread::new().spawn(move || drop(done.send(work())))?;
    result.await.map_err(io::Error::other)
}
