//! Clients that arrive at the very moment of `start`, and clients that come back.

use crate::lab::{Host, Lab, Login, Postgres, SOON, Session, assert_complete};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often the port is closed and opened again.
const ROUNDS: usize = 100;

/// How many connections a client has at once; for a new one it closes its oldest.
const CROWD: usize = 30;

/// Begins connections of every kind until told to stop, and gives those that it has then.
fn arrive(client: &Host, to: SocketAddr, stop: &AtomicBool) -> Vec<Session> {
    let login = Login::to(to).limit(Duration::from_millis(200));
    let mut sessions = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        if sessions.len() == CROWD {
            sessions.remove(0);
        }
        let silent = sessions.len() % 3 == 0;
        let kind = if silent { login.clone().silent() } else { login.clone() };
        // Once the port is blocked a handshake is not answered.
        let Ok(session) = client.begin(&kind) else {
            continue;
        };
        if sessions.len() % 5 == 1 {
            session.send_query("select pg_sleep(600)");
        }
        sessions.push(session);
    }
    sessions
}

#[test]
fn nobody_slips_through_who_arrives_as_the_port_is_closed() {
    let lab = Lab::with(2, Postgres::new().setting("max_connections", 50));
    let local = lab.cluster().connect_local();
    let vitals = lab.cluster().vitals_by(&local);
    let addresses = [lab.server.at_v4(5432), lab.server.at_v6(5432)];
    for round in 0..ROUNDS {
        let stop = &AtomicBool::new(false);
        let sessions = thread::scope(|scope| {
            let crowds: Vec<_> = lab
                .clients
                .iter()
                .zip(addresses)
                .map(|(client, to)| scope.spawn(move || arrive(client, to, stop)))
                .collect();
            let outcome = lab.server.pgcordon(["start", "--for", "10m", "-o", "json"]);
            stop.store(true, Ordering::Relaxed);
            outcome.assert_status(0);
            assert_complete(&outcome.json());
            let crowds = crowds.into_iter().map(|crowd| crowd.join().unwrap());
            crowds.flatten().collect::<Vec<Session>>()
        });
        lab.cluster().assert_no_remote_row(&local);
        for session in &sessions {
            let ending = session.wait_end(SOON);
            assert!(ending.is_closed(), "round {round}: {ending:?}");
        }
        lab.server.assert_only_time_wait(5432);
        lab.server.pgcordon(["lift"]).assert_status(0);
        assert!(lab.clients[0].connect(addresses[0]).is_alive(), "round {round}");
    }
    assert_eq!(lab.cluster().vitals_by(&local), vitals);
}

#[test]
fn pgbench_is_cut_and_works_again_after_the_window() {
    let lab = Lab::new(1);
    let vitals = lab.cluster().vitals();
    let pgbench = |args: &[&str]| {
        lab.clients[0]
            .program("/usr/lib/postgresql/15/bin/pgbench")
            .args(["-h", "203.0.113.1", "-U", "postgres"])
            .args(args)
            .args(["postgres"])
    };
    pgbench(&["-i", "-q", "-s", "1"]).run().assert_status(0);
    let load = pgbench(&["-n", "-c", "4", "-T", "60", "-S"]).spawn();
    lab.cluster().wait_until(
        "select count(*) = 4 from pg_stat_activity where application_name = 'pgbench'",
        SOON,
    );
    let outcome = lab.server.pgcordon(["start", "--for", "10m", "-o", "json"]);
    outcome.assert_status(0);
    let report = outcome.json();
    assert_complete(&report);
    assert_eq!(report["drain"]["backends"]["ended"], 4, "{report}");
    let cut = load.wait(SOON);
    assert_ne!(cut.status.code(), Some(0));
    let said = &cut.stderr;
    assert!(
        said.contains("terminating connection due to administrator command")
            || said.contains("server closed the connection"),
        "{cut}"
    );
    lab.server.pgcordon(["lift"]).assert_status(0);
    pgbench(&["-n", "-c", "4", "-t", "10", "-S"]).run().assert_status(0);
    assert_eq!(lab.cluster().vitals(), vitals);
}
