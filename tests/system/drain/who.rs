//! Who is cut, and who is not: passed addresses, local ones of every kind, and sessions
//! that may go on.

use crate::lab::{Lab, Login, Reach, SOON, Session, Vitals, assert_complete};
use serde_json::{Value, json};
use std::time::Duration;

/// For what is to stay silent.
const GLIMPSE: Duration = Duration::from_millis(300);

/// A server with clients on two hosts.
struct Scene {
    lab: Lab,
    vitals: Vitals,
    first: Vec<Session>,
    second: Vec<Session>,
}

impl Scene {
    fn set() -> Scene {
        let lab = Lab::new(2);
        let vitals = lab.cluster().vitals();
        let connect = |client: &crate::lab::Host| {
            let mut sessions = client.connect_many(lab.server.at_v4(5432), 2);
            sessions.extend(client.connect_many(lab.server.at_v6(5432), 2));
            sessions
        };
        let (first, second) = (connect(&lab.clients[0]), connect(&lab.clients[1]));
        Scene { lab, vitals, first, second }
    }

    fn run(&self, line: &[&str]) -> Value {
        let outcome = self.lab.server.pgcordon([line, &["-o", "json"]].concat());
        outcome.assert_status(0);
        outcome.json()
    }

    fn assert_blocked(&self, client: usize) {
        let client = &self.lab.clients[client];
        for address in [self.lab.server.at_v4(5432), self.lab.server.at_v6(5432)] {
            assert_eq!(client.reach(address, GLIMPSE), Reach::Silence);
        }
    }

    fn assert_same_server(&self) {
        assert_eq!(self.lab.cluster().vitals(), self.vitals);
    }
}

fn assert_alive(sessions: &[Session]) {
    for session in sessions {
        assert!(session.is_alive(), "{:?}", session.ending());
    }
}

#[test]
fn passed_addresses_are_neither_blocked_nor_drained() {
    let scene = Scene::set();
    let line = ["start", "--for", "10m", "--allow", "203.0.113.11"];
    let report = scene.run(&[&line[..], &["--allow", "2001:db8:53::11/128"]].concat());
    assert_complete(&report);
    assert_eq!(report["drain"]["backends"]["found"], 4, "{report}");
    assert_eq!(report["windows"][0]["pass"], json!(["203.0.113.11/32", "2001:db8:53::11/128"]));
    for session in &scene.second {
        session.wait_end(SOON).assert_farewell();
    }
    assert_alive(&scene.first);
    scene.assert_blocked(1);
    assert!(scene.lab.clients[0].connect(scene.lab.server.at_v6(5432)).is_alive());
    // Again, under the window: the same people stay.
    assert_complete(&scene.run(&["drain"]));
    assert_alive(&scene.first);
    scene.assert_same_server();
}

#[test]
fn an_interfaces_networks_pass() {
    let scene = Scene::set();
    let refused = ["start", "--for", "10m", "--allow", "interface:nope"];
    let outcome = scene.lab.server.pgcordon(refused);
    outcome.assert_status(2).assert_stderr_has("nope");
    assert_eq!(scene.lab.server.ruleset(), "");
    assert_alive(&scene.first);

    let report = scene.run(&["start", "--for", "10m", "--allow", "interface:eth0"]);
    assert_complete(&report);
    assert_eq!(report["windows"][0]["pass"], json!(["203.0.113.0/24", "2001:db8:53::/64"]));
    assert_alive(&scene.first);
    assert_alive(&scene.second);
    assert!(scene.lab.clients[1].connect(scene.lab.server.at_v4(5432)).is_alive());
    scene.assert_same_server();
}

#[test]
fn without_a_drain_sessions_go_on_and_new_ones_are_blocked() {
    let scene = Scene::set();
    let loopback = scene.lab.server.connect(([127, 0, 0, 1], 5432).into());
    let report = scene.run(&["start", "--for", "10m", "--no-drain"]);
    assert_eq!(report["result"], "cordoned");
    assert_eq!(report["drain"], Value::Null);
    scene.assert_blocked(0);
    assert_alive(&scene.first);
    assert_alive(&scene.second);
    assert!(loopback.is_alive());
    let local = scene.lab.cluster().connect_every_local_way();
    assert!(local.iter().all(|(_, session)| session.is_alive()));

    // Still so when the window lasts longer than was said at first.
    scene.run(&["extend", "--by", "1m"]);
    let farewell = scene.lab.server.set_elements("pgcordon_5432", "farewell");
    assert_eq!(farewell.len(), 1, "{farewell:?}");
    assert_alive(&scene.first);

    // A drain may follow.
    let report = scene.run(&["drain"]);
    assert_complete(&report);
    assert_eq!(report["drain"]["backends"]["ended"], 8);
    for session in scene.first.iter().chain(&scene.second) {
        session.wait_end(SOON).assert_farewell();
    }
    assert!(loopback.is_alive());
    scene.assert_same_server();
}

#[test]
fn addresses_that_a_route_makes_local_are_local() {
    let scene = Scene::set();
    scene.lab.server.ip("route add local 10.9.0.0/16 dev lo\n");
    let connect = |from: &str, to| {
        let login = Login::to(to).from(from.parse().unwrap());
        scene.lab.server.login(&login)
    };
    let v4 = scene.lab.server.at_v4(5432);
    let own = [connect("10.9.1.2:0", v4), connect("10.9.1.2:0", "10.9.3.4:5432".parse().unwrap())];
    let report = scene.run(&["start", "--for", "10m"]);
    assert_complete(&report);
    assert_eq!(report["drain"]["backends"]["found"], 8, "{report}");
    assert_alive(&own);
    assert!(connect("10.9.9.9:0", v4).is_alive(), "new ones too");
    for session in scene.first.iter().chain(&scene.second) {
        session.wait_end(SOON).assert_farewell();
    }
    scene.assert_same_server();
}

#[test]
fn clients_of_an_address_that_has_left_the_host_are_cut_at_once() {
    let scene = Scene::set();
    scene.lab.server.ip("addr add 203.0.113.99/24 dev eth0\n");
    let moved = scene.lab.clients[0].connect("203.0.113.99:5432".parse().unwrap());
    let backend = moved.backend_pid();
    scene.lab.server.ip("addr del 203.0.113.99/24 dev eth0\n");
    let report = scene.run(&["start", "--for", "10m"]);
    assert_complete(&report);
    assert_eq!(report["drain"]["sockets"]["closing"], 0, "{report}");
    assert!(!scene.lab.server.is_process(backend));
    assert_eq!(scene.lab.server.open_or_closing(5432).len(), 0);
    scene.assert_same_server();
}
