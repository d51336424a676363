//! The SQL statements. Every name is qualified, so that no function or operator of the same
//! name in another schema is called.

use super::{Session, StatementError};
use futures_util::future::join_all;
use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;
use tokio_postgres::types::{FromSql, Type};

/// A row of `pg_stat_activity`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The backend's process id as the server counts; [`Session::host_pid`] says what it is on
    /// this host.
    pub pid: i32,
    /// Empty for the server's own processes.
    pub role: String,
    /// Empty for the server's own processes and for walsenders.
    pub database: String,
    pub application: String,
    /// The client's address; `None` for Unix sockets, parallel workers and the server's own
    /// processes. IPv6 without its scope: PostgreSQL strips it.
    pub client: Option<IpAddr>,
    pub client_port: Option<u16>,
    /// `active`, `idle in transaction`, …; empty if there is none.
    pub state: String,
    /// Wait event type and name, `Lock/relation`; empty if it does not wait.
    pub wait: String,
    /// How long it has been in this state.
    pub since: Option<Duration>,
    /// The first 1024 bytes of the statement.
    pub query: String,
    /// `client backend`, `walsender`, …; empty if it is hidden.
    pub backend_type: String,
    /// Columns are hidden from us, the client's address among them. Then nobody can know whether
    /// this client is remote, and SQL cannot be trusted.
    pub hidden: bool,
}

/// A row of `pg_stat_replication`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standby {
    /// The walsender's process id in the server's own counting.
    pub pid: i32,
    /// `async`, `potential`, `sync` or `quorum`.
    pub sync_state: String,
}

/// backend_type is NULL in exactly the rows that we may not read. The text that stands there in
/// place of the query proves nothing: anybody can send that text as a statement.
const ROWS: &str = "SELECT a.pid, a.usename, a.datname, a.application_name, \
    pg_catalog.host(a.client_addr), a.client_port, a.state, a.wait_event_type, a.wait_event, \
    pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() \
        OPERATOR(pg_catalog.-) a.state_change), \
    pg_catalog.substr(pg_catalog.textsend(a.query), 1, 1024), \
    a.backend_type \
    FROM pg_catalog.pg_stat_activity AS a \
    WHERE a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()";

const REPLICATION: &str = "SELECT r.pid, r.sync_state FROM pg_catalog.pg_stat_replication AS r";

const STANDBY_NAMES: &str = "SELECT pg_catalog.current_setting('synchronous_standby_names')";
const PREPARED: &str = "SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts";

// With one argument: a timeout (14 on) would wait row after row.
const TERMINATE: &str = "SELECT pg_catalog.pg_terminate_backend($1)";
const CANCEL: &str = "SELECT pg_catalog.pg_cancel_backend($1)";

impl Session {
    /// All rows of `pg_stat_activity` but our own.
    pub async fn rows(&self) -> Result<Vec<Row>, StatementError> {
        let rows = self.read(ROWS).await?;
        rows.iter().map(|row| Ok(Row::of(row)?)).collect()
    }

    /// Calls `pg_terminate_backend` for each pid, in one statement each, all sent at once: a
    /// refused one does not stop the others. True means signalled, not gone; false means that
    /// there is no such backend any more.
    pub async fn terminate(&self, pids: &[i32]) -> Vec<(i32, Result<bool, StatementError>)> {
        self.for_each(TERMINATE, pids).await
    }

    /// Calls `pg_cancel_backend` for each pid in the same way.
    pub async fn cancel(&self, pids: &[i32]) -> Vec<(i32, Result<bool, StatementError>)> {
        self.for_each(CANCEL, pids).await
    }

    pub async fn replication(&self) -> Result<Vec<Standby>, StatementError> {
        let rows = self.read(REPLICATION).await?;
        rows.iter().map(|row| Ok(Standby::of(row)?)).collect()
    }

    pub async fn synchronous_standby_names(&self) -> Result<String, StatementError> {
        let rows = self.read(STANDBY_NAMES).await?;
        Ok(text(first(&rows)?, 0)?)
    }

    /// The number of prepared transactions: they survive a drain and keep their locks.
    pub async fn prepared_transactions(&self) -> Result<usize, StatementError> {
        let rows = self.read(PREPARED).await?;
        let count: i64 = first(&rows)?.try_get(0)?;
        Ok(usize::try_from(count).unwrap_or_default())
    }

