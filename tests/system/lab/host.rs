//! One host of a lab.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::outcome::Outcome;
use super::program::Program;
use super::space::Space;

/// A host: its addresses, and what can be done on it.
#[derive(Clone)]
pub struct Host {
    pub(super) space: Arc<Space>,
    /// Its IPv4 address on the bridge.
    pub v4: Ipv4Addr,
    /// Its IPv6 address on the bridge.
    pub v6: Ipv6Addr,
}

/// What became of an attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The handshake was completed.
    Connected,
    /// It was answered by a reset.
    Refused,
    /// No answer came in time.
    Silence,
}

impl Host {
    pub(super) fn new(space: Arc<Space>, v4: Ipv4Addr, v6: Ipv6Addr) -> Host {
        Host { space, v4, v6 }
    }

    /// Its IPv4 address with this port.
    pub fn at_v4(&self, port: u16) -> SocketAddr {
        (self.v4, port).into()
    }

    /// Its IPv6 address with this port.
    pub fn at_v6(&self, port: u16) -> SocketAddr {
        (self.v6, port).into()
    }

    /// Both its addresses on the bridge.
    pub fn addresses(&self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }

    /// Runs `work` in a thread within this host's network and mounts. No thread can be
    /// started there, and `/proc/self` does not exist; see [`Space::inside`].
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.space.inside(work)
    }

    /// A program to be run here.
    pub fn program(&self, name: &str) -> Program {
        Program::new(self.space.clone(), name)
    }

    /// Runs a command line here to its end.
    pub fn run<S: AsRef<str>>(&self, line: impl IntoIterator<Item = S>) -> Outcome {
        let mut words = line.into_iter();
        let name = words.next().expect("a command");
        self.program(name.as_ref()).args(words).run()
    }

    /// Runs a shell script here to its end.
    pub fn shell(&self, script: &str) -> Outcome {
        self.run(["bash", "-euc", script])
    }

    /// Runs a Python script of `tests/system/lab/` here, with the system's interpreter.
    pub fn python(&self, script: &str, args: &[&str]) -> Outcome {
        self.python_program(script).args(args).run()
    }

    /// The same as a program that is not started yet.
    pub fn python_program(&self, script: &str) -> Program {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/lab").join(script);
        self.program("/usr/bin/python3").args(["-B", &path.to_string_lossy()])
    }

    /// Runs the lines of an `ip -batch` file here.
    pub fn ip(&self, lines: &str) {
        self.program("ip").args(["-batch", "-"]).input(lines).run().assert_status(0);
    }

    /// Sets a kernel parameter, named by its path below `/proc/sys`.
    pub fn sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/{name}");
        self.inside(|| std::fs::write(&path, value)).unwrap_or_else(|e| panic!("{path}: {e}"));
    }

    /// Writes a file here. `/run` and `/var/lib/postgresql` are this host's own and vanish
    /// with it; every other place is the machine's.
    pub fn write(&self, path: &str, contents: impl AsRef<[u8]> + Send) {
        let own = ["/run/", "/var/lib/postgresql/"];
        assert!(own.iter().any(|place| path.starts_with(place)), "{path} is not the host's own");
        self.inside(|| std::fs::write(path, contents)).unwrap_or_else(|e| panic!("{path}: {e}"));
    }

    /// Opens a TCP connection from here, on which nothing is sent.
    pub fn tcp(&self, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        self.inside(|| TcpStream::connect_timeout(&to, limit))
    }

    /// Begins so many connections from here at once, and waits for no answer.
    pub fn knock(&self, to: SocketAddr, times: usize) -> Vec<Socket> {
        let begin = || {
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_nonblocking(true)?;
            // It says that it is under way.
            let _ = socket.connect(&to.into());
            io::Result::Ok(socket)
        };
        self.inside(|| (0..times).map(|_| begin().expect("a socket")).collect())
    }

    /// Tries to connect from here, and closes again.
    pub fn reach(&self, to: SocketAddr, limit: Duration) -> Reach {
        match self.tcp(to, limit) {
            Ok(_) => Reach::Connected,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Reach::Refused,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Reach::Silence,
            Err(error) => panic!("a connection to {to}: {error}"),
        }
    }
}
