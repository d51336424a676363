//! Waiting for several things at once in one thread, and for what blocks in another one.

use std::io;
use std::os::unix::net::UnixStream;
use std::thread::Builder as Thread;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// A runtime for the calling thread alone: sockets of a network namespace belong to the thread
/// that opened them.
pub fn runtime() -> io::Result<Runtime> {
    // The runtime panics where it cannot have a pair of sockets for signals, beside its epoll
    // set and its waker: so many descriptors must be free.
    let pairs: io::Result<Vec<_>> = (0..3).map(|_| UnixStream::pair()).collect();
    drop(pairs?);
    Builder::new_current_thread().enable_all().build()
}

/// Does what may block, on a lock, on the kernel or on a directory service, in a thread of its
/// own, which has the network namespace and the rights of the calling one: the runtime goes on.
/// What is not waited for to its end runs on, at most until the process ends.
pub async fn in_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    Thread::new().spawn(move || drop(done.send(work())))?;
    result.await.map_err(io::Error::other)
}
