//! Connects to a target and logs in. Tries each Unix socket, each database and each set of
//! startup options in turn, all under one deadline.

use super::options::Tier;
use super::passfile::{self, Wanted};
use super::procfs;
use super::socket::{self, UnixSocket};
use super::{DATABASES, SessionError, Target};
use crate::sys::privilege;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

/// How long to wait before a full queue is tried again. No event says that there is room: a
/// Unix socket that could not connect cannot be polled for it.
const QUEUE_RETRY: Duration = Duration::from_millis(10);

/// One deadline for all steps of opening a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    until: Instant,
    whole: Duration,
}

impl Deadline {
    pub(super) fn after(whole: Duration) -> Self {
        let until = Instant::now() + whole;
        Self { until, whole }
    }

    async fn wait<T>(
        &self,
        step: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, SessionError> {
        let after = self.whole;
        tokio::time::timeout_at(self.until, work)
            .await
            .map_err(|_elapsed| SessionError::NotAnswering { step, after })
    }
}

/// The session's client, and its role.
pub(super) async fn log_in(
    target: &Target,
    deadline: Deadline,
) -> Result<(Client, String), SessionError> {
    if let Some(host) = target.access.host {
        let pid = target.postmaster;
        let owner = procfs::effective_ids(pid)
            .map_err(|source| SessionError::Postmaster { pid, source })?
            .0;
        let route = Route::Tcp(SocketAddr::new(host, target.port));
        return log_in_by(&route, owner, target, deadline).await;
    }
    let mut first_error = None;
    for socket in socket::unix_sockets(target)? {
        let owner = socket.owner;
        match log_in_by(&Route::Unix(socket), owner, target, deadline).await {
            // Nothing was sent to the server yet: another of its sockets may work.
            Err(
                error @ (SessionError::Connect { .. }
                | SessionError::WrongPeer { .. }
                | SessionError::SwitchIds { .. }),
            ) => first_error = first_error.or(Some(error)),
            result => return result,
        }
    }
    Err(first_error.unwrap_or(SessionError::NoSocket { pid: target.postmaster, port: target.port }))
}

enum Route {
    Unix(UnixSocket),
    Tcp(SocketAddr),
}

/// Logs in over one route, as the role that the target names, or else as the role with the name
/// of `owner`.
async fn log_in_by(
    route: &Route,
    owner: u32,
    target: &Target,
    deadline: Deadline,
) -> Result<(Client, String), SessionError> {
    let role = match &target.access.user {
        Some(user) => user.to_string(),
        None => {
            // Only the deadline tells a user database that is slow from one that is dead.
            let (uid, after) = (owner, deadline.whole);
            tokio::time::timeout_at(deadline.until, privilege::user_name(uid))
                .await
                .map_err(|_elapsed| SessionError::NoUserDatabase { uid, after })?
                .map_err(|source| SessionError::Postmaster { pid: target.postmaster, source })?
                .ok_or(SessionError::NoSuchUser { uid })?
        }
    };
    let mut databases = match &target.access.database {
        Some(database) => vec![database.0.as_str()],
        None => DATABASES.to_vec(),
    }
    .into_iter();
    let mut database = databases.next().unwrap_or_default();
    let mut tier = Tier::guess(procfs::version_hint(target.postmaster));
    loop {
        let config = config(target, &role, database, tier, deadline.whole)?;
        let error = match route.try_login(&config, target, deadline).await? {
            Ok(client) => return Ok((client, role)),
            Err(error) => error,
        };
        let sqlstate = error.code().map_or("", |code| code.code());
        let refused = SessionError::of_login(&error, &role, database);
        if let Some(below) = tier.below(sqlstate) {
            tier = below;
        } else if let SessionError::NoDatabase { .. } = refused {
            database = databases.next().ok_or(refused)?;
        } else {
            return Err(refused);
        }
    }
}

/// The parameters of the login. The server ends a statement a second after this side has given
/// up on it.
fn config(
    target: &Target,
    role: &str,
    database: &str,
    tier: Tier,
    statement_deadline: Duration,
) -> Result<Config, SessionError> {
    let mut config = Config::new();
    config
        .user(role)
        .dbname(database)
        .application_name("pgcordon")
        .ssl_mode(SslMode::Disable)
        .options(tier.options(statement_deadline + Duration::from_secs(1)));
    if let (Some(host), Some(path)) = (target.access.host, &target.access.passfile) {
        let wanted = Wanted { host, port: target.port, database, role };
        let password = passfile::password(path, wanted).map_err(|why| {
            let path = path.clone();
            SessionError::Passfile { path, why }
        })?;
        config.password(password);
    }
    Ok(config)
}

type Login = Result<Client, tokio_postgres::Error>;

impl Route {
    /// Connects and logs in once. The outer error is final; the inner one is the server's.
    async fn try_login(
        &self,
        config: &Config,
        target: &Target,
        deadline: Deadline,
    ) -> Result<Login, SessionError> {
        const LOGIN: &str = "the login was sent";
        match self {
            Self::Unix(socket) => {
                let stream = connect_unix(socket, target.postmaster, deadline).await?;
                deadline.wait(LOGIN, start(stream, config)).await
            }
            Self::Tcp(address) => {
                let connecting = TcpStream::connect(address);
                let stream = deadline.wait("the connection was asked for", connecting);
                let stream = stream
                    .await?
                    .map_err(|source| SessionError::Connect { to: address.to_string(), source })?;
                deadline.wait(LOGIN, start(stream, config)).await
            }
        }
    }
}

/// Connects to a Unix socket. While its queue is full, this tries again until the deadline: a
/// blocking connect(2) would wait for ever for a postmaster that is stopped.
async fn connect_unix(
    socket: &UnixSocket,
    postmaster: i32,
    deadline: Deadline,
) -> Result<UnixStream, SessionError> {
    loop {
        if let Some(connected) = socket.connect(postmaster)? {
            return Ok(connected);
        }
        let pause = tokio::time::sleep(QUEUE_RETRY);
        deadline.wait("its queue of connections is full", pause).await?;
    }
}

/// Logs in over a connected stream and starts to move its bytes.
async fn start<S>(stream: S, config: &Config) -> Login
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    tokio::spawn(async move {
        // The client learns the error with its next statement.
        let _ended = connection.await;
    });
    Ok(client)
}
