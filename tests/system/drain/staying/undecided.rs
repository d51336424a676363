//! As long as it is not known who stays, nobody is cut.

use super::{SOON, Scene, assert_alive, assert_farewells, names, spared};
use crate::lab::{Close, Lab, Login, Postgres};
use std::time::Duration;

/// No login by the Unix socket; the test itself looks on over loopback.
const NO_LOCAL_LOGIN: &str = "local all all reject\nhost all all all trust\n";

#[test]
fn where_sql_is_refused_nobody_is_cut_and_the_port_is_open() {
    for farewell in ["2s", "0s"] {
        let scene = Scene::set(Postgres::new().access(NO_LOCAL_LOGIN));
        let (staying, others) = (scene.shops(), scene.others());
        let line = format!("start --for 10m --spare role=shop --farewell {farewell}");
        let outcome = scene.lab.server.try_cordon(&line);
        let message = outcome.assert_failure(1, "spare");
        assert!(message.contains("pg_hba.conf rejects"), "{message}");
        assert_eq!(scene.lab.server.ruleset(), "");
        assert_alive(&staying);
        assert_alive(&others);
        assert!(scene.login(Login::to(scene.v4())).is_alive());
        scene.assert_same_server();
    }
}

#[test]
fn nobody_is_cut_before_the_server_has_said_who_stays() {
    for wait in [600, 2300] {
        let scene = Scene::set(Postgres::new());
        let (staying, others) = (scene.shops(), scene.others());
        // Its send queue is full, as that of a client which will never read a farewell.
        let pool = scene.login(Login::to(scene.v4()).role("shop"));
        pool.stop_reading();
        pool.send_query("select repeat('x', 1000) from generate_series(1, 20000)");
        scene.local.wait_shown(pool.backend_pid(), "wait_event = 'ClientWrite'", SOON);
        let postmaster = scene.lab.cluster().postmaster();
        scene.lab.server.signal(postmaster, "STOP");
        let line = "start --for 10m -o json --spare role=shop";
        let start = scene.lab.server.spawn_pgcordon(line.split(' '));
        std::thread::sleep(Duration::from_millis(wait));
        for session in staying.iter().chain(&others) {
            assert_eq!(session.ending().close, Close::StillOpen);
        }
        scene.lab.server.signal(postmaster, "CONT");
        let outcome = start.wait(SOON);
        let report = outcome.assert_status(0).json();
        assert_eq!(spared(&report).len(), 3, "{report}");
        assert_farewells(&others);
        assert_alive(&staying);
        pool.read_again();
        assert_eq!(pool.wait_answer(SOON).unwrap().len(), 20_000);
        scene.assert_same_server();
    }
}

#[test]
fn a_server_that_does_not_say_who_stays_keeps_its_clients() {
    let scene = Scene::set(Postgres::new());
    let mut sessions = scene.shops();
    sessions.extend(scene.others());
    let postmaster = scene.lab.cluster().postmaster();
    scene.lab.server.signal(postmaster, "STOP");
    let line = "start --for 10m --spare role=shop --drain-timeout 1s";
    let outcome = scene.lab.server.try_cordon(line);
    scene.lab.server.signal(postmaster, "CONT");
    let message = outcome.assert_failure(1, "spare");
    assert!(message.contains("did not answer"), "{message}");
    assert!(outcome.took < SOON, "{:?}", outcome.took);
    assert_eq!(scene.lab.server.ruleset(), "");
    assert_alive(&sessions);
    scene.assert_same_server();
}

#[test]
fn slots_taken_by_silent_clients_are_freed_to_find_out_who_stays() {
    let postgres = Postgres::new().setting("max_connections", 8).setting("max_wal_senders", 0);
    let scene = Scene::set(postgres);
    let staying = scene.shops();
    let silent: Vec<_> = (0..40).map(|_| scene.lab.clients[0].silent(scene.v4())).collect();
    let backends = "until [ $(pgrep -c -x postgres) -ge 40 ]; do :; done";
    scene.lab.server.shell(backends).assert_status(0);
    let report = scene.start("--spare role=shop");
    assert_eq!(spared(&report), names(&staying));
    for session in &silent {
        assert!(session.wait_end(SOON).is_closed());
    }
    assert_alive(&staying);
}

#[test]
fn what_cannot_be_spared_is_a_usage_error() {
    let lab = Lab::new(0);
    for bad in ["user=x", "role=", "pg_dump"] {
        let line = format!("start --for 10m --spare {bad}");
        lab.server.try_cordon(&line).assert_status(2);
    }
    assert_eq!(lab.server.ruleset(), "");
    // Nobody can be asked who stays.
    lab.cluster().stop();
    let listener = "import socket,time; s=socket.create_server(('', 5432)); time.sleep(600)";
    let _listener = lab.server.program("/usr/bin/python3").args(["-c", listener]).spawn();
    let listening = "until ss -Htln 'sport = :5432' | grep -q .; do :; done";
    lab.server.shell(listening).assert_status(0);
    let line = "start --for 10m --any-listener --spare role=shop";
    lab.server.try_cordon(line).assert_failure(1, "spare");
    assert_eq!(lab.server.ruleset(), "");
}
