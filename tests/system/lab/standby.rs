//! Standbys: clusters that stream from another one.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::cluster::Cluster;
use super::host::Host;
use super::postgres::Postgres;
use super::story::SOON;

impl Host {
    /// A standby here of a cluster at this address, which streams as `name`. It comes back
    /// five times a second when it was cut.
    pub fn start_standby(&self, primary: &Cluster, at: SocketAddr, name: &str) -> Cluster {
        let postgres = Postgres::new();
        let parent = PathBuf::from(format!("/var/lib/postgresql/{}", primary.major));
        let data = parent.join("main");
        self.run(["install", "-d", "-o", "postgres", "/var/run/postgresql"]).assert_status(0);
        let text = parent.to_string_lossy().into_owned();
        self.run(["install", "-d", "-o", "postgres", &text]).assert_status(0);
        let (host, port) = (at.ip(), at.port());
        let conninfo = format!(
            "host={host} port={port} user=postgres application_name={name} connect_timeout=2"
        );
        self.program(&postgres.binaries.join("pg_basebackup").to_string_lossy())
            .args(["-D", &data.to_string_lossy(), "-d", &conninfo])
            .args(["-R", "-X", "stream", "-c", "fast", "-N"])
            .user("postgres")
            .limit(SOON)
            .run()
            .assert_status(0);
        let configuration = data.join("postgresql.conf");
        self.inside(|| {
            let file = OpenOptions::new().append(true).open(&configuration);
            let mut file = file.expect("postgresql.conf");
            file.write_all(b"wal_retrieve_retry_interval = '200ms'\n").expect("a setting");
        });
        let standby = Cluster { host: self.clone(), major: primary.major, data, postgres };
        standby.start();
        primary.wait_streaming(name);
        standby
    }
}

impl Cluster {
    /// Waits until a standby of this name streams from here.
    #[track_caller]
    pub fn wait_streaming(&self, name: &str) {
        let row = format!("application_name = '{name}' and state = 'streaming'");
        let sql = format!("select exists (select from pg_stat_replication where {row})");
        self.wait_until(&sql, SOON);
    }

    /// The process that receives the stream here.
    pub fn wal_receiver(&self) -> Option<i32> {
        let sql = "select coalesce((select pid from pg_stat_wal_receiver), 0)";
        let pid = self.value(sql).parse().expect("a process id");
        (pid != 0).then_some(pid)
    }
}
