//! How a user wants PostgreSQL to be reached.

use super::Target;
use std::net::IpAddr;
use std::path::PathBuf;

/// How PostgreSQL is reached, whichever server it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Access {
    /// Directory of the Unix socket.
    pub socket_dir: Option<PathBuf>,
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// An address of this host, instead of the Unix socket.
    pub host: Option<IpAddr>,
    /// Password file.
    pub passfile: Option<PathBuf>,
}

impl Access {
    /// The session's target.
    #[must_use]
    pub fn target(&self, postmaster: i32, port: u16) -> Target {
        Target {
            postmaster,
            port,
            socket_dir: self.socket_dir.clone(),
            user: self.user.clone(),
            database: self.database.clone(),
            host: self.host,
            passfile: self.passfile.clone(),
        }
    }
}
