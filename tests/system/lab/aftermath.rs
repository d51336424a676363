//! What is left after a drain, and whether the server itself is the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cluster::Cluster;
use super::host::Host;
use super::processes::GLANCE;
use super::session::Session;
use super::sockets::TcpState;
use super::story::SOON;

/// Remote sessions by `client_addr`: those of the bridge's networks but of the server's
/// own addresses there.
const REMOTE: &str = "(client_addr << '203.0.113.0/24' and client_addr <> '203.0.113.1' \
     or client_addr << '2001:db8:53::/64' and client_addr <> '2001:db8:53::1')";

/// How long the last ACK of a client may be under way. A client that hangs does so for a minute
/// at least (FIN_WAIT2).
const LAST_ACK: Duration = Duration::from_secs(10);

/// What stays the same as long as the postmaster lives and no backend has crashed: a crash
/// makes the postmaster start its helpers anew, and itself stays.
#[derive(Debug, PartialEq, Eq)]
pub struct Vitals {
    postmaster: i32,
    started_at: String,
    checkpointer: String,
    listening: usize,
}

impl Cluster {
    /// Its vitals, through a local session that is there already.
    #[track_caller]
    pub fn vitals_by(&self, local: &Session) -> Vitals {
        let checkpointer = "from pg_stat_activity where backend_type = 'checkpointer'";
        // A server takes connections before its helpers have their rows.
        local.wait_until(&format!("select exists (select {checkpointer})"), SOON);
        Vitals {
            postmaster: self.postmaster(),
            started_at: local.value("select pg_postmaster_start_time()"),
            checkpointer: local.value(&format!("select pid {checkpointer}")),
            listening: self.host.listening(self.port()),
        }
    }

    /// Its vitals.
    #[track_caller]
    pub fn vitals(&self) -> Vitals {
        self.vitals_by(&self.connect_local())
    }

    /// Fails where a remote session is in `pg_stat_activity`, asked in a local session.
    #[track_caller]
    pub fn assert_no_remote_row(&self, local: &Session) {
        let sql = format!(
            "select pid, client_addr, client_port, state, wait_event, query \
             from pg_stat_activity where {REMOTE}"
        );
        assert_eq!(local.query(&sql), Vec::<Vec<_>>::new(), "remote rows");
    }
}

impl Session {
    /// Waits until this query's first value is true, asked again and again in this session.
    #[track_caller]
    pub fn wait_until(&self, sql: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.value(sql) != "t" {
            assert!(Instant::now() < deadline, "not true within {limit:?}: {sql}");
            std::thread::sleep(GLANCE);
        }
    }

    /// Waits until a backend has a row in `pg_stat_activity` for which this holds.
    #[track_caller]
    pub fn wait_shown(&self, backend: i32, what: &str, limit: Duration) {
        let row = format!("select from pg_stat_activity where pid = {backend} and {what}");
        self.wait_until(&format!("select exists ({row})"), limit);
    }
}

impl Host {
    /// How many sockets listen on a port here.
    pub fn listening(&self, port: u16) -> usize {
        let sockets = self.socket_list(port);
        let listens = |state| state == TcpState::Listen;
        sockets.iter().filter(|s| listens(s.state)).count()
    }

    /// The remote sockets of a port but those in TIME_WAIT.
    pub fn open_or_closing(&self, port: u16) -> BTreeMap<TcpState, usize> {
        let mut sockets = self.remote_sockets(port);
        sockets.remove(&TcpState::TimeWait);
        sockets
    }

    /// Fails unless this host has no socket of the port but those in TIME_WAIT.
    #[track_caller]
    pub fn assert_only_time_wait(&self, port: u16) {
        let deadline = Instant::now() + LAST_ACK;
        let mut left = self.open_or_closing(port);
        while !left.is_empty() && Instant::now() < deadline {
            std::thread::sleep(GLANCE);
            left = self.open_or_closing(port);
        }
        assert_eq!(left, BTreeMap::new());
    }
}

/// Fails unless a report says that nobody is left and nobody is named.
#[track_caller]
pub fn assert_complete(report: &Value) {
    let drain = &report["drain"];
    assert_eq!(drain["backends"]["left"], 0, "{report}");
    assert_eq!(drain["sockets"]["left"], 0, "{report}");
    assert_eq!(drain["stragglers"], Value::Array(Vec::new()), "{report}");
    assert_eq!(drain["unproven"], Value::Null, "{report}");
}
