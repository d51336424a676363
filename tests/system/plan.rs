//! `plan`: everybody who is connected, with what would happen to them and why. It changes
//! nothing.

use crate::lab::{Lab, Login, Postgres, SOON};
use serde_json::{Value, json};
use std::time::Duration;

/// The connection of a client, by its address and port.
fn of<'a>(report: &'a Value, client: &str) -> &'a Value {
    let all = report["connections"].as_array().unwrap();
    let found: Vec<_> = all.iter().filter(|one| one["client"] == client).collect();
    assert_eq!(found.len(), 1, "{client} once in {report}");
    found[0]
}

#[test]
fn each_connection_is_listed_with_its_verdict_and_nothing_changes() {
    let postgres = Postgres::new().setting("max_prepared_transactions", 2);
    let lab = Lab::with(2, postgres);
    let vitals = lab.cluster().vitals();
    let cluster = lab.cluster();
    cluster.query("create table orders (id int)");
    let preparing = cluster.connect_local();
    preparing.query("begin; insert into orders values (1); prepare transaction 'p1'");

    let at = lab.server.at_v4(5432);
    let login = Login::to(at).application("shop");
    let remote = lab.clients[0].login(&login);
    remote.send_query("select pg_sleep(600)");
    cluster.wait_state(remote.backend_pid(), "active");
    let passed = lab.clients[1].connect(at);
    let silent = lab.clients[0].silent(at);
    let own = lab.server.connect(at);
    let loopback = lab.server.connect(([127, 0, 0, 1], 5432).into());
    let gone = lab.clients[0].connect(at);
    gone.send_query("select pg_sleep(600)");
    cluster.wait_state(gone.backend_pid(), "active");
    gone.reset();

    let line = ["plan", "--for", "1m", "--allow", "203.0.113.12", "-o", "json"];
    let outcome = lab.server.pgcordon(line);
    outcome.assert_status(0);
    let report = outcome.json();
    assert_eq!(report["result"], "planned");
    assert_eq!(report["changed"], false);
    assert_eq!(report["drain"]["sql"], "ok");
    assert_eq!(report["drain"]["backends"]["found"], 2, "{report}");
    assert_eq!(report["drain"]["sockets"]["found"], 2, "{report}");

    let shop = of(&report, &remote.local().to_string());
    for (field, value) in [
        ("verdict", json!("cut")),
        ("pid", json!(remote.backend_pid())),
        ("role", json!("postgres")),
        ("database", json!("postgres")),
        ("application", json!("shop")),
        ("state", json!("active")),
        ("wait", json!("Timeout/PgSleep")),
        ("query", json!("select pg_sleep(600)")),
    ] {
        assert_eq!(shop[field], value, "{field}");
    }
    for (session, verdict) in
        [(&passed, "pass"), (&silent, "cut"), (&own, "local"), (&loopback, "local"), (&gone, "cut")]
    {
        let connection = of(&report, &session.local().to_string());
        assert_eq!(connection["verdict"], verdict, "{connection}");
        assert_ne!(connection["why"], "", "{connection}");
    }
    let startup = of(&report, &silent.local().to_string());
    assert_eq!(startup["state"], "in startup");
    assert_ne!(startup["pid"], Value::Null);
    let unix = report["connections"].as_array().unwrap();
    let unix = unix.iter().find(|one| one["client"] == Value::Null).unwrap();
    assert_eq!(unix["verdict"], "local");
    assert_eq!(unix["pid"], preparing.backend_pid());
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("prepared transaction"), "{warnings}");

    assert_eq!(lab.server.ruleset(), "");
    assert!(!silent.wait_end(Duration::ZERO).is_closed());
    assert!(passed.is_alive() && own.is_alive() && loopback.is_alive());
    cluster.wait_state(remote.backend_pid(), "active");
    cluster.wait_state(gone.backend_pid(), "active");
    assert_eq!(cluster.vitals(), vitals);
}

