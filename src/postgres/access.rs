//! How a user wants PostgreSQL to be reached.

use std::net::IpAddr;
use std::path::PathBuf;

/// How PostgreSQL is reached, whichever server it is; by default as the owner of its Unix
/// socket.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, clap::Args, serde::Serialize, serde::Deserialize,
)]
#[command(next_help_heading = "Reaching PostgreSQL")]
pub struct Access {
    /// Directory of the Unix socket, where PostgreSQL has several
    #[arg(long = "pg-socket-dir", value_name = "DIR")]
    pub socket_dir: Option<PathBuf>,
    /// Role to log in as [default: the name of the socket's owner]
    #[arg(long = "pg-user", value_name = "ROLE")]
    pub user: Option<String>,
    /// Database to log in to [default: postgres, then template1]
    #[arg(long = "pg-database", value_name = "NAME")]
    pub database: Option<String>,
    /// Use TCP to this address of this host instead of the Unix socket; needs a password file
    // TLS is not spoken: whoever connects has made sure that the address is this host's own.
    #[arg(long = "pg-host", value_name = "ADDR")]
    pub host: Option<IpAddr>,
    /// Password file in the format of .pgpass, owned by root with mode 0600
    #[arg(long = "pg-passfile", value_name = "FILE")]
    pub passfile: Option<PathBuf>,
}
