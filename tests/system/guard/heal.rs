//! Promise 2: a block never ends early unless someone asks. The guard puts it back, whatever
//! another program does to it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::lab::{Host, Lab, SOON, assert_same_end};
use serde_json::Value;

/// What another program does, in nft's language.
const DAMAGE: [(&str, &str); 16] = [
    ("the whole ruleset is flushed", "flush ruleset"),
    ("the table is deleted", "delete table inet pgcordon_5432"),
    ("the table is flushed", "flush table inet pgcordon_5432"),
    (
        "a chain is deleted",
        "flush chain inet pgcordon_5432 inner\ndelete chain inet pgcordon_5432 inner",
    ),
    ("a chain's rules are deleted", "flush chain inet pgcordon_5432 cordon"),
    ("the element is deleted", "delete element inet pgcordon_5432 window { 5432 }"),
    ("the set of fragments is flushed", "flush set inet pgcordon_5432 armed"),
    (
        "the window is made shorter",
        "flush set inet pgcordon_5432 window\n\
         add element inet pgcordon_5432 window { 5432 timeout 5s }",
    ),
    (
        "the window is made longer",
        "flush set inet pgcordon_5432 window\n\
         add element inet pgcordon_5432 window { 5432 timeout 5h }",
    ),
    ("a network passes", "add element inet pgcordon_5432 pass4 { 203.0.113.8/30 }"),
    ("nobody passes any more", "flush set inet pgcordon_5432 pass4"),
    (
        "an old connection is let through",
        "add element inet pgcordon_5432 flows4 { 203.0.113.11 . 4711 timeout 1h }",
    ),
    (
        "every old connection is let through",
        "add element inet pgcordon_5432 farewell { 5432 timeout 1h }",
    ),
    (
        "a rule that accepts is put in front",
        "insert rule inet pgcordon_5432 cordon tcp dport 5432 accept",
    ),
    (
        "another chain is added",
        "add chain inet pgcordon_5432 more { type filter hook input priority 0; policy accept; }",
    ),
    ("the table is made dormant", "add table inet pgcordon_5432 { flags dormant; }"),
];

/// The table without what changes by itself.
fn table(server: &Host) -> String {
    let listed = server.run(["nft", "--stateless", "list", "table", "inet", "pgcordon_5432"]);
    let text = listed.assert_status(0).stdout.clone();
    let lines = text.lines().filter(|line| !line.contains("elements = "));
    // The default timeouts of the sets are the time that was left.
    let lines = lines.filter(|line| !line.trim_start().starts_with("timeout "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn whatever_is_taken_from_a_cordon_is_put_back_with_the_time_that_was_left() {
    let lab = Lab::new(2);
    let (server, blocked, passes) = (&lab.server, &lab.clients[0], &lab.clients[1]);
    let to = [server.at_v4(5432), server.at_v6(5432)];
    let report = server.cordon("start --for 10m --allow 203.0.113.12 --reason held");
    let raised = crate::lab::only_window(&report);
    let guard = raised["guard_pid"].as_i64().expect("a guard");
    let whole = table(server);
    for (times, (what, script)) in (1..).zip(DAMAGE) {
        server.nft(script);
        let window = server.wait_healed(times);
        println!("{what}: healed");
        assert_same_end(&window["ends_at"], &raised["ends_at"]);
        assert_eq!(window["healed"].as_u64(), Some(times), "{what}");
        assert_eq!(window["guard_pid"].as_i64(), Some(guard), "{what}");
        assert_eq!(window["id"], raised["id"], "{what}");
        assert_eq!(window["reason"], "held", "{what}");
        assert_eq!(window["pass"], raised["pass"], "{what}");
        assert_eq!(table(server), whole, "{what}");
        server.assert_every_element_ends(5432);
        blocked.assert_blocked(&to);
        passes.assert_reaches(&to[..1]);
    }
    server.cordon("lift");
    assert_eq!(server.ruleset(), "");
    blocked.assert_reaches(&to);
}

#[test]
fn every_single_rule_that_is_deleted_is_put_back() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon("start --for 10m --no-drain");
    let rules = |server: &Host| -> Vec<Value> {
        let rules = server.nft_json().into_iter().map(|mut o| o["rule"].take());
        let ours = |rule: &Value| rule["table"] == "pgcordon_5432";
        rules.filter(ours).collect()
    };
    let whole = table(server);
    let count = rules(server).len();
    assert!(count > 15, "{count} rules");
    for number in 0..count {
        let rule = rules(server).swap_remove(number);
        let (chain, handle) = (rule["chain"].as_str().unwrap(), &rule["handle"]);
        server.nft(&format!("delete rule inet pgcordon_5432 {chain} handle {handle}"));
        server.wait_healed(number as u64 + 1);
        assert_eq!(table(server), whole, "without {rule}");
    }
}

#[test]
fn who_got_in_while_the_cordon_was_away_is_drained_with_the_statement() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    // A table of its name keeps the guard from having its twin.
    server.nft("add table inet pgcordon_5432_guard");
    server.cordon("start --for 10m");
    let guard = server.pids_of("pgcordon-guard")[0];
    server.signal(guard, "STOP");
    server.nft("flush ruleset");
    let session = client.connect(server.at_v4(5432));
    session.send_query("SELECT pg_sleep(600)");
    let gone = client.connect(server.at_v6(5432));
    gone.send_query("SELECT pg_sleep(601)");
    lab.cluster().wait_until(
        "SELECT count(*) = 2 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60%'",
        SOON,
    );
    // Its socket is not there any more when the guard looks, and its statement runs on.
    gone.reset();
    server.signal(guard, "CONT");
    server.wait_healed(1);
    lab.cluster().wait_until(
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE client_addr IS NOT NULL",
        SOON,
    );
    client.assert_blocked(&[server.at_v4(5432), server.at_v6(5432)]);
    assert!(lab.cluster().connect_local().is_alive());
    drop(session);
}

#[test]
fn existing_connections_of_a_window_without_a_drain_survive_a_heal() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let session = client.connect(server.at_v4(5432));
    server.cordon("start --for 10m --no-drain");
    server.nft("flush ruleset");
    server.wait_healed(1);
    assert_eq!(session.value("SELECT 1"), "1");
    client.assert_blocked(&[server.at_v4(5432)]);
}

