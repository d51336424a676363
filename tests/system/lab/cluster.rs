//! A PostgreSQL cluster on a host.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::host::Host;
use super::login::Login;
use super::outcome::Outcome;
use super::postgres::Postgres;
use super::processes::GLANCE;
use super::session::Session;
use super::story::SOON;
use super::wire::Rows;

/// Starts the postmaster as postgres and leaves it to the lab's first process, as it is
/// left to init on a real host.
const START: &str = r#"
    log=$1; shift
    setsid setpriv --reuid=postgres --regid=postgres --init-groups "$@" \
        </dev/null >>"$log" 2>&1 &
    echo $!
"#;

/// A cluster. It ends with its lab.
#[derive(Clone)]
pub struct Cluster {
    /// Where it is.
    pub host: Host,
    /// Its major version.
    pub major: u32,
    /// Its data directory.
    pub data: PathBuf,
    pub(super) postgres: Postgres,
}

impl Cluster {
    /// Starts it, and returns when it takes connections.
    pub fn start(&self) {
        let (program, log) = (self.postgres.binaries.join("postgres"), self.log_path());
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let words = [text(&log), text(&program), "-D".into(), text(&self.data)];
        let line = ["bash", "-euc", START, "start"].map(String::from);
        let started = self.host.run(line.into_iter().chain(words));
        let pid = started.assert_status(0).stdout.trim().to_owned();
        let postmaster = format!("/proc/{pid}");
        let deadline = Instant::now() + SOON;
        // As pg_ctl does, for want of an event: the eighth line of postmaster.pid, which may
        // still be that of a postmaster that was killed.
        let ready = self.host.inside(|| {
            loop {
                let said = fs::read_to_string(self.data.join("postmaster.pid"));
                let said: Vec<String> =
                    said.unwrap_or_default().lines().map(String::from).collect();
                let is_its_own = said.first() == Some(&pid);
                if is_its_own && said.get(7).is_some_and(|state| state.trim() == "ready") {
                    return true;
                }
                if !Path::new(&postmaster).exists() || Instant::now() > deadline {
                    return false;
                }
                std::thread::sleep(GLANCE);
            }
        });
        assert!(ready, "PostgreSQL did not start:\n{}", self.log());
    }

    /// Stops it fast, and returns when it is gone.
    pub fn stop(&self) {
        let postmaster = self.postmaster();
        self.host.signal(postmaster, "INT");
        self.host.wait_gone(postmaster, SOON);
    }

    /// The postmaster's process id in the lab.
    pub fn postmaster(&self) -> i32 {
        let path = self.data.join("postmaster.pid");
        let said = self.host.inside(|| fs::read_to_string(path));
        let said = said.expect("a postmaster that runs");
        let first = said.lines().next().and_then(|line| line.parse().ok());
        first.expect("the postmaster's process id")
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let path = self.log_path();
        self.host.inside(|| fs::read_to_string(path)).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// Its TCP port.
    pub fn port(&self) -> u16 {
        self.postgres.port
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        let name = format!(".s.PGSQL.{}", self.port());
        self.postgres.socket_dir.join(name)
    }

    /// A session over its Unix socket, as postgres.
    pub fn connect_local(&self) -> Session {
        self.host.login(&Login::unix(self.socket()))
    }

    /// One local session of each kind: over the Unix socket, over both loopback
    /// addresses, and over both of the host's own addresses on the bridge.
    pub fn connect_every_local_way(&self) -> Vec<(&'static str, Session)> {
        let port = self.port();
        let ways = [
            ("IPv4 loopback", ([127, 0, 0, 1], port).into()),
            ("IPv6 loopback", ([0, 0, 0, 0, 0, 0, 0, 1_u16], port).into()),
            ("own IPv4 address", self.host.at_v4(port)),
            ("own IPv6 address", self.host.at_v6(port)),
        ];
        let mut sessions = vec![("Unix socket", self.connect_local())];
        sessions.extend(ways.map(|(name, address)| (name, self.host.connect(address))));
        sessions
    }

    /// Runs a query in a local session of its own; it must succeed.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Rows {
        self.connect_local().query(sql)
    }

    /// The first value of the query's first row.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        self.connect_local().value(sql)
    }

    /// Waits until this query's first value is true, such as one that looks for a backend
    /// in `pg_stat_activity`. It is asked again and again, for want of an event.
    #[track_caller]
    pub fn wait_until(&self, sql: &str, limit: Duration) {
        let session = self.connect_local();
        let deadline = Instant::now() + limit;
        while session.value(sql) != "t" {
            assert!(Instant::now() < deadline, "not true within {limit:?}: {sql}");
            std::thread::sleep(GLANCE);
        }
    }

    /// Waits until a backend is in this state of `pg_stat_activity`, such as `active`.
    #[track_caller]
    pub fn wait_state(&self, backend: i32, state: &str) {
        let sql = format!(
            "select exists (select from pg_stat_activity where pid = {backend} and state = '{state}')"
        );
        self.wait_until(&sql, SOON);
    }

    /// Runs SQL by psql over the Unix socket as postgres: unaligned, rows only.
    pub fn psql(&self, sql: &str) -> Outcome {
        let own = self.postgres.binaries.join("psql");
        // The versions from elsewhere come without it; Debian's talks to all of them.
        let debian = Path::new("/usr/lib/postgresql/15/bin/psql");
        let psql = if own.exists() { &own } else { debian };
        let (directory, port) = (&self.postgres.socket_dir, self.port().to_string());
        self.host
            .program(&psql.to_string_lossy())
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres"])
            .args(["-d", "postgres", "-h", &directory.to_string_lossy()])
            .args(["-p", &port, "-c", sql])
            .user("postgres")
            .run()
    }

    /// When the postmaster started, as PostgreSQL says it.
    pub fn started_at(&self) -> String {
        self.value("select pg_postmaster_start_time()")
    }
}
