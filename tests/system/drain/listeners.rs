//! Who listens on the port decides what is drained, and whether anything is touched at all.

use crate::lab::{GLIMPSE, Host, Lab, Login, Postgres, Reach, Running, SOON, assert_complete};
use serde_json::json;

/// Starts a listener that is not PostgreSQL, and waits until it listens.
fn listen(host: &Host, args: &[&str]) -> Running {
    let listener = host.python_program("tcp.py").args(args).spawn();
    listener.wait_for_stdout("up", SOON);
    listener
}

#[test]
fn the_port_of_sshd_is_refused_and_nothing_is_touched() {
    let lab = Lab::new(1);
    let vitals = lab.cluster().vitals();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/system/lab/tcp.py");
    lab.server.shell("install -D /usr/bin/python3 /run/bin/sshd");
    let sshd = lab.server.program("/run/bin/sshd");
    let sshd = sshd.env("PYTHONHOME", "/usr").args([script, "silent", "0.0.0.0", "22"]).spawn();
    sshd.wait_for_stdout("up", SOON);
    let shell = lab.clients[0].silent(lab.server.at_v4(22));
    let database = lab.clients[0].connect(lab.server.at_v4(5432));

    for command in ["start", "hold", "plan"] {
        let line = [command, "--for", "1m", "--port", "5432", "--port", "22"];
        let outcome = lab.server.pgcordon(line.into_iter().chain(["-o", "json"]));
        outcome.assert_status(2);
        let error = &outcome.json()["error"];
        assert_eq!(error["kind"], "not-postgresql", "{outcome}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("sshd"), "{message}");
        let hint = error["hint"].as_str().unwrap();
        assert!(hint.contains("--any-listener"), "{hint}");
        assert_eq!(lab.server.ruleset(), "", "{command}");
    }
    assert!(!shell.ending().is_closed());
    assert!(database.is_alive());
    assert_eq!(lab.cluster().vitals(), vitals);

    // With the flag the sockets are drained, and what is behind them is not claimed.
    let line = ["start", "--for", "10m", "--port", "22", "--any-listener"];
    let outcome = lab.server.pgcordon(line.into_iter().chain(["-o", "json"]));
    outcome.assert_status(3);
    assert!(shell.wait_end(SOON).is_closed());
    assert!(database.is_alive(), "another port's");
    assert!(lab.server.listening(22) == 1, "sshd lives");
}

#[test]
fn a_port_without_a_listener_is_cordoned_with_a_warning() {
    let lab = Lab::new(1);
    let vitals = lab.cluster().vitals();
    let line = ["start", "--for", "10m", "--port", "6000", "-o", "json"];
    let outcome = lab.server.pgcordon(line);
    outcome.assert_status(0);
    let report = outcome.json();
    assert_eq!(report["result"], "cordoned");
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(warning.contains("6000"), "{warning}");
    assert!(warning.contains("container"), "{warning}");
    outcome.assert_stderr_has("warning:");
    let client = &lab.clients[0];
    assert_eq!(client.reach(lab.server.at_v4(6000), GLIMPSE), Reach::Silence);
    assert_eq!(client.reach(lab.server.at_v4(5432), SOON), Reach::Connected);
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn a_proxy_is_drained_by_its_sockets_and_the_cluster_behind_it_is_left_alone() {
    let lab = Lab::with(2, Postgres::new().port(5433));
    let vitals = lab.cluster().vitals();
    let mut proxy = listen(&lab.server, &["proxy", "0.0.0.0", "5432", "127.0.0.1", "5433"]);
    let direct = lab.clients[0].connect(lab.server.at_v4(5433));
    let pooled = lab.clients[1].connect(lab.server.at_v4(5432));
    assert!(pooled.is_alive());
    let local = lab.server.connect(([127, 0, 0, 1], 5432).into());

    let line = ["start", "--for", "10m", "--any-listener", "-o", "json"];
    let outcome = lab.server.pgcordon(line);
    outcome.assert_status(3);
    let report = outcome.json();
    let why = report["drain"]["unproven"].as_str().unwrap();
    assert!(why.contains("python3") && why.contains("5432"), "{why}");
    assert_eq!(report["drain"]["sql"], why);
    assert_eq!(report["drain"]["signalled"], 0);
    assert_eq!(report["drain"]["sockets"]["left"], 0);
    assert!(pooled.wait_end(SOON).is_closed());
    assert!(direct.is_alive(), "a direct client of the other port");
    assert!(local.is_alive(), "a local client of the proxy");
    assert!(proxy.is_running());
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn two_clusters_on_one_port_are_both_drained() {
    let lab = Lab::with(1, Postgres::new().listen("203.0.113.1"));
    let second = Postgres::new().name("second").listen("2001:db8:53::1").socket_dir("/run/second");
    let second = lab.server.start_postgres(second);
    let vitals = [lab.cluster().vitals(), second.vitals()];
    let mut sessions = lab.clients[0].connect_many(lab.server.at_v4(5432), 3);
    sessions.extend(lab.clients[0].connect_many(lab.server.at_v6(5432), 4));
    sessions[0].send_query("select pg_sleep(600)");
    sessions[3].send_query("select pg_sleep(600)");

    let outcome = lab.server.pgcordon(["start", "--for", "10m", "-o", "json"]);
    outcome.assert_status(0);
    let report = outcome.json();
    assert_complete(&report);
    assert_eq!(report["drain"]["sql"], "ok");
    assert_eq!(report["drain"]["backends"], json!({"found": 7, "ended": 7, "left": 0}));
    for session in &sessions {
        session.wait_end(SOON).assert_farewell();
    }
    assert_eq!([lab.cluster().vitals(), second.vitals()], vitals);
}

#[test]
fn one_of_two_clusters_is_stopped_and_the_others_clients_hear_their_farewell() {
    let lab = Lab::with(1, Postgres::new().listen("203.0.113.1"));
    let second = Postgres::new().name("second").listen("2001:db8:53::1").socket_dir("/run/second");
    let second = lab.server.start_postgres(second);
    let vitals = [lab.cluster().vitals(), second.vitals()];
    let mut sessions = lab.clients[0].connect_many(lab.server.at_v4(5432), 2);
    sessions.extend(lab.clients[0].connect_many(lab.server.at_v6(5432), 2));
    let stopped = second.postmaster();
    lab.server.signal(stopped, "STOP");
    let outcome = lab.server.pgcordon(["start", "--for", "10m", "-o", "json"]);
    outcome.assert_status(0);
    assert_complete(&outcome.json());
    for session in &sessions {
        session.wait_end(SOON).assert_farewell();
    }
    lab.server.signal(stopped, "CONT");
    assert_eq!([lab.cluster().vitals(), second.vitals()], vitals);
}

#[test]
fn a_cluster_beside_a_stranger_on_the_same_port() {
    let lab = Lab::with(1, Postgres::new().listen("203.0.113.1"));
    let _stranger = listen(&lab.server, &["silent", "127.0.0.2", "5432"]);
    let vitals = lab.cluster().vitals();
    lab.server.pgcordon(["start", "--for", "10m"]).assert_status(2).assert_stderr_has("python3");
    let session = lab.clients[0].login(&Login::to(lab.server.at_v4(5432)));
    let line = ["start", "--for", "10m", "--any-listener", "-o", "json"];
    let outcome = lab.server.pgcordon(line);
    outcome.assert_status(3);
    session.wait_end(SOON).assert_farewell();
    assert_eq!(lab.cluster().vitals(), vitals);
}
