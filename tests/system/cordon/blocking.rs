//! The cordon itself: who is blocked, who is not, and what is counted.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};
use std::time::Instant;

use crate::lab::{GLIMPSE, Host, Lab, Login, Reach, SOON, START, only_window};

fn both_families(server: &Host) -> [SocketAddr; 2] {
    [server.at_v4(5432), server.at_v6(5432)]
}

#[test]
fn remote_clients_stay_out_while_local_ones_come_and_live() {
    let lab = Lab::new(2);
    let (server, cluster) = (&lab.server, lab.cluster());
    let started_at = cluster.started_at();
    // These addresses are the host's own by its routing, and on no interface.
    server.ip("route add local 10.9.0.0/16 dev lo\n");
    let any_ip = Login::to("10.9.0.1:5432".parse().unwrap());
    let any_ip = any_ip.from("10.9.1.2:0".parse().unwrap());
    let to_itself = Login::to(server.at_v4(5432)).from("10.9.3.4:0".parse().unwrap());
    let mut local = cluster.connect_every_local_way();
    local.push(("an AnyIP address", server.login(&any_ip)));
    local.push(("from AnyIP to its own address", server.login(&to_itself)));
    for client in &lab.clients {
        client.assert_reaches(&both_families(server));
    }

    let report = server.cordon(START);
    for client in &lab.clients {
        client.assert_blocked(&both_families(server));
    }

    assert_eq!((&report["result"], &report["changed"]), (&"cordoned".into(), &true.into()));
    for (way, session) in &local {
        assert!(session.is_alive(), "{way}");
    }
    let mut later = cluster.connect_every_local_way();
    later.push(("an AnyIP address", server.login(&any_ip)));
    later.push(("from AnyIP to its own address", server.login(&to_itself)));

    let report = server.cordon("lift");
    assert_eq!((&report["result"], &report["changed"]), (&"lifted".into(), &true.into()));
    for client in &lab.clients {
        client.assert_reaches(&both_families(server));
        assert!(client.connect(server.at_v4(5432)).is_alive());
    }
    for (way, session) in local.iter().chain(&later) {
        assert!(session.is_alive(), "{way}");
    }
    assert_eq!(server.ruleset(), "");
    assert_eq!(cluster.started_at(), started_at);
}

#[test]
fn without_a_drain_existing_connections_go_on_and_no_new_one_begins() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let sessions = both_families(server).map(|address| client.connect(address));
    server.cordon(START);
    client.assert_blocked(&both_families(server));
    assert!(sessions.iter().all(|session| session.is_alive()));

    // A connection with the address and port of one that goes on is a new one all the same.
    let port = sessions[0].local();
    sessions[0].reset();
    let again = Login::to(server.at_v4(5432)).from(port);
    let again = again.limit(GLIMPSE);
    assert!(client.begin(&again).is_err(), "a new connection from {port}");
}

#[test]
fn the_verdict_reset_refuses_at_once() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let report = server.cordon(&format!("{START} --verdict reset"));
    assert_eq!(only_window(&report)["verdict"], "reset");

    for address in both_families(server) {
        assert_eq!(client.reach(address, SOON), Reach::Refused, "{address}");
    }
    for (way, session) in lab.cluster().connect_every_local_way() {
        assert!(session.is_alive(), "{way}");
    }
    assert_eq!(server.window()["blocked"]["packets"], 2);

    server.cordon("lift");
    client.assert_reaches(&both_families(server));
}

#[test]
fn knocks_are_counted_for_each_source_address() {
    let lab = Lab::new(3);
    let server = &lab.server;
    server.cordon(START);
    assert_eq!(server.window()["blocked"]["packets"], 0);

    let (busy, idle, silent) = (&lab.clients[0], &lab.clients[1], &lab.clients[2]);
    for _ in 0..3 {
        busy.assert_blocked(&[server.at_v4(5432)]);
    }
    busy.assert_blocked(&[server.at_v6(5432), server.at_v6(5432)]);
    idle.assert_blocked(&[server.at_v4(5432)]);
    // Neither another port nor a local client knocks.
    assert_eq!(silent.reach(server.at_v4(5433), SOON), Reach::Refused);
    lab.cluster().connect_every_local_way();

    let window = server.window();
    let expected = serde_json::json!([
        { "address": "203.0.113.11", "packets": 3 },
        { "address": "2001:db8:53::11", "packets": 2 },
        { "address": "203.0.113.12", "packets": 1 },
    ]);
    assert_eq!(window["knocks"], expected);
    assert_eq!(window["blocked"]["packets"], 6);
    // A SYN is 60 bytes over IPv4 and 80 over IPv6 with the options that Linux sends.
    assert_eq!(window["blocked"]["bytes"], 4 * 60 + 2 * 80);

    let said = server.pgcordon(["status"]);
    said.assert_status(0).assert_stdout_has("6 packets").assert_stdout_has("203.0.113.11 (3)");
    // They are the window's: the next one begins at nothing.
    server.cordon("lift");
    let report = server.cordon(START);
    assert_eq!(only_window(&report)["knocks"], serde_json::json!([]));
}

