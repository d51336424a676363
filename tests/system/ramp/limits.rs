//! The ramp: after a window new connections are let in slowly, and the kernel does it alone.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::lab::{Host, Lab, Reach, SOON, assert_same_end, milliseconds, only_window, warns};
use serde_json::{Value, json};

/// A window with a ramp that is long enough for every story.
const START: &str = "start --for 10m --no-drain --no-guard --ramp 10m --ramp-rate 1/s";

/// Fails if more of a dozen attempts over IPv4 and IPv6 are answered than a ramp of 1/s
/// admits in that time, or if the port is not in its ramp to their end.
#[track_caller]
fn assert_limited(server: &Host, client: &Host) {
    let began = Instant::now();
    let answered = (0..6)
        .flat_map(|_| [server.at_v4(5432), server.at_v6(5432)])
        .map(|to| client.reach(to, Duration::from_millis(100)))
        .filter(|reach| *reach != Reach::Silence)
        .count();
    let most = 1 + began.elapsed().as_secs_f64().ceil() as usize;
    assert!(answered <= most, "{answered} attempts, at most {most}");
    assert_eq!(server.window()["phase"], "ramp");
}

/// Fails unless every attempt is answered at once.
#[track_caller]
fn assert_open(server: &Host, client: &Host) {
    for _ in 0..6 {
        for to in [server.at_v4(5432), server.at_v6(5432)] {
            assert_ne!(client.reach(to, SOON), Reach::Silence, "{to}");
        }
    }
}

#[test]
fn local_passed_and_existing_connections_are_not_limited() {
    let lab = Lab::new(2);
    let (server, passing, limited) = (&lab.server, &lab.clients[0], &lab.clients[1]);
    let existing = [server.at_v4(5432), server.at_v6(5432)].map(|to| limited.connect(to));
    server.cordon(&format!("{START} --allow 203.0.113.11 --allow 2001:db8:53::11"));
    server.cordon("lift --ramp");

    for round in 0..3 {
        assert_limited(server, limited);
        for (way, session) in lab.cluster().connect_every_local_way() {
            assert!(session.is_alive(), "{way}, round {round}");
        }
        for to in [server.at_v4(5432), server.at_v6(5432)] {
            assert_eq!(passing.connect_many(to, 5).len(), 5);
        }
        // More than a packet or two each way.
        for session in &existing {
            let text = session.value("select repeat('x', 300000)");
            assert_eq!(text.len(), 300_000, "round {round}");
        }
    }
}

#[test]
fn the_kernel_alone_begins_and_ends_a_ramp() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let started = server.cordon(
        "start --for 4s --no-drain --ramp 15s --ramp-rate 1/s --reason slowly --verdict reset",
    );
    let started = only_window(&started);
    assert_eq!(started["phase"], "closed");
    assert_eq!(started["ramp"], json!({"for_s": 15.0, "per_s": 1}));
    server.kill_every_pgcordon();
    server.assert_every_element_ends(5432);

    let ramp = server.wait_for_ramp();
    for name in ["id", "started_at", "by", "by_uid", "reason", "verdict", "ramp"] {
        assert_eq!(ramp[name], started[name], "{name}");
    }
    let (closed_until, open_at) =
        (milliseconds(&started["ends_at"]), milliseconds(&ramp["ends_at"]));
    let apart = open_at.abs_diff(closed_until + 15_000);
    assert!(apart <= 1000, "the ramp's end is off by {apart} ms");
    server.assert_every_element_ends(5432);
    assert_limited(server, client);

    let deadline = Instant::now() + SOON * 3;
    while server.cordon("status")["windows"] != json!([]) {
        assert!(Instant::now() < deadline, "the ramp goes on");
        thread::sleep(Duration::from_millis(20));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(now.as_millis() + 100 >= open_at, "over before its end");
    assert_open(server, client);
    assert_eq!(server.timed_elements(5432), []);
    assert_eq!(server.pids_of_pgcordon(), [0; 0]);
    // What is left is nothing that a lift would call a window.
    assert_eq!(server.cordon("lift")["result"], "not-cordoned");
    assert_eq!(server.ruleset(), "");
}

