//! A throw-away PostgreSQL in a network namespace of the test's thread.

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown};
use pgcordon::testing::postgres::{Access, Session, SessionError, Target};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const PORT: u16 = 5432;

/// Long enough for a loaded machine; the stories about silence choose their own.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Who may log in unless a story says otherwise.
const HBA: &str = "local all postgres peer\nlocal all all trust\nhost all all 127.0.0.1/32 trust\n";

/// The data directory that initdb made, kept for as long as a server that was copied from it.
static TEMPLATE: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());

/// What differs from an ordinary server.
#[derive(Default)]
pub struct Setup<'a> {
    /// Lines of postgresql.conf; `{dir}` stands for the server's folder.
    pub conf: &'a str,
    /// pg_hba.conf.
    pub hba: Option<&'a str>,
    /// A shell command that runs the server, `"$@"`, in surroundings of its own.
    pub around: Option<&'a str>,
}

pub struct Server {
    /// What was started; the postmaster itself, or the program around it.
    process: Child,
    pub postmaster: i32,
    pub folder: TempDir,
    /// Where only root may write.
    pub for_root: TempDir,
    _template: Arc<TempDir>,
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(&Setup::default())
    }

    pub fn start_with(setup: &Setup<'_>) -> Self {
        own_network();
        let template = template();
        let folder = folder_of_postgres();
        let path = folder.path().display().to_string();
        let data = folder.path().join("data");
        run(Command::new("cp").arg("-a").arg(template.path().join("data")).arg(&data));
        let conf = format!(
            "{}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{path}'\nfsync = off\n\
             max_connections = 80\nshared_buffers = 16MB\n{}\n",
            fs::read_to_string(data.join("postgresql.conf")).expect("postgresql.conf"),
            setup.conf.replace("{dir}", &path),
        );
        fs::write(data.join("postgresql.conf"), conf).expect("postgresql.conf");
        fs::write(data.join("pg_hba.conf"), setup.hba.unwrap_or(HBA)).expect("pg_hba.conf");

        let log = fs::File::create(folder.path().join("log")).expect("log");
        let around = setup.around.unwrap_or("exec \"$@\"").replace("{dir}", &path);
        let process = Command::new("sh")
            .args(["-c", &around, "sh"])
            // Gone with the thread of the test, even if that is killed.
            .args(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"])
            .args(["--pdeathsig=KILL", &program("postgres"), "-D"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .spawn()
            .expect("start PostgreSQL");
        let mut server = Self {
            process,
            postmaster: 0,
            folder,
            for_root: tempfile::tempdir_in("/run").expect("a folder of root's"),
            _template: template,
        };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&mut self) {
        let pidfile = self.folder.path().join("data/postmaster.pid");
        let end = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(&pidfile).is_ok_and(|text| text.contains("ready")) {
            if Instant::now() > end || self.process.try_wait().expect("wait").is_some() {
                let log = fs::read_to_string(self.folder.path().join("log"));
                panic!("PostgreSQL does not start: {}", log.unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.postmaster = i32::try_from(self.process.id()).expect("pid");
        // A program around it forks: the postmaster is then its only child.
        if !fs::read(format!("/proc/{}/cmdline", self.postmaster))
            .expect("cmdline")
            .windows(8)
            .any(|part| part == b"postgres")
            || fs::read_to_string(format!("/proc/{}/comm", self.postmaster)).expect("comm")
                != "postgres\n"
        {
            let pid = self.postmaster;
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
            self.postmaster = children.expect("children").trim().parse().expect("one child");
        }
    }

    pub fn target(&self) -> Target {
        Target { postmaster: self.postmaster, port: PORT, access: Access::default() }
    }

    pub async fn session(&self) -> Session {
        self.open(&self.target()).await.expect("a session")
    }

    pub async fn open(&self, target: &Target) -> Result<Session, SessionError> {
        Session::open(target, DEADLINE).await
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{PORT}"))
    }

    /// Runs statements by psql as the superuser, over loopback.
    pub fn sql(&self, database: &str, statements: &[&str]) -> String {
        let mut psql = Command::new("psql");
        psql.args(["-h", "127.0.0.1", "-U", "postgres", "-d", database, "-AtqX"]);
        psql.args(["-v", "ON_ERROR_STOP=1"]).env_remove("PGOPTIONS");
        for statement in statements {
            psql.args(["-c", statement]);
        }
        run(&mut psql)
    }

    pub fn signal(&self, pid: i32, signal: Signal) {
        kill(Pid::from_raw(pid), signal).expect("signal");
    }

    pub async fn client(&self, role: &str) -> Client {
        Client::connect(role, "postgres").await.expect("a client")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let postmaster = Pid::from_raw(self.postmaster);
        if self.postmaster > 0 {
            let _ = kill(postmaster, Signal::SIGCONT);
            let _ = kill(postmaster, Signal::SIGQUIT);
        } else {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// A client over loopback.
pub struct Client {
    pub sql: tokio_postgres::Client,
    pub address: std::net::SocketAddr,
    pub ended: tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Client {
    pub async fn connect(role: &str, database: &str) -> Result<Self, tokio_postgres::Error> {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", PORT)).await;
        let stream = stream.expect("connect");
        let address = stream.local_addr().expect("address");
        let mut config = tokio_postgres::Config::new();
        config.user(role).dbname(database).application_name("story");
        let (sql, connection) = config.connect_raw(stream, tokio_postgres::NoTls).await?;
        let ended = tokio::spawn(connection);
        Ok(Self { sql, address, ended })
    }

    /// Asked by a simple query: a prepared one is closed by a message that may still be on its
    /// way when the backend ends, and would lose what that says.
    pub async fn pid(&self) -> i32 {
        let answer = self.sql.simple_query("SELECT pg_backend_pid()").await;
        let messages = answer.expect("an answer");
        let pid = messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        pid.expect("a row").parse().expect("a pid")
    }
}

/// A network namespace of this thread's own, with loopback up; so every server has the same
/// port and none meets another.
fn own_network() {
    use nix::sched::CloneFlags;
    // CLONE_FS: a working directory of this thread's own, too.
    nix::sched::unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_FS)
        .expect("these tests need root, or `unshare -rn` around them");
    run(Command::new("ip").args(["link", "set", "lo", "up"]));
}

fn template() -> Arc<TempDir> {
    let mut template = TEMPLATE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(template) = template.upgrade() {
        return template;
    }
    let folder = folder_of_postgres();
    run(Command::new("setpriv")
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
        .args([&program("initdb"), "-A", "trust", "-U", "postgres", "-N", "--wal-segsize=1"])
        .args(["--locale=C.UTF-8", "-D"])
        .arg(folder.path().join("data")));
    let folder = Arc::new(folder);
    *template = Arc::downgrade(&folder);
    folder
}

/// A folder that the user postgres owns and everyone can enter.
fn folder_of_postgres() -> TempDir {
    let folder = TempDir::with_prefix_in("pgcordon-", "/tmp").expect("folder");
    let postgres = User::from_name("postgres").expect("users");
    let postgres = postgres.expect("these tests need PostgreSQL's user, postgres");
    chown(folder.path(), Some(postgres.uid), Some(postgres.gid)).expect("chown");
    set_mode(folder.path(), 0o755);
    folder
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
}

/// A program of the server: from `PGCORDON_TEST_BINDIR`, to try other versions, else the newest
/// that Debian's layout has.
fn program(name: &str) -> String {
    if let Ok(folder) = std::env::var("PGCORDON_TEST_BINDIR") {
        return format!("{folder}/{name}");
    }
    let versions = fs::read_dir("/usr/lib/postgresql").expect("these tests need PostgreSQL");
    let version = versions
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .max()
        .expect("these tests need PostgreSQL");
    format!("/usr/lib/postgresql/{version}/bin/{name}")
}

/// The major version of the server's programs.
pub fn major() -> u32 {
    let version = run(Command::new(program("postgres")).arg("--version"));
    let digits = |c: char| !c.is_ascii_digit();
    let number = version.split(digits).find(|part| !part.is_empty());
    number.expect("a version").parse().expect("a number")
}

/// Runs a command to its end and returns its output.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
