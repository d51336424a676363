//! A client's session with PostgreSQL, held open until a test asks how it ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::ending::{Close, Ending};
use super::line::{Line, Stream};
use super::pump;
use super::story::SOON;
use super::wire::{self, Failure, Rows};

/// A session. It reads its connection all the time and closes it as soon as the server
/// does, unless it is told not to. Dropped, it closes.
pub struct Session {
    line: Arc<Line>,
    local: Option<SocketAddr>,
}

impl Session {
    pub(super) fn new(stream: Stream, asked: usize) -> Session {
        let local = match &stream {
            Stream::Tcp(stream) => Some(stream.local_addr().expect("its own address")),
            Stream::Unix(_) => None,
        };
        let line = Line::new(stream, asked);
        Session { line, local }
    }

    /// The client's address and port; not for a Unix socket.
    pub fn local(&self) -> SocketAddr {
        self.local.expect("a session over TCP")
    }

    /// The backend's process id, as PostgreSQL said it.
    pub fn backend_pid(&self) -> i32 {
        self.key().0
    }

    /// A cancel request for what this session does, to be sent by another connection.
    pub fn cancel_request(&self) -> Vec<u8> {
        let (pid, key) = self.key();
        wire::cancel(pid, key)
    }

    fn key(&self) -> (i32, u32) {
        self.line.state().key.expect("a session that is logged in")
    }

    /// Waits until the login or the last query is answered.
    pub fn wait_answer(&self, limit: Duration) -> Result<Rows, Failure> {
        let done = |state: &super::line::State| state.answered == state.asked || state.is_over();
        let mut state = self.line.wait(limit, done);
        if let Some(fatal) = &state.fatal {
            return Err(fatal.clone());
        }
        if state.answered < state.asked {
            let close = state.ending().close;
            return Err(own_failure(&format!("no answer in {limit:?}: {close:?}")));
        }
        match state.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(std::mem::take(&mut state.rows)),
        }
    }

    /// Waits until the last query has failed, or the session is over, and gives the error
    /// of that query; FATAL is none.
    pub fn wait_error(&self, limit: Duration) -> Option<Failure> {
        let done = |state: &super::line::State| state.failure.is_some() || state.is_over();
        self.line.wait(limit, done).failure.clone()
    }

    /// Sends a query and does not wait for its answer.
    pub fn send_query(&self, sql: &str) {
        let mut state = self.line.state();
        state.asked += 1;
        state.rows.clear();
        state.failure = None;
        drop(state);
        // Where it cannot be sent, the answer will be missing.
        let _ = self.line.write(&wire::query(sql));
    }

    /// Runs a query to its end.
    pub fn try_query(&self, sql: &str) -> Result<Rows, Failure> {
        self.send_query(sql);
        self.wait_answer(SOON)
    }

    /// Runs a query, which must succeed.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Rows {
        self.try_query(sql).unwrap_or_else(|failure| panic!("{sql}: {failure}"))
    }

    /// The first value of the query's first row.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        let mut rows = self.query(sql);
        let first = rows.first_mut().and_then(|row| row.first_mut());
        first.and_then(Option::take).unwrap_or_else(|| panic!("{sql}: no value"))
    }

    /// Whether it answers `select 1`.
    pub fn is_alive(&self) -> bool {
        self.try_query("select 1").is_ok()
    }

    /// How it has ended up to now.
    pub fn ending(&self) -> Ending {
        self.line.state().ending()
    }

    /// Waits for its end, at most `limit`; what is said then may be "still open".
    pub fn wait_end(&self, limit: Duration) -> Ending {
        self.line.wait(limit, |state| state.is_over()).ending()
    }

    /// Waits for the server's authentication request of an unfinished login and gives its
    /// number: 10 is SASL.
    pub fn wait_authentication(&self, limit: Duration) -> Option<u32> {
        let asked = |state: &super::line::State| state.authentication.is_some() || state.is_over();
        self.line.wait(limit, asked).authentication
    }

    /// Sends bytes as they are.
    pub fn send_raw(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.line.write(bytes)
    }

    /// Waits until a silent connection has received so many bytes, and gives what it has.
    pub fn wait_raw(&self, count: usize, limit: Duration) -> Vec<u8> {
        let enough = |state: &super::line::State| state.raw().len() >= count || state.is_over();
        self.line.wait(limit, enough).raw().to_vec()
    }

    /// From now on it does not read, as a connection that lies in a pool. Its end is not
    /// seen before [`Session::read_again`].
    pub fn stop_reading(&self) {
        if let Some(stream) = self.line.stream() {
            pump::forget(&self.line, &*stream);
        }
    }

    /// It reads again.
    pub fn read_again(&self) {
        if let Some(stream) = self.line.stream() {
            pump::watch(&self.line, &*stream);
        }
    }

    /// Closes with a reset.
    pub fn reset(&self) {
        if let Some(stream) = self.line.stream() {
            SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
        }
        self.line.close(Close::Own);
    }
}

/// A failure that the server did not send.
fn own_failure(message: &str) -> Failure {
    Failure { severity: "CLIENT".to_owned(), sqlstate: String::new(), message: message.to_owned() }
}
