//! A remote backend in each state of PostgreSQL: after `start` it is gone, and its client
//! knows.

use crate::lab::{Lab, Login, Postgres, SOON, Session, assert_complete};
use serde_json::Value;

/// A server with one remote client, and someone local who looks on.
struct Scene {
    lab: Lab,
    local: Session,
    vitals: crate::lab::Vitals,
}

impl Scene {
    fn set(postgres: Postgres) -> Scene {
        let lab = Lab::with(1, postgres);
        let local = lab.cluster().connect_local();
        let vitals = lab.cluster().vitals_by(&local);
        Scene { lab, local, vitals }
    }

    fn connect(&self) -> Session {
        self.lab.clients[0].connect(self.lab.server.at_v4(5432))
    }

    /// Waits until a backend shows this in `pg_stat_activity`.
    fn wait_shown(&self, session: &Session, what: &str) {
        self.local.wait_shown(session.backend_pid(), what, SOON);
    }

    /// `start` ends everybody and says so; nothing is left, and the server is the same.
    fn start(&self) -> Value {
        self.start_with(&[])
    }

    fn start_with(&self, flags: &[&str]) -> Value {
        let line = [&["start", "--for", "5m", "-o", "json"], flags].concat();
        let outcome = self.lab.server.pgcordon(line);
        outcome.assert_status(0);
        let report = outcome.json();
        assert_complete(&report);
        assert_eq!(report["drain"]["sql"], "ok", "{report}");
        let closing = &report["drain"]["sockets"]["closing"];
        let left: usize = self.lab.server.open_or_closing(5432).values().sum();
        assert_eq!(closing, left, "{report}");
        self.lab.cluster().assert_no_remote_row(&self.local);
        assert_eq!(self.lab.cluster().vitals_by(&self.local), self.vitals);
        report
    }
}

#[test]
fn a_backend_on_the_cpu() {
    let scene = Scene::set(Postgres::new());
    let busy = scene.connect();
    busy.send_query("do $$ begin loop end loop; end $$");
    let counting = scene.connect();
    counting.send_query("select sum(g) from generate_series(1, 1e12::bigint) g");
    for session in [&busy, &counting] {
        scene.wait_shown(session, "state = 'active'");
    }
    let report = scene.start();
    assert_eq!(report["drain"]["backends"]["ended"], 2);
    for session in [&busy, &counting] {
        session.wait_end(SOON).assert_farewell();
    }
}

#[test]
fn a_backend_that_sleeps() {
    let scene = Scene::set(Postgres::new());
    let session = scene.connect();
    session.send_query("select pg_sleep(600)");
    scene.wait_shown(&session, "wait_event = 'PgSleep'");
    scene.start();
    session.wait_end(SOON).assert_farewell();
}

#[test]
fn a_backend_idle_in_transaction_gives_its_locks_back() {
    let scene = Scene::set(Postgres::new());
    scene.local.query("create table orders (id int)");
    let session = scene.connect();
    session.query("begin; lock table orders in access exclusive mode");
    scene.wait_shown(&session, "state = 'idle in transaction'");
    scene.start();
    session.wait_end(SOON).assert_farewell();
    scene.local.query("select from orders");
}

#[test]
fn a_backend_that_waits_for_a_lock_of_someone_local() {
    let scene = Scene::set(Postgres::new());
    scene.local.query("create table orders (id int)");
    let owner = scene.lab.cluster().connect_local();
    owner.query("begin; lock table orders in access exclusive mode");
    let session = scene.connect();
    session.send_query("select from orders");
    scene.wait_shown(&session, "wait_event_type = 'Lock'");
    scene.start();
    session.wait_end(SOON).assert_farewell();
    owner.query("insert into orders values (1); commit");
}

#[test]
fn a_parallel_query_with_all_its_workers() {
    let postgres = Postgres::new()
        .setting("min_parallel_table_scan_size", 0)
        .setting("parallel_setup_cost", 0)
        .setting("parallel_tuple_cost", 0);
    let scene = Scene::set(postgres);
    scene.local.query("create table t as select generate_series(1, 20000) g");
    scene.local.query("analyze t");
    let session = scene.connect();
    session.send_query("select count(*) from t where pg_sleep(0.1) is not null");
    let workers =
        "select exists (select from pg_stat_activity where backend_type = 'parallel worker')";
    scene.lab.cluster().wait_until(workers, SOON);
    let report = scene.start();
    assert_eq!(report["drain"]["backends"]["found"], 1, "workers are nobody's connection");
    session.wait_end(SOON).assert_farewell();
    let workers =
        "select not exists (select from pg_stat_activity where backend_type = 'parallel worker')";
    assert_eq!(scene.local.value(workers), "t");
}

