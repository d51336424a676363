//! A connection to PostgreSQL and what has arrived on it so far.

use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use rustix::net::{RecvFlags, recv};

use super::ending::{Close, Ending};
use super::pump;
use super::wire::{self, Failure, Message, Rows};

/// A socket of either kind, in blocking mode for those who write.
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Stream {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => (&mut &*stream).write_all(bytes),
            Stream::Unix(stream) => (&mut &*stream).write_all(bytes),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

/// The connection, shared by its session and the pump.
pub struct Line {
    pub(super) number: u64,
    state: Mutex<State>,
    changed: Condvar,
}

/// What is known of it.
pub struct State {
    stream: Option<Arc<Stream>>,
    buffer: Vec<u8>,
    /// Whether what arrives is PostgreSQL's protocol; if not, it stays in `buffer`.
    speaks: bool,
    /// Answers that were asked for, the startup's included, and those that are complete.
    pub asked: usize,
    /// See `asked`.
    pub answered: usize,
    /// The rows and the error of the current answer.
    pub rows: Rows,
    /// See `rows`.
    pub failure: Option<Failure>,
    /// The message that ended the session.
    pub fatal: Option<Failure>,
    /// The backend's process id and cancel key.
    pub key: Option<(i32, u32)>,
    /// The last authentication request.
    pub authentication: Option<u32>,
    close: Close,
}

impl Line {
    /// A line on this socket, read by the pump. `asked` is 1 after a startup packet.
    pub fn new(stream: Stream, asked: usize) -> Arc<Line> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let stream = Arc::new(stream);
        let line = Arc::new(Line {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            state: Mutex::new(State {
                stream: Some(stream.clone()),
                buffer: Vec::new(),
                speaks: asked > 0,
                asked,
                answered: 0,
                rows: Vec::new(),
                failure: None,
                fatal: None,
                key: None,
                authentication: None,
                close: Close::StillOpen,
            }),
            changed: Condvar::new(),
        });
        pump::watch(&line, &*stream);
        line
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("lock")
    }

    /// Waits until `enough` holds, at most `limit`, and says what is known then.
    pub fn wait(
        &self,
        limit: Duration,
        mut enough: impl FnMut(&State) -> bool,
    ) -> MutexGuard<'_, State> {
        self.changed
            .wait_timeout_while(self.state(), limit, |state| !enough(state))
            .expect("lock")
            .0
    }

    /// Writes, where the connection is still there.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self.stream() {
            Some(stream) => stream.write(bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The socket, while it is open.
    pub fn stream(&self) -> Option<Arc<Stream>> {
        self.state().stream.clone()
    }

    /// Closes the socket.
    pub fn close(&self, close: Close) {
        let mut state = self.state();
        state.end(close);
        self.changed.notify_all();
    }

    /// Reads what has arrived, and closes when the server has.
    pub fn read(&self) {
        let mut state = self.state();
        let Some(stream) = state.stream.clone() else {
            return;
        };
        let mut page = [0; 16 * 1024];
        match recv(&*stream, &mut page, RecvFlags::DONTWAIT) {
            Ok((0, _)) => state.end(Close::Fin),
            Ok((count, _)) => state.arrived(&page[..count]),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return,
            Err(rustix::io::Errno::CONNRESET) => state.end(Close::Rst),
            Err(error) => state.end(Close::Lost(io::Error::from(error).kind())),
        }
        self.changed.notify_all();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        pump::drop_line(self.number);
    }
}

impl State {
    /// How it ended, so far.
    pub fn ending(&self) -> Ending {
        Ending::new(self.fatal.as_ref(), self.close)
    }

    /// Whether the connection is over.
    pub fn is_over(&self) -> bool {
        self.close != Close::StillOpen
    }

    /// What arrived on a line that speaks no protocol.
    pub fn raw(&self) -> &[u8] {
        &self.buffer
    }

    fn end(&mut self, close: Close) {
        if !self.is_over() {
            self.close = close;
            self.stream = None;
        }
    }

    fn arrived(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while self.speaks {
            let Some(message) = wire::take(&mut self.buffer) else {
                return;
            };
            match message {
                Message::Authentication(kind) => self.authentication = Some(kind),
                Message::Key(pid, key) => self.key = Some((pid, key)),
                Message::Row(row) => self.rows.push(row),
                Message::Failure(failure) if failure.severity == "ERROR" => {
                    self.failure = Some(failure);
                }
                Message::Failure(failure) => self.fatal = Some(failure),
                Message::Ready => self.answered += 1,
                Message::Other => {}
            }
        }
    }
}
