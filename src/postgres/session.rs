//! A session that is checked: it is with the right server and may see and end every backend.

use super::connect::{self, Deadline};
use super::procfs::{self, Backend};
use super::statements::{first, text};
use super::{SessionError, StatementError, Target};
use std::time::Duration;
use tokio_postgres::Client;

/// The first statement after the login. From here on the server sends text as it is stored:
/// otherwise one client's statement in another encoding could make reading all rows fail.
const CHECK: &str = "SELECT pg_catalog.set_config('client_encoding', 'SQL_ASCII', false), \
    pg_catalog.current_setting('port'), \
    pg_catalog.pg_backend_pid(), \
    pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'), \
    pg_catalog.pg_has_role('pg_signal_backend', 'USAGE')";

/// The roles whose rights a drain needs, in the order of [`CHECK`]. A superuser has all rights.
const RIGHTS: [&str; 2] = ["pg_read_all_stats", "pg_signal_backend"];

/// Dropping it ends the session.
#[derive(Debug)]
pub struct Session {
    pub(super) client: Client,
    pub(super) deadline: Duration,
    postmaster: i32,
    role: String,
    counts_like_us: bool,
}

impl Session {
    /// Finds the server's socket, logs in and checks the session. `deadline` bounds all of this
    /// together, and later each statement by itself. It needs a tokio runtime with I/O and time.
    pub async fn open(target: &Target, deadline: Duration) -> Result<Self, SessionError> {
        let until = Deadline::after(deadline);
        let (client, role) = connect::log_in(target, until).await?;
        let session = Self {
            client,
            deadline,
            postmaster: target.postmaster,
            role,
            counts_like_us: procfs::counts_like_us(target.postmaster),
        };
        session.check(target.port).await?;
        Ok(session)
    }

    async fn check(&self, port: u16) -> Result<(), SessionError> {
        let postmaster = self.postmaster;
        let (found, backend, held) = self.facts().await.map_err(SessionError::Check)?;
        if found != port.to_string() {
            return Err(SessionError::WrongPort { port, found });
        }
        // If the server has its own pid namespace and the kernel does not list children, the
        // checks of SO_PEERCRED and the port must suffice.
        if procfs::find_backend(postmaster, backend) == Backend::Stranger {
            return Err(SessionError::WrongBackend { backend, postmaster });
        }
        let rights = RIGHTS.into_iter().zip(held);
        let missing: Vec<_> =
            rights.filter(|(_, is_held)| !is_held).map(|(right, _)| right).collect();
        if !missing.is_empty() {
            let role = self.role.clone();
            return Err(SessionError::MissingRights { role, missing });
        }
        Ok(())
    }

    /// The port, the session's backend as the server counts, and which of the rights are held.
    async fn facts(&self) -> Result<(String, i32, [bool; 2]), StatementError> {
        let answer = self.read(CHECK).await?;
        let row = first(&answer)?;
        Ok((text(row, 1)?, row.try_get(2)?, [row.try_get(3)?, row.try_get(4)?]))
    }

    pub fn role(&self) -> &str {
        &self.role
    }

    /// The pid on this host of the backend that the server calls `pid`. It is the same number,
    /// unchecked, unless the server has its own pid namespace (a container). `None` if the server
    /// has no such child there, or if that cannot be found out.
    pub fn host_pid(&self, pid: i32) -> Option<i32> {
        if self.counts_like_us {
            return Some(pid);
        }
        match procfs::find_backend(self.postmaster, pid) {
            Backend::Child(pid) => Some(pid),
            Backend::Stranger | Backend::Unknown => None,
        }
    }
}
