//! Who is spared lives through the window.

use super::{SOON, Scene, assert_alive, assert_farewells, names, spared};
use crate::lab::{Close, GLIMPSE, Login, Postgres};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long a client waits that is to be blocked.
#[test]
fn connections_of_a_role_a_database_or_an_application_stay() {
    let scene = Scene::set(Postgres::new());
    let mut staying = scene.shops();
    staying.push(scene.login(Login::to(scene.v6()).database("orders")));
    staying.push(scene.login(Login::to(scene.v4()).application("pg_dump")));
    staying[0].query("begin");
    let others = scene.others();
    let report =
        scene.start("--spare role=shop --spare database=orders --spare application=pg_dump");

    assert_eq!(spared(&report), names(&staying));
    let dump = report["drain"]["spared"].as_array().unwrap().iter();
    let dump: Vec<_> = dump.filter(|p| p["application"] == "pg_dump").collect();
    assert_eq!(dump[0]["pid"], staying[3].backend_pid(), "{report}");
    assert_eq!(report["drain"]["backends"], json!({"found": 2, "ended": 2, "left": 0}));
    assert_eq!(report["drain"]["sockets"]["found"], 2, "{report}");
    assert_farewells(&others);
    assert_alive(&staying);
    scene.lab.clients[0].assert_blocked(&[scene.v4(), scene.v6()]);
    scene.lab.server.assert_every_element_ends(5432);

    // Draining again cuts none of them either.
    let again = scene.lab.server.cordon("drain");
    assert_eq!(again["changed"], false, "{again}");
    assert_alive(&staying);
    scene.lab.server.cordon("lift");
    assert_alive(&staying);
    scene.assert_same_server();
}

#[test]
fn spared_connections_follow_the_end_of_the_window() {
    let scene = Scene::set(Postgres::new());
    let staying = scene.shops();
    let began = Instant::now();
    let first = Duration::from_secs(10);
    scene.lab.server.cordon("start --for 10s --spare role=shop --farewell 500ms");
    scene.lab.server.cordon("extend --for 2m");
    let flows = || {
        let all = scene.lab.server.timed_elements(5432);
        let left = |set: &str| {
            let mut found = all.iter().filter(|(name, _)| *name == set);
            let element = found.next().map(|(_, element)| &element["elem"]["expires"]);
            element.and_then(Value::as_u64)
        };
        [left("window"), left("flows4"), left("flows6")]
    };
    for left in flows() {
        assert!((60..=120).contains(&left.unwrap()), "{left:?}");
    }
    std::thread::sleep((first + GLIMPSE).saturating_sub(began.elapsed()));
    assert_alive(&staying);
    scene.lab.clients[0].assert_blocked(&[scene.v4(), scene.v6()]);

    scene.lab.server.cordon("extend --for 2s --shorten");
    for left in flows() {
        assert!(left.unwrap() <= 2, "{left:?}");
    }
    assert_alive(&staying);
    scene.lab.clients[0].assert_reaches(&[scene.v4(), scene.v6()]);
    assert_alive(&staying);
    scene.assert_same_server();
}

#[test]
fn nobody_gets_in_from_the_address_and_port_of_a_spared_connection() {
    let scene = Scene::set(Postgres::new());
    let client = &scene.lab.clients[0];
    for (server, own) in [(scene.v4(), client.at_v4(40_000)), (scene.v6(), client.at_v6(40_000))] {
        let login = Login::to(server).role("shop").from(own);
        let session = scene.login(login.clone());
        let report = scene.start("--spare role=shop");
        assert_eq!(spared(&report), [own.to_string()]);
        let backend = session.backend_pid();
        session.reset();
        scene.lab.server.wait_gone(backend, SOON);
        let refused = client.begin(&login.clone().limit(GLIMPSE)).map(drop);
        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        scene.lab.server.cordon("lift");
        assert!(scene.login(login).is_alive());
    }
}

#[test]
fn with_no_farewell_the_spared_stay_and_the_others_are_cut_at_once() {
    let scene = Scene::set(Postgres::new());
    let staying = scene.shops();
    staying[0].send_query("select pg_sleep(1)");
    let others = scene.others();
    let report = scene.start("--spare role=shop --farewell 0s");
    assert_eq!(spared(&report), names(&staying));
    for session in &others {
        assert_eq!(session.wait_end(SOON).close, Close::Rst);
    }
    staying[0].wait_answer(SOON).unwrap();
    assert_alive(&staying);
    scene.assert_same_server();
}
