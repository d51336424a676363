//! Clients are cut with PostgreSQL's own word, with SQL and without; local ones live.

use crate::lab::{Login, Postgres, SOON, Session, assert_complete};
use serde_json::Value;
use std::time::Instant;

/// No login by the Unix socket; the test itself looks on over loopback.
const NO_LOCAL_LOGIN: &str = "local all all reject\nhost all all all trust\n";

macro_rules! majors {
    ($($name:ident: $major:literal)*) => {$(
        mod $name {
            #[test]
            fn remote_sessions_get_a_farewell_and_local_ones_live() {
                super::farewell($major);
            }

            #[test]
            fn silent_clients_that_fill_every_slot_are_gone() {
                super::silent($major);
            }

            #[test]
            fn without_sql_the_drain_is_complete_all_the_same() {
                super::without_sql($major);
            }
        }
    )*};
}

majors! {
    postgres_12: 12
    postgres_13: 13
    postgres_14: 14
    postgres_15: 15
    postgres_16: 16
    postgres_17: 17
    postgres_18: 18
}

/// Remote sessions over both families, in the states that matter.
fn sessions(lab: &super::Lab, local: &Session) -> Vec<Session> {
    let mut remote = lab.clients[0].connect_many(lab.server.at_v4(5432), 10);
    remote.extend(lab.clients[0].connect_many(lab.server.at_v6(5432), 10));
    remote[0].send_query("select pg_sleep(600)");
    remote[1].send_query("do $$ begin loop end loop; end $$");
    remote[2].query("begin");
    remote[2].query("create table held (n int)");
    for busy in &remote[..2] {
        local.wait_shown(busy.backend_pid(), "state = 'active'", SOON);
    }
    remote
}

fn farewell(major: u32) {
    let (lab, cluster) = super::lab(major, 1, Postgres::new());
    let local = cluster.connect_local();
    println!("{}", local.value("select version()"));
    let locals = cluster.connect_every_local_way();
    let vitals = cluster.vitals_by(&local);
    let remote = sessions(&lab, &local);

    let planned = lab.server.cordon("plan --for 10m");
    assert_eq!(planned["drain"]["backends"]["found"], 20, "{planned}");
    let report = lab.server.cordon("start --for 10m");
    assert_complete(&report);
    assert_eq!(report["drain"]["sql"], "ok", "{report}");
    assert_eq!(report["drain"]["backends"]["ended"], 20, "{report}");
    for session in &remote {
        session.wait_end(SOON).assert_farewell();
    }
    lab.server.assert_only_time_wait(5432);
    lab.clients[0].assert_only_time_wait(5432);
    for (way, session) in &locals {
        assert!(session.is_alive(), "{way}");
    }
    cluster.assert_no_remote_row(&local);
    lab.server.cordon("lift");
    assert!(lab.clients[0].connect(lab.server.at_v6(5432)).is_alive());
    assert_eq!(cluster.vitals_by(&local), vitals);
}

fn silent(major: u32) {
    let postgres = Postgres::new().setting("max_connections", 8).setting("max_wal_senders", 0);
    let (lab, cluster) = super::lab(major, 1, postgres);
    let vitals = cluster.vitals();
    let mut silent = Vec::new();
    for number in 0..40 {
        let address = [lab.server.at_v4(5432), lab.server.at_v6(5432)][number % 2];
        silent.push(lab.clients[0].silent(address));
    }
    let backends = "until [ $(pgrep -c -x postgres) -ge 40 ]; do :; done";
    lab.server.shell(backends).assert_status(0);
    // A slot is taken a moment after the backend is there.
    let deadline = Instant::now() + SOON;
    while cluster.psql("select 1").status.code() == Some(0) {
        assert!(Instant::now() < deadline, "a slot is free");
    }
    let report = lab.server.cordon("start --for 10m");
    assert_complete(&report);
    assert_eq!(report["drain"]["signalled"], 0, "{report}");
    for session in &silent {
        assert!(session.wait_end(SOON).is_closed());
    }
    assert_eq!(cluster.vitals(), vitals);
}

fn without_sql(major: u32) {
    let postgres = Postgres::new().access(NO_LOCAL_LOGIN);
    let (lab, cluster) = super::lab(major, 1, postgres);
    let local = lab.server.login(&Login::to(([127, 0, 0, 1], 5432).into()));
    let vitals = cluster.vitals_by(&local);
    let remote = sessions(&lab, &local);
    let silent = lab.clients[0].silent(lab.server.at_v4(5432));
    let report: Value = lab.server.cordon("start --for 10m");
    assert_complete(&report);
    let sql = report["drain"]["sql"].as_str().unwrap();
    assert!(sql.contains("pg_hba.conf rejects"), "{sql}");
    assert_eq!(report["drain"]["signalled"], 20, "{report}");
    for session in &remote {
        session.wait_end(SOON).assert_farewell();
    }
    assert!(silent.wait_end(SOON).is_closed());
    lab.server.assert_only_time_wait(5432);
    cluster.assert_no_remote_row(&local);
    assert_eq!(cluster.vitals_by(&local), vitals);
}
