//! A real PostgreSQL in the calling thread's namespace, and clients that speak just enough
//! of its protocol.

use super::net::{LONG, within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server; stopped when dropped.
pub struct Server {
    process: Child,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts a server that listens on `address` and lets in everybody.
    pub fn start(address: &str, port: u16, settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let user = User::from_name("postgres").expect("the users");
        let user = user.expect("a user named postgres");
        chown(folder.path(), Some(user.uid), Some(user.gid)).expect("give the folder away");
        let data = folder.path().join("data");
        let initdb = as_postgres("initdb")
            .args(["-N", "--locale=C.UTF-8", "-A", "trust", "-D"])
            .arg(&data)
            .output()
            .expect("run initdb");
        assert!(initdb.status.success(), "initdb: {initdb:?}");
        let access = "local all all trust\nhost all all all trust\n";
        std::fs::write(data.join("pg_hba.conf"), access).expect("write pg_hba.conf");
        let log = std::fs::File::create(folder.path().join("log")).expect("a log");
        let mut command = as_postgres("postgres");
        command.arg("-D").arg(&data).arg("-k").arg(folder.path());
        command.args(["-p", &port.to_string(), "-c", "fsync=off"]);
        command.arg("-c").arg(format!("listen_addresses={address}"));
        for setting in settings {
            command.args(["-c", setting]);
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("start PostgreSQL");
        let server = Self { process, folder };
        let ready = server.folder.path().join("data/postmaster.pid");
        within(LONG, "PostgreSQL's readiness", || {
            let lines = std::fs::read_to_string(&ready).unwrap_or_default();
            let status = lines.lines().nth(7).map(str::trim);
            (status == Some("ready")).then_some(())
        });
        server
    }

    /// The postmaster's process id: `setpriv` became it.
    pub fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    /// The folder of its Unix socket.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether it runs, and has not had to restart its backends.
    pub fn assert_unharmed(&mut self) {
        let ended = self.process.try_wait().expect("the postmaster's status");
        let log = std::fs::read_to_string(self.folder.path().join("log")).expect("the log");
        assert!(ended.is_none(), "the postmaster has ended: {log}");
        assert!(!log.contains("crash"), "a backend has crashed: {log}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.pid()), Signal::SIGQUIT);
        let _ = self.process.wait();
    }
}

fn as_postgres(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    command.arg(binaries().join(program)).current_dir("/");
    command
}

/// Debian's folder of the newest PostgreSQL.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let newest =
        versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok()).max();
    let newest = newest.expect("a version of PostgreSQL");
    PathBuf::from(format!("/usr/lib/postgresql/{newest}/bin"))
}

/// Logs in and waits until the session is ready.
pub fn log_in(stream: &mut TcpStream) {
    let mut packet = 196_608_u32.to_be_bytes().to_vec();
    packet.extend(b"user\0postgres\0database\0postgres\0\0");
    let length = (packet.len() as u32 + 4).to_be_bytes();
    stream.write_all(&[&length[..], &packet].concat()).expect("send the startup packet");
    while message(stream).0 != b'Z' {}
}

/// Sends a statement and does not wait for its result.
pub fn send(stream: &mut TcpStream, statement: &str) {
    let length = (statement.len() as u32 + 5).to_be_bytes();
    let message = [b"Q", &length[..], statement.as_bytes(), b"\0"].concat();
    stream.write_all(&message).expect("send a statement");
}

/// The next message's type and body.
pub fn message(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let mut head = [0; 5];
    stream.read_exact(&mut head).expect("a message of the server");
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).expect("a message's body");
    (head[0], body)
}
