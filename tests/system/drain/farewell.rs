//! The drain as its victims and its bystanders see it.

use crate::lab::{Lab, Postgres, SOON, TcpState};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Waits until a host has no socket of the port but those in TIME_WAIT.
fn only_time_wait(host: &crate::lab::Host, port: u16) -> BTreeMap<TcpState, usize> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut sockets = host.remote_sockets(port);
        sockets.remove(&TcpState::TimeWait);
        if sockets.is_empty() || Instant::now() > deadline {
            return sockets;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_hundred_remote_sessions_get_a_farewell_and_local_ones_live() {
    let lab = Lab::with(2, Postgres::new().setting("max_connections", "150"));
    let cluster = lab.cluster();
    let started = cluster.started_at();
    let mut remote = Vec::new();
    for client in &lab.clients {
        remote.extend(client.connect_many(lab.server.at_v4(5432), 25));
        remote.extend(client.connect_many(lab.server.at_v6(5432), 25));
    }
    let mut local = cluster.connect_every_local_way();

    let outcome = lab.server.pgcordon(["start", "--for", "10m", "-o", "json"]);
    outcome.assert_status(0);
    let report = outcome.json();
    assert_eq!(report["result"], "cordoned");
    assert_eq!(report["drain"]["sql"], "ok");
    assert_eq!(report["drain"]["backends"]["found"], 100);
    assert_eq!(report["drain"]["backends"]["ended"], 100);
    assert_eq!(report["drain"]["sockets"]["left"], 0);

    for session in &mut remote {
        session.wait_end(SOON).assert_farewell();
    }
    for host in [&lab.server, &lab.clients[0], &lab.clients[1]] {
        assert_eq!(only_time_wait(host, 5432), BTreeMap::new(), "{}", outcome.stdout);
    }
    for (way, session) in &mut local {
        assert!(session.is_alive(), "{way}");
    }
    lab.server.pgcordon(["lift"]).assert_status(0);
    for (way, session) in &mut local {
        assert!(session.is_alive(), "{way} after the window");
    }
    for client in &lab.clients {
        assert!(client.connect(lab.server.at_v4(5432)).is_alive());
    }
    assert_eq!(cluster.started_at(), started);
}

#[test]
fn a_low_limit_of_open_files_spares_nobody() {
    let lab = Lab::new(1);
    let sessions = lab.clients[0].connect_many(lab.server.at_v4(5432), 80);
    let tool = lab.server.tool().under(["prlimit", "--nofile=64:64"]);
    let outcome = tool.args(["start", "--for", "10m", "-o", "json"]).run();
    assert!(matches!(outcome.status.code(), Some(0 | 3)), "{outcome}");
    for session in &sessions {
        assert!(session.wait_end(SOON).is_closed(), "{outcome}");
    }
}
