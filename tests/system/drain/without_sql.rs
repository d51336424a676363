//! The drain where SQL cannot be had: remote clients are cut all the same, the report says
//! why SQL was not used, and what it proves it proves by sockets and processes.

use crate::lab::{Host, Lab, Login, Postgres, SOON, Session, Vitals, assert_complete};
use serde_json::Value;
use std::time::Duration;

/// No login by the Unix socket; the test itself looks on over loopback.
const NO_LOCAL_LOGIN: &str = "local all all reject\nhost all all all trust\n";

/// A server with one client, and someone local over loopback who looks on.
struct Scene {
    lab: Lab,
    local: Session,
    vitals: Vitals,
}

impl Scene {
    fn set(postgres: Postgres) -> Scene {
        let lab = Lab::with(1, postgres);
        let local = lab.server.connect(([127, 0, 0, 1], 5432).into());
        let vitals = lab.cluster().vitals_by(&local);
        Scene { lab, local, vitals }
    }

    fn client(&self) -> &Host {
        &self.lab.clients[0]
    }

    fn start(&self) -> Value {
        let line = ["start", "--for", "10m", "-o", "json"];
        let outcome = self.lab.server.pgcordon(line);
        outcome.assert_status(0);
        let report = outcome.json();
        assert_complete(&report);
        report
    }

    /// Nobody remote is left, local ones live, and the server is the same.
    fn assert_drained(&self) {
        self.lab.cluster().assert_no_remote_row(&self.local);
        self.lab.server.assert_only_time_wait(5432);
        assert_eq!(self.lab.cluster().vitals_by(&self.local), self.vitals);
    }
}

#[test]
fn every_local_login_is_rejected() {
    let scene = Scene::set(Postgres::new().access(NO_LOCAL_LOGIN));
    let mut remote = scene.client().connect_many(scene.lab.server.at_v4(5432), 5);
    remote.extend(scene.client().connect_many(scene.lab.server.at_v6(5432), 5));
    remote[0].send_query("select pg_sleep(600)");
    remote[1].query("begin");
    let own = scene.lab.server.connect(scene.lab.server.at_v4(5432));

    let report = scene.start();
    let sql = report["drain"]["sql"].as_str().unwrap();
    assert!(sql.contains("pg_hba.conf rejects"), "{sql}");
    assert!(sql.contains("local all postgres peer"), "a remedy: {sql}");
    assert_eq!(report["drain"]["signalled"], 10, "{report}");
    assert_eq!(report["drain"]["backends"]["ended"], 10, "{report}");
    for session in &remote {
        session.wait_end(SOON).assert_farewell();
    }
    assert!(own.is_alive());
    scene.assert_drained();
}

#[test]
fn the_server_has_no_unix_socket() {
    let scene = Scene::set(Postgres::new().setting("unix_socket_directories", ""));
    let remote = scene.client().connect(scene.lab.server.at_v4(5432));
    let report = scene.start();
    let sql = report["drain"]["sql"].as_str().unwrap();
    assert!(sql.contains("no Unix socket"), "{sql}");
    assert!(sql.contains("--pg-host"), "a remedy: {sql}");
    remote.wait_end(SOON).assert_farewell();
    scene.assert_drained();
}

#[test]
fn the_file_of_the_unix_socket_was_removed() {
    let scene = Scene::set(Postgres::new());
    let remote = scene.client().connect(scene.lab.server.at_v4(5432));
    let socket = scene.lab.cluster().socket();
    scene.lab.server.run(["rm", &socket.to_string_lossy()]);
    let report = scene.start();
    let sql = report["drain"]["sql"].as_str().unwrap();
    assert!(sql.contains("cannot open the Unix socket"), "{sql}");
    remote.wait_end(SOON).assert_farewell();
    scene.assert_drained();
}

