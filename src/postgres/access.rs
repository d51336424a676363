//! How a user wants PostgreSQL to be reached.

use crate::cordon::{Name, said, said_text};
use std::net::IpAddr;
use std::path::PathBuf;

const HEADING: &str = "Reaching PostgreSQL";

/// How PostgreSQL is reached; without it, as the owner of its Unix socket.
#[serde_with::apply(
    Option => #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
)]
#[derive(
    Debug,
    Clone,
    Default,
    PartialEq,
    Eq,
    clap::Args,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Postgres")]
pub struct Access {
    /// Directory of the Unix socket, where PostgreSQL has several [default: found by itself]
    #[arg(long = "pg-socket-dir", value_name = "DIR", help_heading = HEADING)]
    #[serde_with(skip_apply)]
    #[serde(default, deserialize_with = "said_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = "^/"))]
    pub socket_dir: Option<PathBuf>,
    /// Role to log in as [default: the name of the socket's owner]
    #[arg(long = "pg-user", value_name = "ROLE", help_heading = HEADING)]
    pub user: Option<Name>,
    /// Database to log in to [default: postgres, then template1]
    #[arg(long = "pg-database", value_name = "NAME", help_heading = HEADING)]
    pub database: Option<Name>,
    /// Use TCP to this address of this host; needs a password file [default: none, the Unix
    /// socket is used]
    // TLS is not spoken: whoever connects has made sure that the address is this host's own.
    #[arg(long = "pg-host", value_name = "ADDR", help_heading = HEADING)]
    pub host: Option<IpAddr>,
    /// Password file in the format of .pgpass, owned by root with mode 0600
    #[arg(long = "pg-passfile", value_name = "FILE", help_heading = HEADING)]
    #[serde_with(skip_apply)]
    #[serde(default, deserialize_with = "said_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = "^/"))]
    pub passfile: Option<PathBuf>,
}

impl Access {
    /// What flags say, else what a policy says.
    pub fn merge(flags: &Self, policy: &Self) -> Self {
        Self {
            socket_dir: flags.socket_dir.clone().or(policy.socket_dir.clone()),
            user: flags.user.clone().or(policy.user.clone()),
            database: flags.database.clone().or(policy.database.clone()),
            host: flags.host.or(policy.host),
            passfile: flags.passfile.clone().or(policy.passfile.clone()),
        }
    }

    /// This policy's access under these flags: the Unix socket and TCP exclude each other, so
    /// whoever names one of them on the command line does not want the policy's other one.
    pub fn under(mut self, flags: &Self) -> Self {
        match (&flags.socket_dir, flags.host) {
            (Some(_), None) => self.host = None,
            (None, Some(_)) => self.socket_dir = None,
            _ => {}
        }
        self
    }
}
