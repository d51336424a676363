//! Remote clients that PostgreSQL does not know yet, and servers with no slot left.

use crate::lab::{Close, Cluster, Lab, Login, Postgres, SOON, Session, assert_complete};
use serde_json::Value;

/// What a client that wants TLS says first (PostgreSQL manual, "SSLRequest").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

fn start(lab: &Lab) -> Value {
    let outcome = lab.server.pgcordon(["start", "--for", "10m", "-o", "json"]);
    outcome.assert_status(0);
    let report = outcome.json();
    assert_complete(&report);
    let left: usize = lab.server.open_or_closing(5432).values().sum();
    assert_eq!(report["drain"]["sockets"]["closing"], left, "{report}");
    report
}

/// A self-signed certificate and its key, made on this host.
fn certificate(host: &crate::lab::Host) -> [String; 2] {
    let script = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
        -subj /CN=lab -keyout /run/key -out /run/certificate 2>/dev/null";
    host.shell(script).assert_status(0);
    let read = |path| host.run(["cat", path]).stdout;
    [read("/run/certificate"), read("/run/key")]
}

fn start_with_tls(lab: &Lab) -> Cluster {
    let [certificate, key] = certificate(&lab.server);
    let postgres = Postgres::new()
        .setting("ssl", "on")
        .file("server.crt", certificate)
        .file("server.key", key);
    lab.server.start_postgres(postgres)
}

