//! `--spare`: existing connections that stay, and nobody beside them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use lab::{Close, Lab, Login, Postgres, Session, Vitals, assert_complete};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// For what comes within the farewell.
const SOON: Duration = Duration::from_secs(10);

/// How long a client waits that is to be blocked.
const GLIMPSE: Duration = Duration::from_millis(250);

/// No login by the Unix socket; the test itself looks on over loopback.
const NO_LOCAL_LOGIN: &str = "local all all reject\nhost all all all trust\n";

/// A server with a role `shop` and a database `orders`, and a client.
struct Scene {
    lab: Lab,
    local: Session,
    vitals: Vitals,
}

impl Scene {
    fn set(postgres: Postgres) -> Scene {
        let lab = Lab::with(1, postgres);
        let local = lab.server.connect(([127, 0, 0, 1], 5432).into());
        local.query("create role shop login");
        local.query("create database orders");
        let vitals = lab.cluster().vitals_by(&local);
        Scene { lab, local, vitals }
    }

    fn v4(&self) -> SocketAddr {
        self.lab.server.at_v4(5432)
    }

    fn v6(&self) -> SocketAddr {
        self.lab.server.at_v6(5432)
    }

    fn login(&self, login: Login) -> Session {
        self.lab.clients[0].login(&login)
    }

    /// One session of the role shop in each family.
    fn shops(&self) -> Vec<Session> {
        let shop = |address| self.login(Login::to(address).role("shop"));
        vec![shop(self.v4()), shop(self.v6())]
    }

    /// One session of somebody else in each family.
    fn others(&self) -> Vec<Session> {
        let other = |address| self.login(Login::to(address));
        vec![other(self.v4()), other(self.v6())]
    }

    fn start(&self, rest: &str) -> Value {
        let report = self.lab.server.cordon(&format!("start --for 1m {rest}"));
        assert_complete(&report);
        assert_eq!(report["drain"]["sql"], "ok", "{report}");
        report
    }

    fn assert_same_server(&self) {
        assert_eq!(self.lab.cluster().vitals_by(&self.local), self.vitals);
    }
}

/// The clients that a report names as spared, in order.
fn spared(report: &Value) -> Vec<String> {
    let spared = report["drain"]["spared"].as_array().expect("a list");
    let name = |peer: &Value| peer["client"].as_str().expect("a client").to_owned();
    let mut clients: Vec<_> = spared.iter().map(name).collect();
    clients.sort();
    clients
}

fn names(sessions: &[Session]) -> Vec<String> {
    let mut names: Vec<_> = sessions.iter().map(|s| s.local().to_string()).collect();
    names.sort();
    names
}

#[track_caller]
fn assert_alive(sessions: &[Session]) {
    for session in sessions {
        assert!(session.is_alive(), "{:?}", session.ending());
    }
}

#[track_caller]
fn assert_farewells(sessions: &[Session]) {
    for session in sessions {
        session.wait_end(SOON).assert_farewell();
    }
}

#[test]
fn connections_of_a_role_a_database_or_an_application_stay() {
    let scene = Scene::set(Postgres::new());
    let mut staying = scene.shops();
    staying.push(scene.login(Login::to(scene.v6()).database("orders")));
    staying.push(scene.login(Login::to(scene.v4()).application("pg_dump")));
    staying[0].query("begin");
    let others = scene.others();
    let report =
        scene.start("--spare role=shop --spare database=orders --spare application=pg_dump");

    assert_eq!(spared(&report), names(&staying));
    let dump = report["drain"]["spared"].as_array().unwrap().iter();
    let dump: Vec<_> = dump.filter(|p| p["application"] == "pg_dump").collect();
    assert_eq!(dump[0]["pid"], staying[3].backend_pid(), "{report}");
    assert_eq!(
        report["drain"]["backends"],
        json!({"found": 2, "ended": 2, "left": 0})
    );
    assert_eq!(report["drain"]["sockets"]["found"], 2, "{report}");
    assert_farewells(&others);
    assert_alive(&staying);
    scene.lab.clients[0].assert_blocked(&[scene.v4(), scene.v6()]);
    scene.lab.server.assert_every_element_ends(5432);

    // Draining again cuts none of them either.
    let again = scene.lab.server.cordon("drain");
    assert_eq!(again["changed"], false, "{again}");
    assert_alive(&staying);
    scene.lab.server.cordon("lift");
    assert_alive(&staying);
    scene.assert_same_server();
}

