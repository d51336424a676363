//! A session with the PostgreSQL server that holds the cordoned port: found through the
//! Unix socket that this very process listens on, opened as that socket's owner, so that
//! root needs no set-up and no password (DESIGN.md section 6).
//!
//! PostgreSQL 12 to 18. Ambient `PG*` variables are ignored. Every wait has an end on this
//! side: a server that is stopped yields [`SessionError::NotAnswering`] or
//! [`StatementError::NotAnswering`].

mod access;
mod connect;
mod error;
mod options;
mod passfile;
mod procfs;
mod session;
mod socket;
mod statements;

pub use access::Access;
pub use error::{SessionError, StatementError};
pub use session::Session;
pub use statements::{Row, Standby};

use std::net::IpAddr;
use std::path::PathBuf;

/// The database that is tried first, and the one where that does not exist.
const DATABASES: [&str; 2] = ["postgres", "template1"];

/// Which server, and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The process id of the postmaster, on this host.
    pub postmaster: i32,
    /// The port it listens on.
    pub port: u16,
    /// Only the Unix socket in this directory, as this process sees it (`--pg-socket-dir`).
    pub socket_dir: Option<PathBuf>,
    /// The role instead of the one named like the socket's owner (`--pg-user`).
    pub user: Option<String>,
    /// The database instead of `postgres`, else `template1` (`--pg-database`).
    pub database: Option<String>,
    /// TCP to this address instead of the Unix socket (`--pg-host`). The caller has made sure
    /// that it is an address of this host; TLS is not spoken.
    pub host: Option<IpAddr>,
    /// The file with the password for TCP (`--pg-passfile`), in the format of `.pgpass`:
    /// `host:port:database:role:password`. Root must own it, with mode 0600.
    pub passfile: Option<PathBuf>,
}