#[test]
fn lift_ends_a_window_with_its_ramp_and_a_ramp_at_once() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let started = only_window(&server.cordon(START));
    client.assert_blocked(&[server.at_v4(5432), server.at_v6(5432)]);

    let lifted = server.cordon("lift --ramp");
    assert_eq!((&lifted["result"], &lifted["changed"]), (&json!("lifted"), &json!(true)));
    let ramp = only_window(&lifted);
    assert_eq!(ramp["phase"], "ramp");
    assert_eq!(ramp["ramp"], json!({"for_s": 600.0, "per_s": 1}));
    assert!(ramp["remaining_s"].as_f64().unwrap() > 540.0);
    // Who knocked is told, although the table is a new one.
    assert_eq!(ramp["knocks"].as_array().unwrap().len(), 2);
    for name in ["id", "started_at", "by", "reason"] {
        assert_eq!(ramp[name], started[name], "{name}");
    }
    let sets: Vec<_> = server.timed_elements(5432).into_iter().collect();
    assert!(sets.iter().all(|(set, _)| *set == "ramp"), "{sets:?}");
    assert_limited(server, client);

    // It is begun once; another one takes its place, and a rate alone keeps its end.
    let again = server.cordon("lift --ramp");
    assert_eq!(again["changed"], false);
    let longer = only_window(&server.cordon("lift --ramp 20m"));
    assert_eq!(longer["ramp"], json!({"for_s": 1200.0, "per_s": 1}));
    let faster = only_window(&server.cordon("lift --ramp --ramp-rate 1000/s"));
    assert_eq!(faster["ramp"], json!({"for_s": 1200.0, "per_s": 1000}));
    assert_same_end(&faster["ends_at"], &longer["ends_at"]);
    assert_open(server, client);

    let lifted = server.cordon("lift");
    assert_eq!(only_window(&lifted)["phase"], "ramp");
    assert_eq!(server.ruleset(), "");
    assert_open(server, client);
    assert_eq!(server.cordon("lift --ramp 5s")["result"], "not-cordoned");
}

#[test]
fn a_window_without_a_ramp_gets_one_only_of_a_stated_length() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon("start --for 10m --no-drain --no-guard");
    server.cordon(&format!("{START} --port 5433"));
    for line in ["lift --ramp --port 5432", "lift --ramp --all"] {
        let message = server.try_cordon(line).assert_failure(2, "no-ramp");
        assert!(message.contains("5432"), "{message}");
    }
    // All or none: the other one has a ramp, and is closed as before.
    let report = server.cordon("status");
    let phases = report["windows"].as_array().unwrap().iter();
    assert!(phases.clone().all(|window| window["phase"] == "closed"));

    let lifted = server.cordon("lift --ramp 10m --all");
    for window in lifted["windows"].as_array().unwrap() {
        assert_eq!(window["phase"], "ramp");
        let rate = if window["port"] == 5432 { 10 } else { 1 };
        assert_eq!(window["ramp"], json!({"for_s": 600.0, "per_s": rate}));
    }
    server.cordon("lift --ramp --ramp-rate 1/s --port 5432");
    server.cordon("lift --port 5433");
    assert_limited(server, client);
}

#[test]
fn in_the_ramp_there_is_no_window_and_start_opens_a_new_one() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon(&format!("{START} --allow 203.0.113.11"));
    let old = only_window(&server.cordon("lift --ramp"));
    for line in ["extend --by 1m", "allow 10.0.0.1", "drain"] {
        for line in [line.to_owned(), format!("{line} --port 5432")] {
            let message = server.try_cordon(&line).assert_failure(4, "no-window");
            assert!(message.contains("5432") && message.contains("ramp"));
        }
        let all = format!("{line} --all");
        server.try_cordon(&all).assert_failure(4, "no-window");
    }
    let checked = server.try_cordon("status --check");
    let checked = checked.assert_status(4).json();
    assert_eq!(only_window(&checked)["phase"], "ramp");
    let planned = server.cordon("plan --for 10m --ramp 2m");
    assert!(warns(&planned, &["5432", "ramp"]), "{planned}");
    assert_eq!(planned["ramp"], json!({"for_s": 120.0, "per_s": 10}));
    let said = server.pgcordon(["status"]);
    said.assert_stdout_has("Port 5432 is in its ramp until");

    // Neither pass list nor ramp of the old window is one of the new one.
    let begun = server.cordon("start --for 10m --no-drain --no-guard");
    assert_eq!(begun["result"], "cordoned");
    let window = only_window(&begun);
    assert_ne!(window["id"], old["id"]);
    assert_eq!((&window["phase"], &window["ramp"]), (&json!("closed"), &Value::Null));
    client.assert_blocked(&[server.at_v4(5432), server.at_v6(5432)]);
    let sets: Vec<_> = server.timed_elements(5432).into_iter().collect();
    assert!(sets.iter().all(|(set, _)| *set != "ramp"), "{sets:?}");
    server.cordon("status --check");
}