#[test]
fn spared_connections_follow_the_end_of_the_window() {
    let scene = Scene::set(Postgres::new());
    let staying = scene.shops();
    let began = Instant::now();
    let first = Duration::from_secs(3);
    scene
        .lab
        .server
        .cordon("start --for 3s --spare role=shop --farewell 500ms");
    scene.lab.server.cordon("extend --for 20s");
    let flows = || {
        let all = scene.lab.server.timed_elements(5432);
        let left = |set: &str| {
            let mut found = all.iter().filter(|(name, _)| *name == set);
            let element = found.next().map(|(_, element)| &element["elem"]["expires"]);
            element.and_then(Value::as_u64)
        };
        [left("window"), left("flows4"), left("flows6")]
    };
    for left in flows() {
        assert!((17..=20).contains(&left.unwrap()), "{left:?}");
    }
    std::thread::sleep((first + GLIMPSE).saturating_sub(began.elapsed()));
    assert_alive(&staying);
    scene.lab.clients[0].assert_blocked(&[scene.v4(), scene.v6()]);

    scene.lab.server.cordon("extend --for 2s --shorten");
    for left in flows() {
        assert!(left.unwrap() <= 2, "{left:?}");
    }
    assert_alive(&staying);
    scene.lab.clients[0].assert_reaches(&[scene.v4(), scene.v6()]);
    assert_alive(&staying);
    scene.assert_same_server();
}

#[test]
fn nobody_gets_in_from_the_address_and_port_of_a_spared_connection() {
    let scene = Scene::set(Postgres::new());
    let client = &scene.lab.clients[0];
    for (server, own) in [
        (scene.v4(), client.at_v4(40_000)),
        (scene.v6(), client.at_v6(40_000)),
    ] {
        let login = Login::to(server).role("shop").from(own);
        let session = scene.login(login.clone());
        let report = scene.start("--spare role=shop");
        assert_eq!(spared(&report), [own.to_string()]);
        let backend = session.backend_pid();
        session.reset();
        scene.lab.server.wait_gone(backend, SOON);
        let refused = client.begin(&login.clone().limit(GLIMPSE)).map(drop);
        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        scene.lab.server.cordon("lift");
        assert!(scene.login(login).is_alive());
    }
}

#[test]
fn with_no_farewell_the_spared_stay_and_the_others_are_cut_at_once() {
    let scene = Scene::set(Postgres::new());
    let staying = scene.shops();
    staying[0].send_query("select pg_sleep(1)");
    let others = scene.others();
    let report = scene.start("--spare role=shop --farewell 0s");
    assert_eq!(spared(&report), names(&staying));
    for session in &others {
        assert_eq!(session.wait_end(SOON).close, Close::Rst);
    }
    staying[0].wait_answer(SOON).unwrap();
    assert_alive(&staying);
    scene.assert_same_server();
}

#[test]
fn where_sql_is_refused_nobody_is_cut_and_the_port_is_open() {
    for farewell in ["2s", "0s"] {
        let scene = Scene::set(Postgres::new().access(NO_LOCAL_LOGIN));
        let (staying, others) = (scene.shops(), scene.others());
        let line = format!("start --for 1m --spare role=shop --farewell {farewell}");
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
        scene
            .local
            .wait_shown(pool.backend_pid(), "wait_event = 'ClientWrite'", SOON);
        let postmaster = scene.lab.cluster().postmaster();
        scene.lab.server.signal(postmaster, "STOP");
        let line = "start --for 1m -o json --spare role=shop";
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
    let line = "start --for 1m --spare role=shop --drain-timeout 1s";
    let outcome = scene.lab.server.try_cordon(line);
    scene.lab.server.signal(postmaster, "CONT");
    let message = outcome.assert_failure(1, "spare");
    assert!(message.contains("did not answer"), "{message}");
    assert!(outcome.took < Duration::from_secs(3), "{:?}", outcome.took);
    assert_eq!(scene.lab.server.ruleset(), "");
    assert_alive(&sessions);
    scene.assert_same_server();
}

#[test]
fn slots_taken_by_silent_clients_are_freed_to_find_out_who_stays() {
    let postgres = Postgres::new()
        .setting("max_connections", 8)
        .setting("max_wal_senders", 0);
    let scene = Scene::set(postgres);
    let staying = scene.shops();
    let silent: Vec<_> = (0..40)
        .map(|_| scene.lab.clients[0].silent(scene.v4()))
        .collect();
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
        let line = format!("start --for 1m --spare {bad}");
        lab.server.try_cordon(&line).assert_status(2);
    }
    assert_eq!(lab.server.ruleset(), "");
    // Nobody can be asked who stays.
    lab.cluster().stop();
    let listener = "import socket,time; s=socket.create_server(('', 5432)); time.sleep(600)";
    let _listener = lab
        .server
        .program("/usr/bin/python3")
        .args(["-c", listener])
        .spawn();
    let listening = "until ss -Htln 'sport = :5432' | grep -q .; do :; done";
    lab.server.shell(listening).assert_status(0);
    let line = "start --for 1m --any-listener --spare role=shop";
    lab.server.try_cordon(line).assert_failure(1, "spare");
    assert_eq!(lab.server.ruleset(), "");
}