#[test]
fn walsenders_idle_and_streaming() {
    let scene = Scene::set(Postgres::new());
    let client = &scene.lab.clients[0];
    let login = Login::to(scene.lab.server.at_v4(5432)).replication();
    let idle = client.login(&login);
    let streaming = client.login(&login);
    let position = streaming.query("IDENTIFY_SYSTEM")[0][2].clone().unwrap();
    streaming.send_query(&format!("START_REPLICATION {position}"));
    let sql = "select count(*) = 1 from pg_stat_replication where state = 'streaming'";
    scene.lab.cluster().wait_until(sql, SOON);

    let report = scene.start();
    assert_eq!(report["drain"]["backends"]["ended"], 2, "{report}");
    idle.wait_end(SOON).assert_farewell();
    streaming.wait_end(SOON).assert_farewell();
}

#[test]
fn pg_receivewal_hears_the_farewell() {
    let scene = Scene::set(Postgres::new());
    let client = &scene.lab.clients[0];
    client.shell("mkdir -p /run/wal").assert_status(0);
    let receiver = client
        .program("/usr/lib/postgresql/15/bin/pg_receivewal")
        .args(["-n", "-D", "/run/wal", "-U", "postgres", "-h", "203.0.113.1"])
        .spawn();
    let sql = "select count(*) = 1 from pg_stat_replication where state = 'streaming'";
    scene.lab.cluster().wait_until(sql, SOON);
    scene.start();
    let outcome = receiver.wait(SOON);
    outcome.assert_stderr_has("terminating connection due to administrator command");
}

#[test]
fn a_backend_that_writes_to_a_client_that_does_not_read() {
    let scene = Scene::set(Postgres::new());
    let session = scene.connect();
    session.stop_reading();
    session.send_query("select repeat('x', 1000) from generate_series(1, 1000000)");
    // The kernel's name for a window that the client keeps shut.
    let shut = "until ss -Htno 'sport = :5432' | grep -q persist; do :; done";
    scene.lab.server.shell(shut).assert_status(0);
    let other = scene.connect();
    // It is found out by itself, not by the end of the farewell.
    let report = scene.start_with(&["--farewell", "1m", "--drain-timeout", "1m"]);
    assert_eq!(report["drain"]["sockets"]["closing"], 0, "{report}");
    other.wait_end(SOON).assert_farewell();
    session.read_again();
    assert!(session.wait_end(SOON).is_closed());
    scene.lab.clients[0].assert_only_time_wait(5432);
}

#[test]
fn a_pool_that_never_reads_its_idle_connections() {
    let scene = Scene::set(Postgres::new());
    let pool: Vec<Session> = (0..3).map(|_| scene.connect()).collect();
    pool.iter().for_each(Session::stop_reading);
    let report = scene.start();
    // PostgreSQL's message and FIN have arrived; the pool has not closed its end.
    assert_eq!(report["drain"]["sockets"]["closing"], 3, "{report}");
    pool.iter().for_each(Session::read_again);
    for session in &pool {
        session.wait_end(SOON).assert_farewell();
    }
    scene.lab.server.assert_only_time_wait(5432);
    scene.lab.clients[0].assert_only_time_wait(5432);
}

#[test]
fn a_cancel_request_in_flight() {
    let scene = Scene::set(Postgres::new());
    let session = scene.connect();
    session.send_query("select pg_sleep(600)");
    scene.wait_shown(&session, "wait_event = 'PgSleep'");
    let canceller = scene.lab.clients[0].silent(scene.lab.server.at_v4(5432));
    let request = session.cancel_request();
    canceller.send_raw(&request[..request.len() - 1]).unwrap();

    scene.start();
    session.wait_end(SOON).assert_farewell();
    assert!(canceller.wait_end(SOON).is_closed());
}
