//! Side entrances: ways to PostgreSQL that a rule on the port alone does not see. Each of
//! them is open before the window, so that the test proves something, shut during it, and
//! open again after it.

use std::net::SocketAddr;
use std::time::Instant;

use crate::lab::{GLIMPSE, Host, Lab, Login, SOON, START, TcpState};

/// Counts what the server's port says to other hosts, resets left out.
const EAR: &str = "table inet ear { counter said { }; chain out { \
    type filter hook output priority 0; oif lo accept; \
    tcp sport 5432 tcp flags & rst == 0 counter name said; }; }";

fn heard(server: &Host) -> u64 {
    let counter = server.run(["nft", "-j", "list", "counter", "inet", "ear", "said"]);
    let objects = counter.assert_status(0).json();
    objects["nftables"][1]["counter"]["packets"]
        .as_u64()
        .unwrap_or_else(|| panic!("a count in {objects}"))
}

/// A way in, by its name; it says how far it came.
type Way<'a> = (&'a str, Box<dyn Fn() -> String + 'a>);

/// Goes every way before, during and after a window.
fn assert_shut_by_a_window(lab: &Lab, open: &str, ways: &[Way<'_>]) {
    let server = &lab.server;
    server.nft(EAR);
    for (name, way) in ways {
        assert_eq!(way(), open, "{name} before the window");
    }
    wait_closed(server);
    assert!(heard(server) > 0);

    server.cordon(START);
    let before = heard(server);
    for (name, way) in ways {
        assert_eq!(way(), "nothing", "{name} during the window");
    }
    assert_eq!(heard(server), before, "PostgreSQL's host has answered");
    assert!(lab.cluster().connect_local().is_alive());
    assert!(server.window()["blocked"]["packets"].as_u64() >= Some(ways.len() as u64));

    server.cordon("lift");
    for (name, way) in ways {
        assert_eq!(way(), open, "{name} after the window");
    }
}

/// Waits until the connections that were made have been closed by both sides.
fn wait_closed(server: &Host) {
    let deadline = Instant::now() + SOON;
    loop {
        let mut sockets = server.remote_sockets(5432);
        sockets.remove(&TcpState::TimeWait);
        if sockets.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{sockets:?}");
    }
}

/// A session over ordinary sockets, with a query.
fn session(client: &Host, to: SocketAddr) -> String {
    let login = Login::to(to).limit(GLIMPSE);
    let Ok(session) = client.begin(&login) else {
        return "nothing".to_owned();
    };
    let answer = session.wait_answer(SOON);
    match answer.and_then(|_| session.try_query("select 1")) {
        Ok(_) => "a session".to_owned(),
        Err(failure) => format!("a connection: {failure}"),
    }
}

#[test]
fn fragments_hide_no_connection() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    // The client's kernel would reset what it has not begun itself. Nothing here needs
    // connection tracking, which would put fragments together before the cordon.
    client.nft(
        "table inet quiet { chain out { type filter hook output priority 0; \
         tcp flags & (rst | ack) == rst drop; }; }",
    );
    let way = |shape: &'static str, family: usize| -> Box<dyn Fn() -> String + '_> {
        let (own, target) = (client.addresses()[family], server.addresses()[family]);
        Box::new(move || {
            let words = [shape, &own.to_string(), &target.to_string(), "5432"];
            let outcome = client.python("entrance.py", &words);
            outcome.assert_status(0).stdout.trim().to_owned()
        })
    };
    let ways = [
        ("a whole IPv4 packet", way("whole", 0)),
        ("a whole IPv6 packet", way("whole", 1)),
        ("tiny IPv4 fragments", way("tiny", 0)),
        ("overlapping IPv4 fragments", way("overlapping", 0)),
        ("an IPv6 first fragment without TCP", way("hidden", 1)),
    ];
    assert_shut_by_a_window(&lab, "data", &ways);
}

#[test]
fn a_redirect_from_another_port_is_no_second_door() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.nft(
        "table inet door { chain in { type nat hook prerouting priority dstnat; \
         tcp dport 15432 redirect to :5432; }; }",
    );
    let way =
        |to: SocketAddr| -> Box<dyn Fn() -> String + '_> { Box::new(move || session(client, to)) };
    let ways = [
        ("port 15432 over IPv4", way(server.at_v4(15432))),
        ("port 15432 over IPv6", way(server.at_v6(15432))),
    ];
    assert_shut_by_a_window(&lab, "a session", &ways);
}

#[test]
fn what_someone_redirects_to_lo_is_not_local() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    // The classifiers take IPv4, and of IPv6 TCP alone: neighbours must be found.
    server
        .shell(
            "take='action mirred ingress redirect dev lo'
             tc qdisc add dev eth0 clsact
             tc filter add dev eth0 ingress pref 1 protocol ip bpf \
                 bytecode '1,6 0 0 4294967295' $take
             tc filter add dev eth0 ingress pref 2 protocol ipv6 bpf \
                 bytecode '4,48 0 0 20,21 0 1 6,6 0 0 4294967295,6 0 0 0' $take
             nft 'table inet proof { counter seen { }; chain in { \
                 type filter hook prerouting priority -400; \
                 iif lo ip saddr 203.0.113.11 counter name seen; \
                 iif lo ip6 saddr 2001:db8:53::11 counter name seen; }; }'",
        )
        .assert_status(0);
    let way =
        |to: SocketAddr| -> Box<dyn Fn() -> String + '_> { Box::new(move || session(client, to)) };
    let ways =
        [("IPv4 over lo", way(server.at_v4(5432))), ("IPv6 over lo", way(server.at_v6(5432)))];
    assert_shut_by_a_window(&lab, "a session", &ways);
    let proof = server.run(["nft", "list", "counter", "inet", "proof", "seen"]);
    assert!(!proof.assert_status(0).stdout.contains("packets 0 "), "{proof}");
    // The host itself passes, as ever.
    lab.cluster().connect_every_local_way();
}

#[test]
fn addresses_that_only_routing_calls_local_are_shut_too() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.ip("route add local 2001:db8:77::/64 dev lo\n\
         route add local 198.51.100.0/24 dev lo\n\
         route add local 2001:db8:78::/64 dev lo table 100\n");
    let rule = ["ip", "-6", "rule", "add", "fwmark", "7", "lookup", "100"];
    server.run(rule).assert_status(0);
    // Before the mark is set, its route is not there: no rule at prerouting can know it.
    server.nft(
        "table ip6 marks { chain in { type filter hook prerouting priority mangle; \
         ip6 daddr 2001:db8:78::/64 meta mark set 7; }; }",
    );
    client.ip(&format!(
        "route add 2001:db8:77::/64 via {0}\n\
         route add 2001:db8:78::/64 via {0}\n\
         route add 198.51.100.0/24 via {1}\n",
        server.v6, server.v4
    ));
    let way = |to: &str| -> Box<dyn Fn() -> String + '_> {
        let to = to.parse().expect("an address");
        Box::new(move || session(client, to))
    };
    let ways = [
        ("an AnyIP route over IPv6", way("[2001:db8:77::5]:5432")),
        ("an AnyIP route over IPv4", way("198.51.100.5:5432")),
        ("a route for a mark", way("[2001:db8:78::5]:5432")),
    ];
    assert_shut_by_a_window(&lab, "a session", &ways);
}
