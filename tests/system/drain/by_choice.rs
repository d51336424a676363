//! What a user may ask of a drain: statements cancelled first, addresses taken off the pass
//! list, and a drain that comes later.

use crate::lab::{Host, Lab, Postgres, SOON, Session, Vitals, assert_complete};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// A server with two clients and a local session.
struct Scene {
    lab: Lab,
    local: Session,
    vitals: Vitals,
}

impl Scene {
    fn set() -> Scene {
        let lab = Lab::with(2, Postgres::new());
        let local = lab.cluster().connect_local();
        let vitals = lab.cluster().vitals_by(&local);
        Scene { lab, local, vitals }
    }

    fn server(&self) -> &Host {
        &self.lab.server
    }

    fn both(&self) -> [SocketAddr; 2] {
        [self.server().at_v4(5432), self.server().at_v6(5432)]
    }

    /// Sessions of a client, one in each family.
    fn sessions_of(&self, client: usize) -> Vec<Session> {
        let connect = |address| self.lab.clients[client].connect(address);
        self.both().map(connect).into()
    }

    /// A session that runs this, and is seen to wait like that.
    fn running(&self, statement: &str, shown: &str) -> Session {
        let session = self.lab.clients[0].connect(self.server().at_v4(5432));
        session.send_query(statement);
        self.local.wait_shown(session.backend_pid(), shown, SOON);
        session
    }

    fn start(&self, rest: &str) -> Value {
        let line = format!("start --for 10m {rest}");
        let report = self.server().cordon(line.trim_end());
        assert_complete(&report);
        assert_eq!(report["drain"]["sql"], "ok", "{report}");
        report
    }

    fn assert_drained(&self) {
        self.lab.cluster().assert_no_remote_row(&self.local);
        self.server().assert_only_time_wait(5432);
        assert!(self.local.is_alive());
        assert_eq!(self.lab.cluster().vitals_by(&self.local), self.vitals);
    }
}

fn drained_ms(report: &Value) -> f64 {
    report["timing"]["drained_ms"].as_f64().expect("a time")
}

#[track_caller]
fn assert_farewells(sessions: &[Session]) {
    for session in sessions {
        session.wait_end(SOON).assert_farewell();
    }
}

#[test]
fn cancel_first_cancels_statements_before_their_backends_end() {
    let scene = Scene::set();
    let busy = scene.running("select pg_sleep(600)", "wait_event = 'PgSleep'");
    let idle = scene.sessions_of(1);
    let report = scene.start("--cancel-first 5m --drain-timeout 10m");
    let cancelled = busy.wait_error(SOON).expect("a failure of the statement");
    assert_eq!(cancelled.sqlstate, "57014", "{cancelled}");
    busy.wait_end(SOON).assert_farewell();
    assert_farewells(&idle);
    assert!(drained_ms(&report) < 300_000.0, "obeyed at once: {report}");
    assert_eq!(report["drain"]["signalled"], 0, "{report}");
    scene.assert_drained();
}

#[test]
fn without_it_a_statement_is_not_cancelled() {
    let scene = Scene::set();
    let busy = scene.running("select pg_sleep(600)", "wait_event = 'PgSleep'");
    scene.start("");
    busy.wait_end(SOON).assert_farewell();
    assert!(busy.wait_error(SOON).is_none());
}

/// A statement that catches its own cancellation and goes on.
const STUBBORN: &str = "do $$ begin \
    begin perform pg_sleep(600); exception when query_canceled then null; end; \
    perform pg_sleep(601); end $$";

#[test]
fn what_cannot_be_cancelled_is_told_after_the_time() {
    let scene = Scene::set();
    let stubborn = scene.running(STUBBORN, "wait_event = 'PgSleep'");
    let idle = scene.sessions_of(1);
    let report = scene.start("--cancel-first 2s");
    stubborn.wait_end(SOON).assert_farewell();
    assert!(stubborn.wait_error(SOON).is_none());
    assert_farewells(&idle);
    let took = drained_ms(&report);
    assert!(took >= 2000.0, "{report}");
    scene.assert_drained();
}

#[test]
fn a_client_that_sends_the_next_statement_is_told_all_the_same() {
    let scene = Scene::set();
    let busy = scene.running("select pg_sleep(600)", "wait_event = 'PgSleep'");
    // Both statements are on their way at once: the second begins when the first is cancelled.
    busy.send_query("select pg_sleep(601)");
    scene.start("--cancel-first 1s");
    busy.wait_end(SOON).assert_farewell();
    scene.assert_drained();
}