/// Sends SYNs for so long; how many were answered.
fn flood(client: &Host, to: SocketAddr, length: Duration) -> u64 {
    let (source, target) = (client.v4.to_string(), to.ip().to_string());
    let (port, seconds) = (to.port().to_string(), length.as_secs_f64().to_string());
    let outcome = client.python("flood.py", &[&source, &target, &port, &seconds]);
    let report = outcome.assert_status(0).json();
    assert!(report["sent"].as_u64().unwrap() > 0, "{report}");
    report["answered"].as_u64().unwrap()
}

/// Flushes the ruleset up to a hundred times a second for five seconds.
const FLUSHES: &str =
    "timeout 5 bash -c 'while nft flush ruleset; do sleep 0.01; done' || test $? = 124";

/// Cordons, and floods while the ruleset is flushed; how many SYNs were answered.
fn flood_while_flushed(server: &Host, client: &Host) -> u64 {
    // What is behind the port cannot be looked at, so that the drain is not proven.
    server.try_cordon("start --for 10m --any-listener").assert_status(3);
    std::thread::scope(|scope| {
        let flushing = scope.spawn(|| server.shell(FLUSHES));
        let answered = flood(client, server.at_v4(5432), Duration::from_secs(5));
        flushing.join().unwrap().assert_status(0);
        answered
    })
}

#[test]
fn not_one_syn_gets_through_while_the_ruleset_is_flushed_in_a_loop() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let mut listener = server.program("/usr/bin/python3").args(LISTENER).spawn();
    listener.wait_for_stdout("listening", SOON);
    let answered = flood_while_flushed(server, client);
    assert_eq!(answered, 0, "SYNs were answered in spite of the twin");
    let window = server.wait_healed(1);
    println!("healed {} times", window["healed"]);
    client.assert_blocked(&[server.at_v4(5432)]);
    server.cordon("lift");
    assert_eq!(server.ruleset(), "");
    assert!(listener.is_running());
}

#[test]
fn without_a_twin_the_port_is_closed_at_the_end_of_a_loop_of_flushes() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let mut listener = server.program("/usr/bin/python3").args(LISTENER).spawn();
    listener.wait_for_stdout("listening", SOON);
    server.nft("add table inet pgcordon_5432_guard");
    let answered = flood_while_flushed(server, client);
    println!("without the twin {answered} SYNs were answered in 5 s of flushes");
    server.wait_healed(1);
    client.assert_blocked(&[server.at_v4(5432)]);
    assert!(listener.is_running());
}

/// A listener that answers every SYN and accepts nobody.
const LISTENER: [&str; 3] = [
    "-u",
    "-c",
    "import socket\n\
     s = socket.socket()\n\
     s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
     s.bind(('0.0.0.0', 5432))\n\
     s.listen(4096)\n\
     print('listening')\n\
     while True:\n    s.accept()[0].close()",
];