#[test]
fn a_standby_is_warned_of() {
    let lab = Lab::new(1);
    let vitals = lab.cluster().vitals();
    let login = Login::to(lab.server.at_v4(5432)).application("standby1");
    let standby = lab.clients[0].login(&login.replication());
    let outcome = lab.server.pgcordon(["plan", "--for", "1m", "-o", "json"]);
    outcome.assert_status(0);
    let warnings = outcome.json()["warnings"].to_string();
    assert!(warnings.contains("standby1"), "{warnings}");
    assert!(warnings.contains("--allow-replication"), "{warnings}");
    assert!(!standby.wait_end(Duration::ZERO).is_closed());
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn without_sql_the_plan_says_so_and_lists_what_sockets_tell() {
    let access = "local all all reject\nhost all all all trust\n";
    let lab = Lab::with(1, Postgres::new().access(access));
    let local = lab.server.connect(([127, 0, 0, 1], 5432).into());
    let vitals = lab.cluster().vitals_by(&local);
    let remote = lab.clients[0].connect(lab.server.at_v4(5432));
    let outcome = lab.server.pgcordon(["plan", "--for", "1m", "-o", "json"]);
    outcome.assert_status(0);
    let report = outcome.json();
    let sql = report["drain"]["sql"].as_str().unwrap();
    assert!(sql.contains("pg_hba.conf"), "{sql}");
    let connection = of(&report, &remote.local().to_string());
    assert_eq!(connection["verdict"], "cut");
    assert_eq!(connection["pid"], remote.backend_pid());
    assert!(remote.is_alive());
    assert_eq!(lab.cluster().vitals_by(&local), vitals);
}

#[test]
fn a_stopped_postmaster_does_not_stop_the_plan() {
    let lab = Lab::new(1);
    let local = lab.cluster().connect_local();
    let vitals = lab.cluster().vitals_by(&local);
    let remote = lab.clients[0].connect(lab.server.at_v4(5432));
    let postmaster = lab.cluster().postmaster();
    lab.server.signal(postmaster, "STOP");
    let waiting = lab.clients[0].silent(lab.server.at_v4(5432));
    let plan = lab.server.spawn_pgcordon(["plan", "--for", "1m", "-o", "json"]);
    let outcome = plan.wait(SOON);
    outcome.assert_status(0);
    let report = outcome.json();
    let connection = of(&report, &remote.local().to_string());
    assert_eq!(connection["pid"], remote.backend_pid());
    let connection = of(&report, &waiting.local().to_string());
    assert_eq!(connection["state"], "not yet accepted");
    lab.server.signal(postmaster, "CONT");
    assert_eq!(lab.cluster().vitals_by(&local), vitals);
}

#[test]
fn what_is_asked_for_is_told_and_a_window_that_differs_is_refused_as_by_start() {
    let lab = Lab::new(0);
    let vitals = lab.cluster().vitals();
    let plan = |line: &str| lab.server.pgcordon(line.split(' '));
    let asked = "plan --for 1m --port 5432 --port 5433 --allow 10.0.0.5 -o json";
    let planned = |report: &Value| report["planned"].clone();
    let cordon = |port: u16| {
        json!({ "port": port, "for_s": 60.0, "verdict": "drop", "reason": null,
            "pass": ["10.0.0.5/32"], "ramp": null })
    };
    let report = plan(asked).assert_status(0).json();
    assert_eq!(planned(&report), json!([cordon(5432), cordon(5433)]));
    assert_eq!(report["windows"], json!([]));

    let start = "start --for 10m --no-drain --allow 10.0.0.5";
    lab.server.pgcordon(start.split(' ')).assert_status(0);
    let table = || lab.server.run(["nft", "-s", "list", "ruleset"]).stdout;
    let before = table();
    let report = plan(asked).assert_status(0).json();
    assert_eq!(planned(&report), json!([cordon(5432), cordon(5433)]));
    assert_eq!(report["windows"][0]["port"], 5432, "{report}");
    let differs = plan("plan --for 1m --verdict reset -o json");
    let message = differs.assert_failure(1, "window-differs");
    assert!(message.contains("the verdict drop instead of reset"), "{message}");
    assert_eq!(table(), before);
    assert_eq!(lab.cluster().vitals(), vitals);
}