#[test]
fn two_ports_rise_in_one_transaction_and_are_lifted_apart() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    // Nobody listens here: a port that is open refuses.
    let (first, second) = (server.at_v4(5432), server.at_v6(5433));
    let monitor = server.program("nft").args(["monitor"]).spawn();
    wait_until_monitored(server, &monitor);

    server.cordon(&format!("{START} --no-guard --port 5432 --port 5433"));
    client.assert_blocked(&[first, second]);
    server.nft("table ip after");
    monitor.wait_for_stdout("add table ip after", SOON);
    let seen = monitor.stdout_so_far();
    let first_of = seen.find("table inet pgcordon_5432").expect("the first");
    let last_of = seen.rfind("pgcordon_5433").expect("the second");
    // This line ends a transaction.
    let between = &seen[first_of..last_of];
    assert!(!between.contains("# new generation"), "{between}");
    assert!(seen[last_of..].contains("# new generation"), "{seen}");

    server.cordon("lift --port 5432");
    assert_eq!(client.reach(first, SOON), Reach::Refused);
    client.assert_blocked(&[second]);
    assert_eq!(server.window()["port"], 5433);
}

/// Changes the ruleset until a change is seen: from here on the monitor listens.
fn wait_until_monitored(server: &Host, monitor: &crate::lab::Running) {
    let deadline = Instant::now() + SOON;
    while !monitor.stdout_so_far().contains("delete table ip before") {
        assert!(Instant::now() < deadline, "nft monitor says nothing");
        server.nft("table ip before\ndelete table ip before");
    }
}

#[test]
fn where_one_of_two_ports_cannot_be_cordoned_neither_is() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let both = format!("{START} --port 5432 --port 5433");

    server.cordon(&format!("{START} --port 5433 --verdict reset"));
    let message = server.try_cordon(&both).assert_failure(1, "window-differs");
    assert!(message.contains("5433") && message.contains("verdict"), "{message}");
    assert!(!server.ruleset().contains("pgcordon_5432"));
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
    assert_eq!(server.window()["verdict"], "reset");
    server.cordon("lift");
}

#[test]
fn a_table_that_the_kernel_protects_lets_neither_port_be_cordoned() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    // The kernel lets nobody but its owner delete it, so the transaction is refused.
    let owner = "{ echo 'add table inet pgcordon_5433 { flags owner; }'; \
                   echo 'list tables'; exec sleep 600; } | nft -i";
    let owner = server.program("bash").args(["-c", owner]).spawn();
    owner.wait_for_stdout("table inet pgcordon_5433", SOON);
    let before = server.ruleset();

    let both = format!("{START} --port 5432 --port 5433");
    let outcome = server.try_cordon(&both);
    println!("{outcome}");
    assert_ne!(outcome.status.code(), Some(0), "{outcome}");
    assert_eq!(outcome.json()["result"], "failed");
    assert_eq!(server.ruleset(), before);
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
}

#[test]
fn a_full_list_of_knocks_lets_nobody_in() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon(START);
    let sources: Vec<_> =
        (0..65_535_u32).map(|n| Ipv4Addr::from(0x0a00_0000 + n).to_string()).collect();
    server.nft(&format!("add element inet pgcordon_5432 knocks4 {{ {} }}", sources.join(", ")));
    client.assert_blocked(&[server.at_v4(5432)]);
    let window = server.window();
    assert_eq!(window["knocks"].as_array().unwrap().len(), 65_535);
    assert_eq!(window["blocked"]["packets"], 1);
}

#[test]
fn a_link_local_client_is_remote() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    // 2: eth0    inet6 fe80::1/64 scope link ...
    let shown = server.run(["ip", "-6", "-o", "addr", "show", "dev", "eth0", "scope", "link"]);
    let address = shown.stdout.split_whitespace().nth(3).unwrap();
    let (address, _) = address.split_once('/').unwrap();
    // 2: eth0@if3: <BROADCAST,...
    let link = client.run(["ip", "-o", "link", "show", "dev", "eth0"]).stdout;
    let (index, _) = link.split_once(':').unwrap();
    let to = SocketAddrV6::new(address.parse().unwrap(), 5432, 0, index.trim().parse().unwrap());
    client.assert_reaches(&[to.into()]);
    server.cordon(START);
    client.assert_blocked(&[to.into()]);
    server.cordon("lift");
    client.assert_reaches(&[to.into()]);
}

#[test]
fn what_only_crosses_this_host_goes_on() {
    let lab = Lab::bare(2);
    let (server, client, beyond) = (&lab.server, &lab.clients[0], &lab.clients[1]);
    server.sysctl("net/ipv4/ip_forward", "1");
    beyond.ip("addr add 192.0.2.1/32 dev lo\n");
    server.ip(&format!("route add 192.0.2.1/32 via {}\n", beyond.v4));
    client.ip(&format!("route add 192.0.2.1/32 via {}\n", server.v4));
    server.cordon(START);
    client.assert_blocked(&[server.at_v4(5432)]);
    // Nobody listens there either, and says so.
    let there = "192.0.2.1:5432".parse().unwrap();
    assert_eq!(client.reach(there, SOON), Reach::Refused);
}