#[test]
fn a_stopped_postmaster_delays_nothing_but_the_drain() {
    let scene = Scene::set(Postgres::new());
    let remote = scene.client().connect_many(scene.lab.server.at_v4(5432), 5);
    let postmaster = scene.lab.cluster().postmaster();
    scene.lab.server.signal(postmaster, "STOP");
    // It waits in the queue of connections, where no process can find it.
    let waiting = scene.client().begin(&Login::to(scene.lab.server.at_v4(5432))).unwrap();

    let report = scene.start();
    let blocked = report["timing"]["blocked_ms"].as_f64().unwrap();
    let drained = report["timing"]["drained_ms"].as_f64().unwrap();
    assert!(blocked < drained, "the cordon waits for nobody: {report}");
    let sql = report["drain"]["sql"].as_str().unwrap();
    assert!(sql.contains("did not answer"), "{sql}");
    assert_eq!(report["drain"]["backends"]["ended"], 5, "{report}");
    for session in &remote {
        session.wait_end(SOON).assert_farewell();
    }
    assert!(waiting.wait_end(SOON).is_closed());
    assert!(scene.local.is_alive());
    scene.lab.server.signal(postmaster, "CONT");
    scene.assert_drained();
    assert!(scene.lab.cluster().connect_local().is_alive());
}

#[test]
fn a_postmaster_that_accepts_late_is_waited_for() {
    let scene = Scene::set(Postgres::new());
    let postmaster = scene.lab.cluster().postmaster();
    scene.lab.server.signal(postmaster, "STOP");
    let waiting = scene.client().begin(&Login::to(scene.lab.server.at_v4(5432))).unwrap();
    let start = scene.lab.server.spawn_pgcordon(["start", "--for", "10m", "-o", "json"]);
    assert!(waiting.wait_end(SOON).is_closed());
    std::thread::sleep(Duration::from_secs(1));
    scene.lab.server.signal(postmaster, "CONT");
    let report = start.wait(SOON).assert_status(0).json();
    let drained = report["timing"]["drained_ms"].as_f64().unwrap();
    assert!(drained > 1000.0, "before it was accepted: {report}");
    scene.assert_drained();
}

#[test]
fn a_client_that_reset_its_connection_while_its_query_runs() {
    let scene = Scene::set(Postgres::new().access(NO_LOCAL_LOGIN));
    let gone = scene.client().connect(scene.lab.server.at_v4(5432));
    gone.send_query("do $$ begin loop end loop; end $$");
    scene.local.wait_shown(gone.backend_pid(), "state = 'active'", SOON);
    gone.reset();
    scene.lab.server.assert_only_time_wait(5432);
    let backend = gone.backend_pid();
    assert!(scene.lab.server.is_process(backend));

    let report = scene.start();
    assert_eq!(report["drain"]["signalled"], 1, "{report}");
    assert_eq!(report["drain"]["backends"]["ended"], 1, "{report}");
    assert!(!scene.lab.server.is_process(backend));
    scene.assert_drained();
}

#[test]
fn a_client_that_reset_its_connection_is_found_by_sql_too() {
    let scene = Scene::set(Postgres::new());
    let gone = scene.client().connect(scene.lab.server.at_v4(5432));
    let other = scene.client().connect(scene.lab.server.at_v4(5432));
    gone.send_query("select pg_sleep(600)");
    scene.local.wait_shown(gone.backend_pid(), "wait_event = 'PgSleep'", SOON);
    gone.reset();
    let report = scene.start();
    assert_eq!(report["drain"]["sql"], "ok", "{report}");
    assert_eq!(report["drain"]["signalled"], 0, "{report}");
    assert_eq!(report["drain"]["backends"]["ended"], 2, "{report}");
    other.wait_end(SOON).assert_farewell();
    scene.assert_drained();
}

#[test]
fn a_backend_whose_client_cannot_be_told_is_left_alone_and_named() {
    // Roles are free text, so its title names two clients; its socket is gone.
    let scene = Scene::set(Postgres::new().access(NO_LOCAL_LOGIN));
    scene.local.query("create role \"127.0.0.1(1)\" superuser login");
    let login = Login::to(scene.lab.server.at_v4(5432)).role("127.0.0.1(1)");
    let gone = scene.client().login(&login);
    gone.send_query("select pg_sleep(600)");
    scene.local.wait_shown(gone.backend_pid(), "wait_event = 'PgSleep'", SOON);
    gone.reset();
    // Whose it is cannot be told without SQL: it is not touched, and nothing is proven.
    let line = ["start", "--for", "1m", "--drain-timeout", "1s", "-o", "json"];
    let outcome = scene.lab.server.pgcordon(line);
    outcome.assert_status(3);
    let report = outcome.json();
    assert_eq!(report["result"], "incomplete");
    assert_eq!(report["drain"]["stragglers"][0]["pid"], gone.backend_pid());
    assert!(scene.lab.server.is_process(gone.backend_pid()));
    assert_eq!(scene.lab.cluster().vitals_by(&scene.local), scene.vitals);
}
