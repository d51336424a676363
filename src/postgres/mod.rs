//! A session with the PostgreSQL server that holds the cordoned port: found through the
//! Unix socket that this very process listens on, opened as that socket's owner, so that
//! root needs no set-up and no password (ARCHITECTURE.md, "Reaching PostgreSQL").
//!
//! PostgreSQL 12 to 18. Ambient `PG*` variables are ignored. Every wait has an end on this
//! side: a server that is stopped yields [`SessionError::NotAnswering`] or
//! [`StatementError::NotAnswering`].

mod access;
mod connect;
mod error;
pub mod options;
pub mod passfile;
pub mod procfs;
mod session;
mod socket;
mod statements;

pub use access::Access;
pub use error::{SessionError, StatementError};
pub use session::Session;
pub use statements::{Row, Standby};

/// The database that is tried first, and the one that is tried if it does not exist.
const DATABASES: [&str; 2] = ["postgres", "template1"];

/// A server and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The postmaster's pid on this host.
    pub postmaster: i32,
    pub port: u16,
    pub access: Access,
}