#[test]
fn a_ramp_moves_with_the_end_and_outlives_every_change() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon("start --for 10m --no-drain --no-guard --ramp 5m --ramp-rate 1/s");
    let ramp = json!({"for_s": 300.0, "per_s": 1});
    let lasts = || {
        let elements = server.timed_elements(5432);
        let ramp = elements.iter().find(|(set, _)| *set == "ramp").unwrap();
        ramp.1["elem"]["expires"].as_f64().unwrap()
    };
    for (line, whole) in [
        ("extend --by 5m", 1200.0),
        ("extend --for 1m --shorten", 360.0),
        ("allow 10.0.0.5", 360.0),
        ("allow 10.0.0.5 --remove", 360.0),
        ("start --for 1m --no-drain --no-guard", 360.0),
    ] {
        let report = server.cordon(line);
        assert_eq!(only_window(&report)["ramp"], ramp, "{line}");
        let left = lasts();
        assert!((whole - 50.0..=whole).contains(&left), "{line}: {left} s");
        assert!(!warns(&server.cordon("status"), &["damaged"]), "{line}");
    }
    // Another ramp is no other window; that it is another one is said.
    let other = server.cordon("start --for 1s --no-drain --no-guard --ramp 1m --ramp-rate 7/s");
    assert_eq!(other["result"], "already-cordoned");
    assert!(warns(&other, &["5m at 1/s", "lift --ramp 1m --ramp-rate 7/s"]), "{other}");

    for (damage, named) in [
        ("flush set inet pgcordon_5432 ramp", "ramp"),
        ("flush chain inet pgcordon_5432 ramping", "ramping"),
        (
            "flush set inet pgcordon_5432 ramp\n\
             add element inet pgcordon_5432 ramp { 5432 timeout 9h }",
            "too long",
        ),
        ("flush chain inet pgcordon_5432 gate", "gate"),
    ] {
        server.nft(damage);
        let status = server.cordon("status");
        assert!(warns(&status, &["damaged", named]), "{damage}: {status}");
        let report = server.cordon("start --for 1s --no-drain --no-guard");
        assert!(warns(&report, &["put back"]), "{damage}: {report}");
        assert!(!warns(&server.cordon("status"), &["damaged"]), "{damage}");
        if named != "ramping" {
            assert_eq!(server.window()["ramp"], ramp, "{damage}");
            continue;
        }
        // The rate stood in the rule that is gone: the length is known, and the usual rate.
        let kept = &server.window()["ramp"];
        let length = kept["for_s"].as_f64().unwrap();
        assert!((length - 300.0).abs() < 1.0 && kept["per_s"] == 10, "{kept}");
        server.cordon("lift");
        server.cordon("start --for 1m --no-drain --no-guard --ramp 5m --ramp-rate 1/s");
    }
    // A ramp under way is put back with the time that is left to it.
    let begun = only_window(&server.cordon("lift --ramp"));
    server.nft("flush chain inet pgcordon_5432 outer");
    assert!(warns(&server.cordon("status"), &["damaged", "outer"]));
    let report = server.cordon("lift --ramp");
    assert!(warns(&report, &["put back"]), "{report}");
    let mended = only_window(&report);
    assert_same_end(&mended["ends_at"], &begun["ends_at"]);
    assert_eq!((&mended["ramp"], &mended["id"]), (&ramp, &begun["id"]));
    let healed = begun["healed"].as_u64().unwrap();
    assert_eq!(mended["healed"], healed + 1);
    assert_limited(server, client);
}

#[test]
fn hold_goes_on_through_the_ramp_and_leaves_nothing() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let line = "hold --for 1s --no-drain --ramp 15s --ramp-rate 1/s";
    let held = server.tool().args(line.split(' ')).spawn();
    let deadline = Instant::now() + SOON;
    while server.cordon("status")["windows"] == json!([]) {
        assert!(Instant::now() < deadline, "no window");
    }
    server.wait_for_ramp();
    assert_limited(server, client);
    held.wait(SOON * 3).assert_status(0);
    assert_eq!(server.ruleset(), "");
    assert_open(server, client);
}
