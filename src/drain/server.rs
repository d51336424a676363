//! The rung of SQL: one session with each server that listens on the port.

use crate::clients::Process;
use crate::cordon::Peer;
use crate::postgres::{Row, Session, Standby, StatementError, Target};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long login and each statement may take.
pub const SQL_TIMEOUT: Duration = Duration::from_secs(3);

/// Time between two tries while the server may let us in soon.
const SESSION_RETRY: Duration = Duration::from_millis(100);

/// A server and how far SQL has come with it.
pub struct Server {
    pub process: Process,
    pub state: State,
    /// Whether rows were ever read to their end.
    pub answered: bool,
    /// Whether its statements were cancelled.
    pub has_cancelled: bool,
    /// The pids on this host of those that the server counts by its own.
    pub host_pids: HashMap<i32, i32>,
}

/// How far SQL has come with a server.
pub enum State {
    Idle,
    Asking,
    /// The session waits for its next statement.
    Ready(Session),
    Unavailable {
        why: String,
        /// Whether it may be had soon: slots become free.
        passing: bool,
        at: Instant,
    },
}

/// What a server has said.
pub enum Answer {
    Rows(Session, Facts),
    /// The statements of these backends were cancelled, as far as they obeyed.
    Cancelled(Session, Vec<i32>),
    /// What became of each `pg_terminate_backend`.
    Told(Session, Vec<(i32, Result<bool, StatementError>)>),
    Failed {
        why: String,
        passing: bool,
    },
}

/// What a server shows of its connections.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// `pg_stat_activity`.
    pub rows: Vec<Row>,
    /// `pg_stat_replication`; empty unless there is a walsender.
    pub standbys: Vec<Standby>,
    /// `synchronous_standby_names`; empty unless there is a walsender.
    pub standby_names: String,
}

impl Server {
    pub fn new(process: Process) -> Self {
        Self {
            process,
            state: State::Idle,
            answered: false,
            has_cancelled: false,
            host_pids: HashMap::new(),
        }
    }

    /// The pid on this host of a backend, while there is a session.
    pub fn host_pid(&self, pid: i32) -> Option<i32> {
        match &self.state {
            State::Ready(session) => session.host_pid(pid),
            _ => None,
        }
    }

    /// Whether a new session is worth a try now.
    pub fn may_be_asked(&self) -> bool {
        match &self.state {
            State::Idle => true,
            State::Unavailable { passing, at, .. } => *passing && at.elapsed() >= SESSION_RETRY,
            State::Asking | State::Ready(_) => false,
        }
    }
}

/// Opens a session and reads the rows.
pub async fn open(target: Target) -> Answer {
    match Session::open(&target, SQL_TIMEOUT).await {
        Ok(session) => rows(session).await,
        Err(error) => Answer::Failed { passing: error.is_passing(), why: error.to_string() },
    }
}

/// Sends the cancel requests, and looks until none of the backends runs a statement. What a
/// walsender does is no statement, and never ends.
pub async fn cancel(session: &Session, pids: &[i32]) -> Result<(), StatementError> {
    let runs = |row: &Row| {
        let is_statement = row.state == "active" && row.backend_type != "walsender";
        is_statement && pids.contains(&row.pid)
    };
    let rows = session.rows().await?;
    let busy = rows.iter().filter(|row| runs(row)).map(|row| row.pid);
    session.cancel(&busy.collect::<Vec<_>>()).await;
    while session.rows().await?.iter().any(runs) {
        tokio::time::sleep(SESSION_RETRY).await;
    }
    Ok(())
}

/// Reads what a server shows of its connections, of its standbys only where there are any.
pub async fn facts(session: &Session) -> Result<Facts, StatementError> {
    let rows = session.rows().await?;
    if rows.iter().all(|row| row.backend_type != "walsender") {
        return Ok(Facts { rows, ..Facts::default() });
    }
    Ok(Facts {
        rows,
        standbys: session.replication().await?,
        standby_names: session.synchronous_standby_names().await?,
    })
}

pub async fn rows(session: Session) -> Answer {
    match facts(&session).await {
        Ok(facts) if facts.rows.iter().any(|row| row.hidden) => Answer::Failed {
            why: format!(
                "rows of pg_stat_activity are hidden from role \"{}\"; name a superuser with --pg-user",
                session.role()
            ),
            passing: false,
        },
        Ok(facts) => Answer::Rows(session, facts),
        Err(error) => Answer::Failed { why: error.to_string(), passing: false },
    }
}

/// The client of a row; `None` for Unix sockets and the server's own processes.
pub fn client(row: &Row) -> Option<SocketAddr> {
    let address = row.client?.to_canonical();
    Some(SocketAddr::new(address, row.client_port?))
}

/// A row as it is reported.
pub fn peer(port: u16, pid: Option<i32>, row: &Row) -> Peer {
    Peer {
        port,
        pid,
        role: row.role.clone(),
        database: row.database.clone(),
        application: row.application.clone(),
        client: client(row),
        state: row.state.clone(),
        wait: row.wait.clone(),
        since: row.since,
        query: row.query.clone(),
    }
}
