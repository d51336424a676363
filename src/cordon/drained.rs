//! The connections to a port, and what a drain has done about them.

use std::net::SocketAddr;
use std::time::Duration;

/// One connection to the port, as `plan` and the list of stragglers show it: the fields of
/// `pg_stat_activity` if there is a row, otherwise what its socket and process tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Peer {
    pub port: u16,
    /// The backend's pid on this host; `None` if no process holds the socket.
    pub pid: Option<i32>,
    /// Empty if it is not known, as are database and application.
    pub role: String,
    pub database: String,
    pub application: String,
    /// The client's end of the connection; `None` for a Unix socket.
    pub client: Option<SocketAddr>,
    /// `active`, `idle in transaction`, … or the stage of a connection without a row.
    pub state: String,
    /// Wait event type and name, `Lock/relation`.
    pub wait: String,
    /// How long it has been in this state.
    pub since: Option<Duration>,
    pub query: String,
}

/// What a drain would do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Cut,
    /// Its address is on the pass list.
    Pass,
    /// Its flow is let through.
    Spared,
    Local,
}

impl Fate {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Pass => "pass",
            Self::Spared => "spared",
            Self::Local => "local",
        }
    }
}

/// A connection with what would happen to it and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    pub peer: Peer,
    pub fate: Fate,
    pub why: String,
}

/// Whether SQL took part in a drain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SqlOutcome {
    #[default]
    /// Every row was read and every remote backend was signalled.
    Used,
    /// SQL was not used, or not to its end, and this is why.
    NotUsed(String),
}

/// Remote backends that the drain has met, as rows of `pg_stat_activity` or as processes where SQL was not to be had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backends {
    pub found: usize,
    pub ended: usize,
    pub left: usize,
}

/// Sockets of the port with a remote peer that the drain has met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sockets {
    pub found: usize,
    pub destroyed: usize,
    /// Those whose close is under way and let through.
    pub closing: usize,
    /// Those still open: ESTABLISHED, SYN_RECV or CLOSE_WAIT.
    pub left: usize,
}

/// What a drain has done, read back afterwards.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DrainReport {
    pub sql: SqlOutcome,
    pub backends: Backends,
    pub sockets: Sockets,
    /// How many backends got SIGTERM from us, because SQL did not reach them.
    pub signalled: usize,
    /// By `--spare`.
    pub spared: Vec<Peer>,
    /// Remote backends, and sockets without one, that were still there when the drain's time was
    /// up.
    pub stragglers: Vec<Peer>,
    /// Why it could not be proven that nobody remote is left, if it could not.
    pub unproven: Option<String>,
    /// Why nobody was cut, if what was asked could not be known.
    pub refused: Option<String>,
    /// From the start of the drain until nobody remote was left.
    pub took: Duration,
    pub warnings: Vec<String>,
}

impl DrainReport {
    /// Combines two drains of one call.
    pub fn and(mut self, other: Self) -> Self {
        let joined = |one: String, two: String| match one == two {
            true => one,
            false => format!("{one}; {two}"),
        };
        self.sql = match (self.sql, other.sql) {
            (SqlOutcome::Used, sql) | (sql, SqlOutcome::Used) => sql,
            (SqlOutcome::NotUsed(one), SqlOutcome::NotUsed(two)) => {
                SqlOutcome::NotUsed(joined(one, two))
            }
        };
        self.backends.found += other.backends.found;
        self.backends.ended += other.backends.ended;
        self.backends.left += other.backends.left;
        self.sockets.found += other.sockets.found;
        self.sockets.destroyed += other.sockets.destroyed;
        self.sockets.closing += other.sockets.closing;
        self.sockets.left += other.sockets.left;
        self.signalled += other.signalled;
        self.spared.extend(other.spared);
        self.stragglers.extend(other.stragglers);
        self.unproven = match (self.unproven, other.unproven) {
            (Some(one), Some(two)) => Some(format!("{one}; {two}")),
            (one, two) => one.or(two),
        };
        self.refused = self.refused.or(other.refused);
        self.took = self.took.max(other.took);
        self.warnings.extend(other.warnings);
        self
    }

    /// Whether it was proven that nobody remote is left.
    pub fn is_complete(&self) -> bool {
        self.stragglers.is_empty() && self.unproven.is_none()
    }
}
