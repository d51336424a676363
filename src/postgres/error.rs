//! Why there is no session or no answer, with what the user can do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why there is no session. Only [`SessionError::TooManyConnections`] and
/// [`SessionError::CannotConnectNow`] may go away by themselves.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error(
        "cannot see which sockets process {pid} listens on: {source} (it may have ended; else run as root, or with CAP_SYS_PTRACE)"
    )]
    Postmaster { pid: i32, source: io::Error },
    #[error(
        "PostgreSQL (pid {pid}) listens on no Unix socket for port {port}: set unix_socket_directories, or use --pg-host with --pg-passfile"
    )]
    NoSocket { pid: i32, port: u16 },
    #[error(
        "cannot open the Unix socket {path}: {source} (if its file was removed, only a restart of PostgreSQL brings it back: use another one with --pg-socket-dir, or --pg-host)"
    )]
    OpenSocket { path: PathBuf, source: io::Error },
    #[error("{path} is not a socket: remove it, or name the right directory with --pg-socket-dir")]
    NotASocket { path: PathBuf },
    #[error(
        "cannot connect to {path} as its owner, uid {uid}: {source} (run as root, or with CAP_SETUID and CAP_SETGID)"
    )]
    SwitchIds { path: PathBuf, uid: u32, source: io::Error },
    #[error("cannot connect to {to}: {source} (is PostgreSQL still running and listening there?)")]
    Connect { to: String, source: io::Error },
    #[error(
        "the Unix socket {path} belongs to process {peer}, not to PostgreSQL (pid {postmaster}): a false server would report wrongly who is connected; remove that socket, or use --pg-socket-dir"
    )]
    WrongPeer {
        path: PathBuf,
        /// 0 if it is in a pid namespace that cannot be seen.
        peer: i32,
        postmaster: i32,
    },
    #[error(
        "the owner of the Unix socket, uid {uid}, is not in the user database: name a role with --pg-user"
    )]
    NoSuchUser { uid: u32 },
    #[error(
        "the user database did not name the owner of the Unix socket, uid {uid}, within {}: name a role with --pg-user, which needs no look-up",
        seconds(.after)
    )]
    NoUserDatabase { uid: u32, after: Duration },
    #[error(
        "the password file {path} is not used: {why} (root must own it and every directory on the way, mode 0600, one host:port:database:role:password a line)"
    )]
    Passfile { path: PathBuf, why: String },
    #[error("PostgreSQL did not answer within {}: {step} (is the postmaster stopped or the host overloaded?)", seconds(.after))]
    NotAnswering { step: &'static str, after: Duration },
    /// All slots are taken (SQLSTATE 53300), those for superusers too. The drain frees slots by
    /// destroying sockets and then tries again.
    #[error(
        "PostgreSQL has no connection slot left: {message} (slots become free as connections end; superuser_reserved_connections keeps some)"
    )]
    TooManyConnections { message: String },
    /// The server is starting up, shutting down or recovering (SQLSTATE 57P03).
    #[error(
        "PostgreSQL takes no connections now: {message} (try again when it is up; hot_standby=on lets a standby answer)"
    )]
    CannotConnectNow { message: String },
    /// The login was refused (SQLSTATE class 28): pg_hba.conf, the password, or no such role.
    #[error(
        "PostgreSQL refuses the login as role \"{role}\": {message} (let root in with the line `local all {role} peer` at the top of pg_hba.conf and reload, or name a role with --pg-user, or use --pg-host with --pg-passfile)"
    )]
    Refused { role: String, message: String },
    #[error(
        "PostgreSQL wants a password of role \"{role}\", or an authentication that pgcordon does not speak: {message} (let root in with the line `local all {role} peer` at the top of pg_hba.conf and reload, or use --pg-host with --pg-passfile)"
    )]
    Authentication { role: String, message: String },
    #[error(
        "PostgreSQL lets nobody into database \"{database}\": {message} (name another one with --pg-database)"
    )]
    NoDatabase { database: String, message: String },
    #[error("the login to PostgreSQL failed: {message} (its log says more)")]
    Login { message: String },
    /// Something in between forwards the connection.
    #[error(
        "the server that answered is that of port {found}, not of port {port}: a pooler or a forwarding is between; use --pg-socket-dir or --pg-host to name the server itself"
    )]
    WrongPort { port: u16, found: String },
    #[error(
        "the session's backend (pid {backend}) is no child of PostgreSQL (pid {postmaster}): a pooler or a forwarding is between; use --pg-socket-dir or --pg-host to name the server itself"
    )]
    WrongBackend {
        /// Its pid in the server's own counting.
        backend: i32,
        postmaster: i32,
    },
    /// The role may not see or may not end other users' sessions.
    #[error("role \"{role}\" lacks what the drain needs: {} (run `GRANT {} TO \"{role}\"`, or name a superuser with --pg-user)", missing.join(", "), missing.join(", "))]
    MissingRights { role: String, missing: Vec<&'static str> },
    #[error("the session could not be checked: {0}")]
    Check(#[source] StatementError),
}

/// Why a statement has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    #[error("PostgreSQL did not answer a statement within {} (is a backend stopped or the host overloaded?)", seconds(.after))]
    NotAnswering { after: Duration },
    #[error(
        "PostgreSQL closed the session (it may have been ended by another administrator, or the server stops: its log says which)"
    )]
    Closed,
    #[error("{message} (SQLSTATE {sqlstate})")]
    Server { sqlstate: String, message: String },
    #[error("PostgreSQL's answer cannot be read: {0} (is this a server of version 12 to 18?)")]
    Unreadable(String),
}

impl From<tokio_postgres::Error> for StatementError {
    fn from(error: tokio_postgres::Error) -> Self {
        use std::error::Error as _;
        if let Some(server) = error.as_db_error() {
            // 57P01 and its like end the session with a message of their own.
            return Self::Server {
                sqlstate: server.code().code().to_owned(),
                message: server.message().to_owned(),
            };
        }
        let of_connection = error.source().is_some_and(|source| source.is::<io::Error>());
        if error.is_closed() || of_connection {
            return Self::Closed;
        }
        Self::Unreadable(with_causes(&error))
    }
}

impl SessionError {
    /// What a failed login means.
    pub(super) fn of_login(error: &tokio_postgres::Error, role: &str, database: &str) -> Self {
        let (role, database) = (role.to_owned(), database.to_owned());
        let Some(server) = error.as_db_error() else {
            let message = with_causes(error);
            return match needs_credentials(error) {
                true => Self::Authentication { role, message },
                false => Self::Login { message },
            };
        };
        let message = server.message().to_owned();
        match server.code().code() {
            "53300" => Self::TooManyConnections { message },
            "57P03" => Self::CannotConnectNow { message },
            code if code.starts_with("28") => Self::Refused { role, message },
            "3D000" | "55000" => Self::NoDatabase { database, message },
            _ => Self::Login { message },
        }
    }

    /// Whether another try under the same window may succeed: connections may end, or the
    /// server may come up.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::TooManyConnections { .. } | Self::CannotConnectNow { .. })
    }
}

/// tokio-postgres has no public kinds of errors. It calls a missing password an error of its
/// configuration, and an unknown method one of authentication.
fn needs_credentials(error: &tokio_postgres::Error) -> bool {
    let text = error.to_string();
    text.starts_with("invalid configuration") || text.starts_with("authentication error")
}

/// The error with its causes; tokio-postgres prints only the outermost.
fn with_causes(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let inner = error.to_string();
        if !text.ends_with(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        cause = error.source();
    }
    text
}

fn seconds(time: &Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
