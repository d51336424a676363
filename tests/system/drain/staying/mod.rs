//! `--spare`: existing connections that stay, and nobody beside them.

mod spared;
mod undecided;

use crate::lab::{Lab, Login, Postgres, SOON, Session, Vitals, assert_complete};
use serde_json::Value;
use std::net::SocketAddr;

/// A server with a role `shop` and a database `orders`, and a client.
struct Scene {
    lab: Lab,
    local: Session,
    vitals: Vitals,
}

impl Scene {
    fn set(postgres: Postgres) -> Scene {
        let lab = Lab::with(1, postgres);
        let local = lab.server.connect(([127, 0, 0, 1], 5432).into());
        local.query("create role shop login");
        local.query("create database orders");
        let vitals = lab.cluster().vitals_by(&local);
        Scene { lab, local, vitals }
    }

    fn v4(&self) -> SocketAddr {
        self.lab.server.at_v4(5432)
    }

    fn v6(&self) -> SocketAddr {
        self.lab.server.at_v6(5432)
    }

    fn login(&self, login: Login) -> Session {
        self.lab.clients[0].login(&login)
    }

    /// One session of the role shop in each family.
    fn shops(&self) -> Vec<Session> {
        let shop = |address| self.login(Login::to(address).role("shop"));
        vec![shop(self.v4()), shop(self.v6())]
    }

    /// One session of somebody else in each family.
    fn others(&self) -> Vec<Session> {
        let other = |address| self.login(Login::to(address));
        vec![other(self.v4()), other(self.v6())]
    }

    fn start(&self, rest: &str) -> Value {
        let report = self.lab.server.cordon(&format!("start --for 10m {rest}"));
        assert_complete(&report);
        assert_eq!(report["drain"]["sql"], "ok", "{report}");
        report
    }

    fn assert_same_server(&self) {
        assert_eq!(self.lab.cluster().vitals_by(&self.local), self.vitals);
    }
}

/// The clients that a report names as spared, in order.
fn spared(report: &Value) -> Vec<String> {
    let spared = report["drain"]["spared"].as_array().expect("a list");
    let name = |peer: &Value| peer["client"].as_str().expect("a client").to_owned();
    let mut clients: Vec<_> = spared.iter().map(name).collect();
    clients.sort();
    clients
}

fn names(sessions: &[Session]) -> Vec<String> {
    let mut names: Vec<_> = sessions.iter().map(|s| s.local().to_string()).collect();
    names.sort();
    names
}

#[track_caller]
fn assert_alive(sessions: &[Session]) {
    for session in sessions {
        assert!(session.is_alive(), "{:?}", session.ending());
    }
}

#[track_caller]
fn assert_farewells(sessions: &[Session]) {
    for session in sessions {
        session.wait_end(SOON).assert_farewell();
    }
}