    /// Runs one statement without parameters within the deadline.
    pub(super) async fn read(
        &self,
        statement: &str,
    ) -> Result<Vec<tokio_postgres::Row>, StatementError> {
        self.bounded(self.client.query_typed(statement, &[])).await
    }

    /// Prepares a statement with one pid once, and sends it for all pids before it waits for the
    /// first answer.
    async fn for_each(
        &self,
        statement: &str,
        pids: &[i32],
    ) -> Vec<(i32, Result<bool, StatementError>)> {
        if pids.is_empty() {
            return Vec::new();
        }
        let prepared = self.client.prepare_typed(statement, &[Type::INT4]);
        let prepared = match self.bounded(prepared).await {
            Ok(prepared) => prepared,
            Err(error) => {
                let refused = |pid: &i32| (*pid, Err(error.clone()));
                return pids.iter().map(refused).collect();
            }
        };
        let answers = pids.iter().map(async |pid| {
            let answer = async { self.client.query_one(&prepared, &[pid]).await };
            let answer = self.bounded(answer).await;
            (*pid, answer.and_then(|row| Ok(row.try_get(0)?)))
        });
        join_all(answers).await
    }

    async fn bounded<T>(
        &self,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StatementError> {
        let after = self.deadline;
        match tokio::time::timeout(after, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_elapsed) => Err(StatementError::NotAnswering { after }),
        }
    }
}

pub(super) fn first(rows: &[tokio_postgres::Row]) -> Result<&tokio_postgres::Row, StatementError> {
    rows.first().ok_or_else(|| StatementError::Unreadable("no row".to_owned()))
}

impl Row {
    fn of(row: &tokio_postgres::Row) -> Result<Self, tokio_postgres::Error> {
        let port: Option<i32> = row.try_get(5)?;
        let since: Option<f64> = row.try_get(9)?;
        let backend_type = text(row, 11)?;
        Ok(Self {
            pid: row.try_get(0)?,
            role: text(row, 1)?,
            database: text(row, 2)?,
            application: text(row, 3)?,
            client: text(row, 4)?.parse().ok(),
            // -1 over a Unix socket.
            client_port: port.and_then(|port| u16::try_from(port).ok()),
            state: text(row, 6)?,
            wait: wait_event(&text(row, 7)?, &text(row, 8)?),
            // Negative after the clock was set back.
            since: since.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            query: text(row, 10)?,
            hidden: backend_type.is_empty(),
            backend_type,
        })
    }
}

impl Standby {
    fn of(row: &tokio_postgres::Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self { pid: row.try_get(0)?, sync_state: text(row, 1)? })
    }
}

fn wait_event(kind: &str, name: &str) -> String {
    if name.is_empty() {
        return kind.to_owned();
    }
    format!("{kind}/{name}")
}

/// A column of text, name or bytes; empty if it is NULL.
pub(super) fn text(
    row: &tokio_postgres::Row,
    column: usize,
) -> Result<String, tokio_postgres::Error> {
    let bytes: Option<Raw<'_>> = row.try_get(column)?;
    Ok(bytes.map(|Raw(bytes)| decoded(bytes)).unwrap_or_default())
}

/// The bytes of a column as the server stores them.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::TEXT | Type::NAME | Type::VARCHAR | Type::BYTEA)
    }
}

/// Decodes text that may have been cut within a character. If it is not UTF-8 (the database has
/// another encoding, or none), it is read as Latin-1, in which every byte is a character.
fn decoded(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned()
        }
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_become_text() {
        assert_eq!(decoded("jürgen".as_bytes()), "jürgen");
        assert_eq!(decoded(b"j\xfcrgen"), "jürgen");
        assert_eq!(decoded(&"jü".as_bytes()[..2]), "j");
        assert_eq!(decoded(b"\xff\xfe"), "\u{ff}\u{fe}");
    }

    #[test]
    fn statements_qualify_every_function() {
        let read = [ROWS, REPLICATION, STANDBY_NAMES, PREPARED];
        for statement in read.into_iter().chain([TERMINATE, CANCEL]) {
            for (at, _) in statement.match_indices('(') {
                let name = statement[..at]
                    .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
                    .next();
                let name = name.unwrap_or_default();
                let is_fine = name.starts_with("pg_catalog.") || name == "OPERATOR";
                assert!(is_fine, "{name:?} in {statement}");
            }
        }
    }
}
