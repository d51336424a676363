//! The policies that come with pgcordon: each is loaded, and each is used, with what clients
//! see of it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{OF_THE_ADMINISTRATOR, OF_THE_PACKAGE, SHIPPED};
use crate::lab::{
    Close, Host, Lab, Login, Postgres, Reach, SOON, Session, assert_complete, only_window, warns,
};

const NAMES: [&str; 6] =
    ["backup-stays", "default", "emergency", "gentle", "keep-replicas", "office-may-enter"];

/// A server where the shipped policies are installed, and so many clients.
fn lab(clients: usize) -> Lab {
    let lab = Lab::new(clients);
    lab.server.with_shipped();
    lab
}

fn start(lab: &Lab, rest: &str) -> Value {
    let report = lab.server.cordon(&format!("start {rest}"));
    assert_complete(&report);
    report
}

/// Gives a client one more address, and the server the way to it.
fn also_at(lab: &Lab, client: usize, address: &str) -> SocketAddr {
    let via = lab.clients[client].v4;
    lab.clients[client].ip(&format!("addr add {address}/32 dev lo\n"));
    lab.server.ip(&format!("route add {address}/32 via {via}\n"));
    format!("{address}:0").parse().unwrap()
}

fn connect_from(client: &Host, from: SocketAddr, to: SocketAddr) -> std::io::Result<Session> {
    client.begin(&Login::to(to).from(from))
}

#[test]
fn each_is_valid_and_says_what_it_is_for() {
    let lab = Lab::bare(0);
    let server = lab.server.with_shipped();
    let mut there: Vec<_> = std::fs::read_dir(SHIPPED)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(there, NAMES.map(|name| format!("{name}.yaml")));
    let files = NAMES.map(|name| format!("{OF_THE_PACKAGE}/{name}.yaml"));
    let check = server.tool().args(["policy", "check"]).args(&files).run();
    let valid: String = files.iter().map(|file| format!("{file}: valid\n")).collect();
    assert_eq!(check.assert_status(0).stdout, valid);
    for name in NAMES {
        let shown = server.shown(name);
        assert!(shown["description"].as_str().unwrap().len() > 10, "{shown}");
    }
}

/// Whoever starts from it finds every key in it, at the value that it has without.
#[test]
fn the_default_one_says_what_is_built_in() {
    let lab = Lab::bare(0);
    let server = lab.server.with_shipped();
    let built_in = server.shown("none")["settings"].clone();
    let default = server.shown("default")["settings"].clone();
    let text = std::fs::read_to_string(format!("{SHIPPED}/default.yaml")).unwrap();
    for (key, given) in built_in.as_object().unwrap() {
        if key != "window" {
            assert_eq!(default[key]["value"], given["value"], "{key}");
        }
        let name = format!("{}:", key.rsplit('.').next().unwrap());
        let words = |line: &str| line.trim_start_matches([' ', '#']).starts_with(&name);
        assert!(text.lines().any(words), "{name} in default.yaml");
    }
    // What stands in comments is right, too.
    let uncommented: String = text
        .lines()
        .map(|line| match line.trim_start().strip_prefix("# ") {
            Some(rest) if rest.trim_start().split_once(':').is_some_and(|(key, _)| is_key(key)) => {
                let indent = line.len() - line.trim_start().len();
                format!("{}{rest}\n", " ".repeat(indent))
            }
            _ => format!("{line}\n"),
        })
        .filter(|line| !line.contains("socket_dir:"))
        .collect();
    server.write("/run/uncommented", &uncommented);
    let check = server.policy("check --content /run/uncommented");
    assert_eq!(check.stdout, "/run/uncommented: valid\n", "{uncommented}");
    for key in ["spare.roles", "postgres.passfile", "allow.addresses_file"] {
        let shown = server.tool().args(["policy", "show", "/run/uncommented", "-o", "json"]).run();
        let value = &shown.json()["policy"]["settings"][key];
        let is_there =
            value["value"].is_string() || value.as_array().is_some_and(|list| !list.is_empty());
        assert!(is_there, "{key}: {value} of {uncommented}");
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c == '_' || c.is_ascii_lowercase())
}

