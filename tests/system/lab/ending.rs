//! How a session ended, as its client saw it.

use std::io;

use super::wire::Failure;

/// What happened to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The server closed it.
    Fin,
    /// The server reset it.
    Rst,
    /// It was lost in another way.
    Lost(io::ErrorKind),
    /// The client itself closed it.
    Own,
    /// It is open.
    StillOpen,
}

/// How a session ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The code of the last FATAL message, such as `57P01`.
    pub sqlstate: Option<String>,
    /// What happened to the connection.
    pub close: Close,
}

impl Ending {
    pub(super) fn new(fatal: Option<&Failure>, close: Close) -> Ending {
        Ending { sqlstate: fatal.map(|f| f.sqlstate.clone()), close }
    }

    /// PostgreSQL's own farewell arrived: 57P01 and a FIN.
    pub fn is_farewell(&self) -> bool {
        self.sqlstate.as_deref() == Some("57P01") && self.close == Close::Fin
    }

    /// Fails unless it is PostgreSQL's own farewell.
    #[track_caller]
    pub fn assert_farewell(&self) {
        assert!(self.is_farewell(), "57P01 and a FIN expected: {self:?}");
    }

    /// Whether the client knows that it is over: a FIN or a reset arrived.
    pub fn is_closed(&self) -> bool {
        matches!(self.close, Close::Fin | Close::Rst)
    }
}
