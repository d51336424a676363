//! Who may pass: addresses let in and out during a window, and large lists from files.

use std::net::Ipv4Addr;

use crate::lab::{GLIMPSE, Host, Lab, Login, SOON, START, milliseconds, only_window, warns};
use serde_json::json;

#[test]
fn clients_are_let_in_and_out_during_a_window() {
    let lab = Lab::new(2);
    let (server, first, second) = (&lab.server, &lab.clients[0], &lab.clients[1]);
    let both = [server.at_v4(5432), server.at_v6(5432)];
    server.cordon(START);
    for client in &lab.clients {
        client.assert_blocked(&both);
    }

    let allowed = server.cordon("allow 203.0.113.11 2001:db8:53::11");
    assert_eq!((&allowed["result"], &allowed["changed"]), (&json!("allowed"), &json!(true)));
    let pass = json!(["203.0.113.11/32", "2001:db8:53::11/128"]);
    assert_eq!(only_window(&allowed)["pass"], pass);
    first.assert_reaches(&both);
    second.assert_blocked(&both);
    assert_eq!(server.cordon("allow 203.0.113.11")["changed"], false);

    // A whole network, and one address of it out again.
    server.cordon("allow 203.0.113.0/24");
    second.assert_reaches(&both[..1]);
    second.assert_blocked(&both[1..]);
    let removed = server.cordon("allow --remove 203.0.113.12");
    assert_eq!(removed["changed"], true);
    second.assert_blocked(&both);
    first.assert_reaches(&both);

    server.cordon("allow --remove 203.0.113.0/24 2001:db8::/32");
    first.assert_blocked(&both);
    let again = server.cordon("allow --remove 203.0.113.11");
    assert_eq!(again["changed"], false);
    assert_eq!(only_window(&again)["pass"], json!([]));
}

/// So many networks of which no two can be merged: 20.0.0.0/31, 20.0.0.4/31, and so on.
fn networks(count: u32) -> String {
    let network = |n: u32| format!("{}/31\n", Ipv4Addr::from(0x1400_0000 + 4 * n));
    (0..count).map(network).collect()
}

/// A client of the bridge as a member and one that is none, during a window with this
/// list.
fn assert_membership(lab: &Lab) {
    let (server, member, other) = (&lab.server, &lab.clients[0], &lab.clients[1]);
    let both = [server.at_v4(5432), server.at_v6(5432)];
    member.assert_reaches(&both);
    other.assert_blocked(&both);
}

/// Gives a client an address of its own beside that of the bridge, which the server finds.
fn also_at(lab: &Lab, client: usize, address: &str) {
    let via = lab.clients[client].v4;
    lab.clients[client].ip(&format!("addr add {address}/32 dev lo\n"));
    lab.server.ip(&format!("route add {address}/32 via {via}\n"));
}

#[test]
fn a_list_of_thousands_of_networks_comes_from_a_file() {
    let lab = Lab::new(2);
    let server = &lab.server;
    let list = format!(
        "# who may pass\n\n{}203.0.113.11 # a client\n  2001:db8:53::11/128  \n",
        networks(5000)
    );
    server.write("/run/pass", list);
    also_at(&lab, 1, "20.0.0.5");
    also_at(&lab, 0, "20.0.0.6");

    let report = server.cordon(&format!("{START} --allow @/run/pass"));
    assert_eq!(only_window(&report)["pass"].as_array().unwrap().len(), 5002);
    assert_membership(&lab);
    // One that stands in the list, and its neighbour that does not.
    let from = |client: &Host, address: &str| {
        let login = Login::to(server.at_v4(5432)).from(format!("{address}:0").parse().unwrap());
        client.begin(&login.limit(GLIMPSE)).is_ok()
    };
    assert!(from(&lab.clients[1], "20.0.0.5"));
    assert!(!from(&lab.clients[0], "20.0.0.6"));

    let again = server.cordon(&format!("{START} --allow @/run/pass"));
    assert_eq!(again["result"], "already-cordoned");
    server.cordon("allow --remove @/run/pass");
    assert_eq!(server.window()["pass"], json!([]));
    lab.clients[0].assert_blocked(&[server.at_v4(5432)]);
    server.cordon("allow @/run/pass");
    assert_membership(&lab);
}

#[test]
fn a_hundred_thousand_networks_pass() {
    let lab = Lab::new(2);
    let server = &lab.server;
    let list = format!("203.0.113.11\n2001:db8:53::11\n{}", networks(99_998));
    server.write("/run/pass", list);
    let start = format!("{START} --allow @/run/pass");
    let outcome = server.try_cordon(&start);
    assert_membership(&lab);

    let report = outcome.assert_status(0).json();
    assert_eq!(only_window(&report)["pass"].as_array().unwrap().len(), 100_000);
    println!("start with 100,000 networks: {:?}", outcome.took);
    let took = server.try_cordon("lift").assert_status(0).took;
    println!("lift: {took:?}");
    assert_eq!(server.ruleset(), "");

    server.write("/run/pass", networks(100_001));
    let message = server.try_cordon(&start).assert_failure(2, "pass-list");
    assert!(message.contains("100001") && message.contains("100000"), "{message}");
    assert_eq!(server.ruleset(), "");
}

#[test]
fn a_long_pass_list_does_not_move_the_end_that_is_told() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let network = |n: u32| format!("{}/31\n", std::net::Ipv4Addr::from(0x1400_0000 + 4 * n));
    server.write("/run/pass", (0..50_000).map(network).collect::<String>());
    server.cordon(&format!("{START} --allow @/run/pass"));
    let long = milliseconds(&server.window()["ends_at"]);
    server.cordon("allow --remove 20.0.0.0/8");
    let short = milliseconds(&server.window()["ends_at"]);
    let apart = long.abs_diff(short);
    assert!(apart < 100, "the end of one window told {apart} ms apart");
}

#[test]
fn taking_an_address_off_the_list_cuts_nobody_else() {
    let lab = Lab::new(2);
    let (server, clients) = (&lab.server, &lab.clients);
    let at = server.at_v4(5432);
    let (one, two) = (clients[0].v4, clients[1].v4);
    // Without a drain everybody goes on, and only a warning tells of it.
    let undrained = clients[0].connect(at);
    server.cordon(&format!("{START} --allow {two}"));
    let report = server.cordon(&format!("allow --remove {two}"));
    assert!(warns(&report, &["--no-drain"]), "{report}");
    assert!(undrained.is_alive());
    server.cordon("lift");
    // With one, those who are on the list go on.
    server.cordon(&format!("start --for 10m --allow {one} --allow {two}"));
    let (stays, goes) = (clients[0].connect(at), clients[1].connect(at));
    server.cordon(&format!("allow --remove {two}"));
    goes.wait_end(SOON).assert_farewell();
    assert!(stays.is_alive());
}