#[test]
fn seventy_silent_clients_that_lock_the_superuser_out() {
    let postgres = Postgres::new().setting("max_connections", 8).setting("max_wal_senders", 0);
    let lab = Lab::with(2, postgres);
    let vitals = lab.cluster().vitals();
    let mut silent: Vec<Session> = Vec::new();
    for number in 0..70 {
        let address = [lab.server.at_v4(5432), lab.server.at_v6(5432)][number % 2];
        silent.push(lab.clients[number / 35].silent(address));
    }
    // All are taken on when the last one's backend is there.
    let backends = "until [ $(pgrep -c -x postgres) -ge 70 ]; do :; done";
    lab.server.shell(backends).assert_status(0);
    let refused = lab.cluster().psql("select 1");
    assert_ne!(refused.status.code(), Some(0), "a slot is free: {refused}");

    let report = start(&lab);
    assert_eq!(report["drain"]["signalled"], 0, "none of them is a backend yet");
    assert!(report["drain"]["sockets"]["found"].as_u64() >= Some(70));
    for session in &silent {
        assert!(session.wait_end(SOON).is_closed());
    }
    assert!(lab.cluster().connect_local().is_alive());
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn every_slot_taken_by_busy_superusers() {
    let postgres = Postgres::new().setting("max_connections", 8).setting("max_wal_senders", 0);
    let lab = Lab::with(1, postgres);
    let vitals = lab.cluster().vitals();
    // The slot of the session that has just asked becomes free a moment later.
    lab.cluster().wait_until(
        "select count(*) = 1 from pg_stat_activity where backend_type = 'client backend'",
        SOON,
    );
    let mut busy = Vec::new();
    while busy.len() < 8 {
        let login = Login::to(lab.server.at_v4(5432));
        let session = lab.clients[0].begin(&login).unwrap();
        if session.wait_answer(SOON).is_ok() {
            busy.push(session);
        }
    }
    for session in &busy {
        session.send_query("select pg_sleep(600)");
    }
    let refused = lab.cluster().psql("select 1");
    assert_ne!(refused.status.code(), Some(0), "a slot is free: {refused}");

    let report = start(&lab);
    assert_eq!(report["drain"]["backends"]["ended"], 8, "{report}");
    assert_eq!(report["drain"]["signalled"], 8, "{report}");
    for session in &busy {
        session.wait_end(SOON).assert_farewell();
    }
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn a_client_in_the_middle_of_scram() {
    let access = "local all all peer\nhost all all all scram-sha-256\n";
    let lab = Lab::with(1, Postgres::new().access(access));
    let vitals = lab.cluster().vitals();
    lab.cluster().query("create role shop login password 'secret'");
    let login = Login::to(lab.server.at_v4(5432)).role("shop");
    let session = lab.clients[0].begin(&login).unwrap();
    assert_eq!(session.wait_authentication(SOON), Some(10), "SASL");
    let report = start(&lab);
    assert_eq!(report["drain"]["sockets"]["found"], 1);
    assert!(session.wait_end(SOON).is_closed());
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn a_client_in_the_middle_of_a_tls_handshake_is_never_signalled() {
    let lab = Lab::bare(1);
    let cluster = start_with_tls(&lab);
    let vitals = cluster.vitals();
    let session = lab.clients[0].silent(lab.server.at_v4(5432));
    session.send_raw(&SSL_REQUEST).unwrap();
    assert_eq!(session.wait_raw(1, SOON), b"S");
    let half = lab.clients[0].silent(lab.server.at_v4(5432));
    half.send_raw(&SSL_REQUEST).unwrap();
    assert_eq!(half.wait_raw(1, SOON), b"S");
    half.send_raw(&[22, 3, 1, 0, 200, 1]).unwrap();

    let report = start(&lab);
    assert_eq!(report["drain"]["signalled"], 0, "{report}");
    assert_eq!(report["drain"]["sockets"]["destroyed"], 2, "{report}");
    for session in [&session, &half] {
        assert_eq!(session.wait_end(SOON).close, Close::Rst);
    }
    assert_eq!(cluster.vitals(), vitals);
}

#[test]
fn psql_over_tls_hears_the_farewell() {
    let lab = Lab::bare(1);
    let cluster = start_with_tls(&lab);
    let vitals = cluster.vitals();
    let psql = lab.clients[0]
        .program("/usr/lib/postgresql/15/bin/psql")
        .args(["-X", "-c", "select pg_sleep(600)"])
        .args(["host=203.0.113.1 user=postgres sslmode=require"])
        .spawn();
    let sleeps = "select exists (select from pg_stat_ssl s join pg_stat_activity a using (pid) \
        where s.ssl and a.wait_event = 'PgSleep')";
    cluster.wait_until(sleeps, SOON);
    start(&lab);
    let outcome = psql.wait(SOON);
    outcome.assert_stderr_has("terminating connection due to administrator command");
    assert_eq!(cluster.vitals(), vitals);
}

/// A silent client, and its backend, which is stopped.
fn stopped_in_startup(lab: &Lab) -> (Session, i32) {
    let known = lab.server.pids_of("postgres");
    let session = lab.clients[0].silent(lab.server.at_v4(5432));
    let waits = |pid: &i32| {
        let path = format!("/proc/{pid}/wchan");
        let waits = || std::fs::read_to_string(&path).is_ok_and(|place| place.contains("poll"));
        !known.contains(pid) && lab.server.inside(waits)
    };
    let backend = loop {
        if let Some(pid) = lab.server.pids_of("postgres").into_iter().find(waits) {
            break pid;
        }
    };
    lab.server.signal(backend, "STOP");
    (session, backend)
}

#[test]
fn a_backend_stopped_in_its_startup_whose_client_has_gone() {
    let lab = Lab::new(1);
    let local = lab.cluster().connect_local();
    let vitals = lab.cluster().vitals_by(&local);
    let (session, backend) = stopped_in_startup(&lab);
    session.reset();
    lab.server.assert_only_time_wait(5432);

    let line = ["start", "--for", "1m", "--drain-timeout", "5s", "-o", "json"];
    let outcome = lab.server.pgcordon(line);
    outcome.assert_status(3);
    let report = outcome.json();
    assert_eq!(report["drain"]["stragglers"][0]["pid"], backend, "{report}");
    assert_eq!(report["drain"]["signalled"], 0, "{report}");
    lab.server.signal(backend, "CONT");
    lab.server.wait_gone(backend, SOON);
    lab.server.pgcordon(["drain"]).assert_status(0);
    assert_eq!(lab.cluster().vitals_by(&local), vitals);
}

#[test]
fn a_backend_that_is_stopped_in_its_startup_is_a_straggler() {
    let lab = Lab::new(1);
    let local = lab.cluster().connect_local();
    let vitals = lab.cluster().vitals_by(&local);
    local.query("create table orders (id int)");
    let (session, backend) = stopped_in_startup(&lab);
    // All that a session needs lies in the queue of its socket.
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let statement = b"insert into orders values (1)\0";
    let length = |rest: &[u8]| u32::try_from(rest.len() + 4).unwrap().to_be_bytes();
    let startup = [&[0, 3, 0, 0], &parameters[..]].concat();
    session.send_raw(&length(&startup)).unwrap();
    session.send_raw(&startup).unwrap();
    session.send_raw(b"Q").unwrap();
    session.send_raw(&length(statement)).unwrap();
    session.send_raw(statement).unwrap();

    let line = ["start", "--for", "1m", "--drain-timeout", "5s", "-o", "json"];
    let outcome = lab.server.pgcordon(line);
    outcome.assert_status(3);
    let report = outcome.json();
    let straggler = &report["drain"]["stragglers"][0];
    assert_eq!(straggler["pid"], backend, "{report}");
    assert_eq!(straggler["client"], session.local().to_string());
    assert_eq!(report["drain"]["signalled"], 0, "{report}");
    assert_eq!(session.wait_end(SOON).close, Close::Rst);

    lab.server.signal(backend, "CONT");
    lab.server.wait_gone(backend, SOON);
    lab.server.pgcordon(["drain"]).assert_status(0);
    assert_eq!(local.value("select count(*) from orders"), "0");
    assert_eq!(lab.cluster().vitals_by(&local), vitals);
}
