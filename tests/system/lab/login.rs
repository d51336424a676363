//! How sessions begin.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::User;
use rustix::thread::{set_thread_gid, set_thread_uid};
use socket2::{Domain, Protocol, Socket, Type};

use super::host::Host;
use super::line::Stream;
use super::session::Session;
use super::story::SOON;
use super::wire;

/// Whom a session is to reach, and as whom.
#[derive(Clone)]
pub struct Login {
    target: Target,
    parameters: Vec<(String, String)>,
    from: Option<SocketAddr>,
    silent: bool,
    limit: Duration,
}

#[derive(Clone)]
enum Target {
    Tcp(SocketAddr),
    /// A Unix socket, and the user of the operating system who connects.
    Unix(PathBuf, String),
}

impl Login {
    /// Over TCP, as the role postgres to the database postgres.
    pub fn to(address: SocketAddr) -> Login {
        Login::new(Target::Tcp(address))
    }

    /// Over a Unix socket, as the operating system's user postgres.
    pub fn unix(path: impl Into<PathBuf>) -> Login {
        Login::new(Target::Unix(path.into(), "postgres".to_owned()))
    }

    fn new(target: Target) -> Login {
        Login { target, parameters: Vec::new(), from: None, silent: false, limit: SOON }
            .parameter("user", "postgres")
            .parameter("database", "postgres")
    }

    /// The role.
    pub fn role(self, name: &str) -> Login {
        self.parameter("user", name)
    }

    /// The database.
    pub fn database(self, name: &str) -> Login {
        self.parameter("database", name)
    }

    /// The application's name.
    pub fn application(self, name: &str) -> Login {
        self.parameter("application_name", name)
    }

    /// A walsender.
    pub fn replication(self) -> Login {
        self.parameter("replication", "true")
    }

    /// Any parameter of the startup packet.
    pub fn parameter(mut self, name: &str, value: &str) -> Login {
        self.parameters.retain(|(known, _)| known != name);
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The client's own address and port; port 0 is any.
    pub fn from(mut self, address: SocketAddr) -> Login {
        self.from = Some(address);
        self
    }

    /// Nothing is sent after the connection is there.
    pub fn silent(mut self) -> Login {
        self.silent = true;
        self
    }

    /// How long the connection may take; 10 s by default.
    pub fn limit(mut self, limit: Duration) -> Login {
        self.limit = limit;
        self
    }

    /// Connects and sends the startup packet, in a host's namespaces.
    fn begin(&self) -> io::Result<Session> {
        let stream = match &self.target {
            Target::Tcp(address) => Stream::Tcp(self.tcp(*address)?),
            Target::Unix(path, user) => {
                become_user(user);
                Stream::Unix(UnixStream::connect(path)?)
            }
        };
        if self.silent {
            return Ok(Session::new(stream, 0));
        }
        let session = Session::new(stream, 1);
        // What goes wrong here is seen as the session's ending.
        let _ = session.send_raw(&wire::startup(&self.parameters));
        Ok(session)
    }

    fn tcp(&self, address: SocketAddr) -> io::Result<std::net::TcpStream> {
        let kind = Domain::for_address(address);
        let socket = Socket::new(kind, Type::STREAM, Some(Protocol::TCP))?;
        if let Some(from) = self.from {
            socket.set_reuse_address(true)?;
            socket.bind(&from.into())?;
        }
        socket.connect_timeout(&address.into(), self.limit)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_write_timeout(Some(SOON))?;
        Ok(socket.into())
    }
}

/// Makes this thread, which is thrown away afterwards, one of the user's.
fn become_user(name: &str) {
    let user = User::from_name(name).expect("the user database");
    let user = user.unwrap_or_else(|| panic!("this machine has no user {name}"));
    set_thread_gid(rustix::fs::Gid::from_raw(user.gid.as_raw())).expect("setgid");
    set_thread_uid(rustix::fs::Uid::from_raw(user.uid.as_raw())).expect("setuid");
}

impl Host {
    /// Begins so many sessions from here without waiting for the server's answers. Fails
    /// where the connection itself does.
    pub fn begin_many(&self, login: &Login, count: usize) -> io::Result<Vec<Session>> {
        super::pump::start();
        self.inside(|| (0..count).map(|_| login.begin()).collect())
    }

    /// Begins a session from here without waiting for the server's answer.
    pub fn begin(&self, login: &Login) -> io::Result<Session> {
        Ok(self.begin_many(login, 1)?.remove(0))
    }

    /// So many sessions from here, all logged in.
    #[track_caller]
    pub fn login_many(&self, login: &Login, count: usize) -> Vec<Session> {
        let sessions = self
            .begin_many(login, count)
            .unwrap_or_else(|e| panic!("a connection to PostgreSQL: {e}"));
        for session in &sessions {
            // A thousand backends take their time to start.
            let answer = session.wait_answer(SOON * 2);
            answer.unwrap_or_else(|failure| panic!("a login to PostgreSQL: {failure}"));
        }
        sessions
    }

    /// So many clients that come back: each tries to connect again when half a second has
    /// brought no answer, until it is let in. Gives them logged in.
    #[track_caller]
    pub fn come_back(&self, login: &Login, count: usize, limit: Duration) -> Vec<Session> {
        super::pump::start();
        let deadline = Instant::now() + limit;
        // Before the kernel would send a SYN again, which it does after 1, 3, 7 s: the demand
        // is to stay high.
        let login = &login.clone().limit(Duration::from_millis(500));
        let return_one = move || {
            self.inside(|| {
                loop {
                    match login.begin() {
                        Ok(session) => return session,
                        Err(error) => assert!(Instant::now() < deadline, "not let in: {error}"),
                    }
                }
            })
        };
        let sessions: Vec<Session> = thread::scope(|scope| {
            let clients: Vec<_> = (0..count).map(|_| scope.spawn(return_one)).collect();
            let sessions = clients.into_iter().map(|client| client.join());
            sessions.map(|session| session.expect("a client")).collect()
        });
        for session in &sessions {
            let answer = session.wait_answer(SOON);
            answer.unwrap_or_else(|failure| panic!("a login to PostgreSQL: {failure}"));
        }
        sessions
    }

    /// A session from here, logged in.
    #[track_caller]
    pub fn login(&self, login: &Login) -> Session {
        self.login_many(login, 1).remove(0)
    }

    /// So many sessions from here as postgres, logged in.
    #[track_caller]
    pub fn connect_many(&self, to: SocketAddr, count: usize) -> Vec<Session> {
        self.login_many(&Login::to(to), count)
    }

    /// A session from here as postgres, logged in.
    #[track_caller]
    pub fn connect(&self, to: SocketAddr) -> Session {
        self.login(&Login::to(to))
    }

    /// A connection from here on which nothing is sent.
    #[track_caller]
    pub fn silent(&self, to: SocketAddr) -> Session {
        self.begin(&Login::to(to).silent()).unwrap_or_else(|e| panic!("a connection to {to}: {e}"))
    }
}