#[test]
fn two_servers_on_one_port_cancel_both() {
    let lab = Lab::bare(1);
    let mut busy = Vec::new();
    let mut clusters = Vec::new();
    for (name, address) in [("one", lab.server.at_v4(5432)), ("two", lab.server.at_v6(5432))] {
        let postgres = Postgres::new()
            .name(name)
            .listen(&address.ip().to_string())
            .socket_dir(format!("/run/{name}"));
        let cluster = lab.server.start_postgres(postgres);
        let session = lab.clients[0].connect(address);
        session.send_query("select pg_sleep(600)");
        let shown = format!("wait_event = 'PgSleep' and pid = {}", session.backend_pid());
        let row = format!("select exists (select from pg_stat_activity where {shown})");
        cluster.wait_until(&row, SOON);
        busy.push(session);
        clusters.push(cluster);
    }
    let report = lab.server.cordon("start --for 10m --cancel-first 5s");
    assert_complete(&report);
    for session in &busy {
        let cancelled = session.wait_error(SOON).expect("a failure");
        assert_eq!(cancelled.sqlstate, "57014", "{cancelled}");
        session.wait_end(SOON).assert_farewell();
    }
}

#[test]
fn who_is_taken_off_the_pass_list_is_cut() {
    let scene = Scene::set();
    let (first, second) = (scene.sessions_of(0), scene.sessions_of(1));
    let allow = "203.0.113.11 --allow 2001:db8:53::11 --allow 203.0.113.12";
    let report = scene.start(&format!("--allow {allow}"));
    second[1].wait_end(SOON).assert_farewell();
    assert_eq!(report["drain"]["backends"]["found"], 1, "{report}");
    // Longer than the farewell.
    scene.server().cordon("extend --by 1m");
    for session in first.iter().chain(&second[..1]) {
        assert!(session.is_alive());
    }

    let removed = scene.server().cordon("allow --remove 203.0.113.11 2001:db8:53::11");
    assert_complete(&removed);
    assert_eq!(removed["changed"], true, "{removed}");
    assert_eq!(removed["drain"]["backends"], json!({"found": 2, "ended": 2, "left": 0}));
    assert_eq!(removed["windows"][0]["pass"], json!(["203.0.113.12/32"]));
    assert_farewells(&first);
    scene.lab.clients[0].assert_blocked(&scene.both());
    assert!(second[0].is_alive(), "{:?}", second[0].ending());
    scene.server().cordon("lift");
    assert!(second[0].is_alive(), "{:?}", second[0].ending());
    drop(second);
    assert_eq!(scene.lab.cluster().vitals_by(&scene.local), scene.vitals);
}

#[test]
fn a_drain_that_comes_later_cuts_who_was_left_alone() {
    let scene = Scene::set();
    let sessions = scene.sessions_of(0);
    let report = scene.server().cordon("start --for 10m --no-drain");
    assert_eq!(report["drain"], Value::Null, "{report}");
    scene.lab.clients[1].assert_blocked(&scene.both());
    scene.server().cordon("extend --by 1m");
    for session in &sessions {
        assert!(session.is_alive());
    }

    let report = scene.server().cordon("drain");
    assert_complete(&report);
    assert_eq!(report["result"], "drained", "{report}");
    assert_eq!(report["changed"], true, "{report}");
    assert_eq!(report["drain"]["backends"]["ended"], 2, "{report}");
    assert_farewells(&sessions);
    scene.assert_drained();
    let again = scene.server().cordon("drain");
    assert_eq!(again["changed"], false, "{again}");
    // Existing connections have no door any more.
    let elements = scene.server().set_elements("pgcordon_5432", "farewell");
    assert_eq!(elements, [json!(null); 0]);
}

#[test]
fn a_later_drain_may_cancel_first() {
    let scene = Scene::set();
    let busy = scene.running("select pg_sleep(600)", "wait_event = 'PgSleep'");
    scene.server().cordon("start --for 10m --no-drain");
    assert_complete(&scene.server().cordon("drain --cancel-first 5s"));
    let cancelled = busy.wait_error(SOON).expect("a failure");
    assert_eq!(cancelled.sqlstate, "57014", "{cancelled}");
    busy.wait_end(SOON).assert_farewell();
    scene.assert_drained();
}
