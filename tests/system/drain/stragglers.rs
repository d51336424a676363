//! Backends that do not end: they are named, they are never killed, and they delay nobody.

use crate::lab::{Close, Host, Lab, Postgres, SOON, Session, Vitals, assert_complete};
use serde_json::{Value, json};

/// A start whose drain is given little time, in which all but one end.
const SHORT: [&str; 7] = ["start", "--for", "10m", "--drain-timeout", "3s", "-o", "json"];

/// A server with a remote backend that is stopped while it sleeps, so that no signal but
/// SIGKILL ends it.
struct Scene {
    lab: Lab,
    local: Session,
    vitals: Vitals,
    stuck: Session,
}

impl Scene {
    fn set(postgres: Postgres) -> Scene {
        let lab = Lab::with(1, postgres);
        let local = lab.server.connect(([127, 0, 0, 1], 5432).into());
        let vitals = lab.cluster().vitals_by(&local);
        let stuck = lab.clients[0].connect(lab.server.at_v4(5432));
        stuck.query("set application_name = 'billing'");
        stuck.send_query("select pg_sleep(600)");
        local.wait_shown(stuck.backend_pid(), "wait_event = 'PgSleep'", SOON);
        lab.server.signal(stuck.backend_pid(), "STOP");
        Scene { lab, local, vitals, stuck }
    }

    fn client(&self) -> &Host {
        &self.lab.clients[0]
    }

    fn connect(&self) -> Session {
        self.client().connect(self.lab.server.at_v4(5432))
    }

    fn drain(&self) -> Value {
        let outcome = self.lab.server.pgcordon(["drain", "-o", "json"]);
        outcome.assert_status(0);
        outcome.json()
    }

    /// The stuck backend has got no SIGKILL: it is there, and ends once it may run.
    fn release(&self) {
        let backend = self.stuck.backend_pid();
        assert!(self.lab.server.is_process(backend), "it was killed");
        self.let_run();
        self.lab.server.wait_gone(backend, SOON);
    }

    fn let_run(&self) {
        self.lab.server.signal(self.stuck.backend_pid(), "CONT");
    }

    fn assert_same_server(&self) {
        assert_eq!(self.lab.cluster().vitals_by(&self.local), self.vitals);
    }
}

#[test]
fn a_stopped_backend_is_named_and_ends_as_soon_as_it_runs_again() {
    let scene = Scene::set(Postgres::new());
    let others: Vec<Session> = (0..5).map(|_| scene.connect()).collect();
    let outcome = scene.lab.server.pgcordon(SHORT);
    outcome.assert_status(3);
    let report = outcome.json();
    assert_eq!(report["result"], "incomplete");
    assert_eq!(report["changed"], true);
    assert_eq!(report["drain"]["backends"], json!({"found": 6, "ended": 5, "left": 1}));
    let [straggler] = report["drain"]["stragglers"].as_array().unwrap().as_slice() else {
        panic!("one straggler expected: {report}");
    };
    let client = scene.stuck.local().to_string();
    for (field, value) in [
        ("port", json!(5432)),
        ("pid", json!(scene.stuck.backend_pid())),
        ("role", json!("postgres")),
        ("database", json!("postgres")),
        ("application", json!("billing")),
        ("client", json!(client)),
        ("state", json!("active")),
        ("wait", json!("Timeout/PgSleep")),
        ("query", json!("select pg_sleep(600)")),
    ] {
        assert_eq!(straggler[field], value, "{field}");
    }
    for session in &others {
        session.wait_end(SOON).assert_farewell();
    }
    // Its socket is gone all the same: no byte of the client can reach it.
    assert_eq!(scene.stuck.wait_end(SOON).close, Close::Rst);
    scene.lab.server.assert_only_time_wait(5432);

    scene.release();
    let report = scene.drain();
    assert_eq!(report["result"], "drained");
    assert_complete(&report);
    scene.assert_same_server();
}

#[test]
fn one_stuck_backend_delays_nobody_elses_farewell() {
    let scene = Scene::set(Postgres::new());
    let others: Vec<Session> = (0..5).map(|_| scene.connect()).collect();
    let line = ["start", "--for", "5m", "--farewell", "60s", "--drain-timeout", "60s"];
    let mut start = scene.lab.server.spawn_pgcordon(line);
    for session in &others {
        session.wait_end(SOON).assert_farewell();
    }
    assert!(start.is_running(), "it waits for the stuck one alone");
    scene.release();
    scene.stuck.wait_end(SOON).assert_farewell();
    start.wait(SOON).assert_status(0);
    scene.assert_same_server();
}

#[test]
fn the_drains_time_ends_before_a_longer_farewell() {
    let scene = Scene::set(Postgres::new());
    let line = ["start", "--for", "5m", "--farewell", "4m", "--drain-timeout", "1s"];
    let outcome = scene.lab.server.pgcordon(line);
    outcome.assert_status(3);
    assert_eq!(scene.stuck.wait_end(SOON).close, Close::Rst);
    assert!(scene.lab.server.set_elements("pgcordon_5432", "farewell").is_empty());
    scene.release();
    scene.assert_same_server();
}