#[test]
fn the_default_one_closes_the_port_for_ten_minutes() {
    let lab = lab(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.shell(&format!("cp {SHIPPED}/default.yaml {OF_THE_ADMINISTRATOR}")).assert_status(0);
    let both = [server.at_v4(5432), server.at_v6(5432)];
    let sessions = both.map(|at| client.connect(at));
    let report = start(&lab, "--reason test");
    for session in sessions {
        session.wait_end(SOON).assert_farewell();
    }
    client.assert_blocked(&both);
    let window = only_window(&report);
    let remaining = window["remaining_s"].as_f64().unwrap();
    assert!((540.0..=600.0).contains(&remaining), "{report}");
    assert_eq!(window["verdict"], "drop");
    assert_eq!(window["ramp"], Value::Null);
    server.cordon("lift");
    client.assert_reaches(&both);
}

#[test]
fn keep_replicas_cuts_clients_and_lets_a_standby_stream() {
    let lab = lab(2);
    let server = &lab.server;
    let local = lab.cluster().connect_local();
    local.query("create table t (n int)");
    let standby = lab.clients[0].start_standby(lab.cluster(), server.at_v4(5432), "replica");
    let follower = standby.connect_local();
    let client = lab.clients[1].connect(server.at_v4(5432));
    let report = start(&lab, "--policy keep-replicas --for 1m");
    client.wait_end(SOON).assert_farewell();
    lab.clients[1].assert_blocked(&[server.at_v4(5432), server.at_v6(5432)]);
    assert!(!warns(&report, &["standby"]), "{report}");
    local.query("insert into t values (1)");
    follower.wait_until("select exists (select from t where n = 1)", SOON);
    // It comes back, too.
    local.query("select pg_terminate_backend(pid) from pg_stat_replication");
    lab.cluster().wait_streaming("replica");
    assert_eq!(only_window(&report)["pass"], json!(["203.0.113.11/32"]));
}

#[test]
fn office_may_enter_lets_networks_and_an_interface_in() {
    let lab = lab(3);
    let server = &lab.server;
    let at = server.at_v4(5432);
    let policy = "--policy office-may-enter";
    // Without the interface nothing is done.
    let message = server.try_cordon(&format!("start {policy}")).assert_failure(2, "pass-list");
    assert!(message.contains("wg0"), "{message}");
    assert_eq!(server.ruleset(), "");

    server.ip(
        "link add wg0 type veth peer name wg1\naddr add 10.77.0.1/24 dev wg0\nlink set wg0 up\n",
    );
    let office = also_at(&lab, 0, "198.51.100.7");
    let vpn = also_at(&lab, 1, "10.77.0.9");
    let monitoring = also_at(&lab, 2, "192.0.2.17");
    let login = |client: usize, from| lab.clients[client].login(&Login::to(at).from(from));
    let staying = [login(0, office), login(1, vpn), login(2, monitoring)];
    let cut = [lab.clients[0].connect(at), lab.clients[1].connect(server.at_v6(5432))];
    let report = start(&lab, policy);
    for session in &cut {
        session.wait_end(SOON).assert_farewell();
    }
    for session in &staying {
        assert!(session.is_alive(), "{:?}", session.ending());
    }
    for (client, from) in [(0, office), (1, vpn), (2, monitoring)] {
        assert!(connect_from(&lab.clients[client], from, at).is_ok(), "{from}");
    }
    for client in &lab.clients {
        client.assert_blocked(&[at, server.at_v6(5432)]);
    }
    let window = only_window(&report);
    assert_eq!(window["reason"], "maintenance; the office may enter");
    // One more for this call.
    server.cordon("lift");
    start(&lab, &format!("{policy} --allow 203.0.113.13"));
    lab.clients[2].assert_reaches(&[at]);
    assert!(connect_from(&lab.clients[0], office, at).is_ok());
}

#[test]
fn gentle_cancels_first_and_lets_clients_back_in_slowly() {
    let lab = lab(2);
    let server = &lab.server;
    let at = server.at_v4(5432);
    let busy = lab.clients[0].connect(at);
    busy.send_query("select pg_sleep(600)");
    lab.cluster().wait_state(busy.backend_pid(), "active");
    let report = start(&lab, "--policy gentle --for 10m");
    let cancelled = busy.wait_error(SOON).expect("a failure of the statement");
    assert_eq!(cancelled.sqlstate, "57014", "{cancelled}");
    busy.wait_end(SOON).assert_farewell();
    lab.clients[0].assert_blocked(&[at]);
    assert_eq!(only_window(&report)["ramp"], json!({"for_s": 120.0, "per_s": 10}));

    server.cordon("lift --ramp");
    assert_eq!(server.window()["phase"], "ramp");
    server.count_let_in(5432);
    let began = std::time::Instant::now();
    let _attempts = lab.clients[1].knock(at, 60);
    let inside = server.let_in();
    let allowed = 10.0 + 10.0 * began.elapsed().as_secs_f64();
    assert!(inside >= 10, "the burst of the rate: {inside}");
    assert!(inside as f64 <= allowed + 1.0, "{inside} of {allowed}");
}

#[test]
fn emergency_resets_everybody_at_once() {
    let lab = lab(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let both = [server.at_v4(5432), server.at_v6(5432)];
    let sessions = both.map(|at| client.connect(at));
    sessions[0].send_query("select pg_sleep(600)");
    lab.cluster().wait_state(sessions[0].backend_pid(), "active");
    let report = start(&lab, "--policy emergency");
    for session in sessions {
        let ending = session.wait_end(SOON);
        assert_eq!((ending.close, ending.sqlstate), (Close::Rst, None));
    }
    for at in both {
        assert_eq!(client.reach(at, SOON), Reach::Refused);
    }
    let window = only_window(&report);
    assert_eq!((&window["verdict"], &window["reason"]), (&json!("reset"), &json!("emergency")));
    assert!(window["remaining_s"].as_f64().unwrap() > 840.0, "{report}");
}

#[test]
fn backup_stays_spares_pg_dump_and_nobody_else() {
    let lab = Lab::with(1, Postgres::new());
    let server = lab.server.with_shipped();
    let client = &lab.clients[0];
    let at = server.at_v4(5432);
    let dump = client.login(&Login::to(at).application("pg_dump"));
    dump.query("begin");
    let other = client.connect(at);
    let report = start(&lab, "--policy backup-stays --for 1m");
    other.wait_end(SOON).assert_farewell();
    assert!(dump.is_alive(), "{:?}", dump.ending());
    let spared = report["drain"]["spared"].as_array().unwrap();
    assert_eq!(spared.len(), 1, "{report}");
    assert_eq!(spared[0]["application"], "pg_dump", "{report}");
    client.assert_blocked(&[at, server.at_v6(5432)]);
    dump.query("commit");
}