#[test]
fn with_strict_an_incomplete_drain_lifts_the_cordon_again() {
    let scene = Scene::set(Postgres::new());
    let other = scene.connect();
    let outcome = scene.lab.server.pgcordon(SHORT.into_iter().chain(["--strict"]));
    outcome.assert_status(1);
    let report = outcome.json();
    assert_eq!(report["result"], "failed");
    assert_eq!(report["changed"], false);
    assert_eq!(report["error"]["kind"], "incomplete");
    let pid = scene.stuck.backend_pid().to_string();
    let message = report["error"]["message"].as_str().unwrap();
    assert!(message.contains(&pid), "{message}");
    other.wait_end(SOON).assert_farewell();
    assert_eq!(scene.lab.server.ruleset(), "");
    assert!(scene.connect().is_alive());
    scene.release();
    scene.assert_same_server();
}

#[test]
fn a_drain_again_still_names_who_does_not_end() {
    let scene = Scene::set(Postgres::new());
    scene.lab.server.pgcordon(SHORT).assert_status(3);
    let again = ["drain", "--drain-timeout", "1s", "-o", "json"];
    let outcome = scene.lab.server.pgcordon(again);
    outcome.assert_status(3);
    let report = outcome.json();
    assert_eq!(report["command"], "drain");
    assert_eq!(report["result"], "incomplete");
    let straggler = &report["drain"]["stragglers"][0];
    assert_eq!(straggler["pid"], scene.stuck.backend_pid());
    assert_eq!(straggler["application"], "billing", "{report}");
    scene.release();
    assert_complete(&scene.drain());
    scene.assert_same_server();
}

#[test]
fn a_stopped_backend_is_named_without_sql_too() {
    let access = "local all all reject\nhost all all all trust\n";
    let scene = Scene::set(Postgres::new().access(access));
    let other = scene.connect();
    let outcome = scene.lab.server.pgcordon(SHORT);
    outcome.assert_status(3);
    let straggler = &outcome.json()["drain"]["stragglers"][0];
    assert_eq!(straggler["pid"], scene.stuck.backend_pid());
    assert_eq!(straggler["client"], scene.stuck.local().to_string());
    other.wait_end(SOON).assert_farewell();
    scene.release();
    assert_complete(&scene.drain());
    scene.assert_same_server();
}

#[test]
fn without_a_farewell_sockets_go_first_and_backends_follow() {
    let scene = Scene::set(Postgres::new());
    scene.let_run();
    let idle: Vec<Session> = (0..5).map(|_| scene.connect()).collect();
    let line = ["start", "--for", "10m", "--farewell", "0s", "-o", "json"];
    let outcome = scene.lab.server.pgcordon(line);
    outcome.assert_status(0);
    let report = outcome.json();
    assert_complete(&report);
    assert_eq!(report["drain"]["sockets"]["destroyed"], 6, "{report}");
    let sql = report["drain"]["sql"].as_str().unwrap();
    assert!(!sql.contains("nobody remote was connected"), "{sql}");
    for session in idle.iter().chain([&scene.stuck]) {
        assert_eq!(session.wait_end(SOON).close, Close::Rst);
    }
    assert!(!scene.lab.server.is_process(scene.stuck.backend_pid()));
    scene.lab.server.assert_only_time_wait(5432);
    scene.lab.cluster().assert_no_remote_row(&scene.local);
    scene.assert_same_server();
}

#[test]
fn a_drain_ends_although_a_pool_keeps_its_closed_connections() {
    let scene = Scene::set(Postgres::new());
    let pool = scene.connect();
    pool.stop_reading();
    scene.lab.server.pgcordon(["start", "--for", "10m", "--no-drain"]).assert_status(0);
    scene.let_run();
    for session in [&pool, &scene.stuck] {
        let pid = session.backend_pid();
        scene.local.query(&format!("select pg_terminate_backend({pid})"));
        scene.lab.server.wait_gone(pid, SOON);
    }
    // PostgreSQL has closed, the pool has not: nothing that a drain could hasten.
    let report = scene.drain();
    assert_complete(&report);
    assert_eq!(report["drain"]["sockets"]["closing"], 1, "{report}");
    pool.read_again();
    pool.wait_end(SOON).assert_farewell();
    scene.lab.server.assert_only_time_wait(5432);
    scene.assert_same_server();
}

#[test]
fn a_drain_ends_the_farewell_of_a_window_that_had_none() {
    let scene = Scene::set(Postgres::new());
    scene.let_run();
    scene.lab.server.pgcordon(["start", "--for", "10m", "--no-drain"]).assert_status(0);
    scene.lab.server.pgcordon(["drain", "--farewell", "0s"]).assert_status(0);
    assert!(scene.stuck.wait_end(SOON).is_closed());
    assert!(scene.lab.server.set_elements("pgcordon_5432", "farewell").is_empty());
    scene.assert_same_server();
}
