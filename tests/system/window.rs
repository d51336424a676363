//! Windows: starting twice, moving the end, lifting, naming one of several.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::lab::{
    GLIMPSE, Lab, Reach, SOON, START, milliseconds, only_window, warns, with_time_enough,
};
use serde_json::{Value, json};

/// How long a window is said to have left, in seconds.
fn remaining(report: &Value) -> f64 {
    only_window(report)["remaining_s"].as_f64().unwrap()
}

#[track_caller]
fn assert_about(seconds: f64, expected: f64) {
    let near = (expected - 50.0..expected + 1.0).contains(&seconds);
    assert!(near, "{seconds} s, and about {expected} s expected");
}

#[track_caller]
fn assert_unchanged(report: &Value, result: &str) {
    assert_eq!(report["result"], result, "{report}");
    assert_eq!(report["changed"], false, "{report}");
}

#[test]
fn a_report_has_the_fields_of_the_contract() {
    let lab = Lab::bare(0);
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let started = lab.server.tool();
    let started = started
        .args(["start", "--for", "10m", "--no-drain", "-o", "json"])
        .args(["--reason", "reindex orders", "--allow", "10.0.0.5"])
        .run();
    let report = started.assert_status(0).json();
    let after = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();

    assert_eq!(report["schema"], 1);
    assert_eq!(report["command"], "start");
    assert_eq!(report["result"], "cordoned");
    assert_eq!(report["drain"], Value::Null);
    assert!(report["timing"]["blocked_ms"].as_f64().unwrap() > 0.0);
    let window = only_window(&report);
    let facts = json!({ "port": 5432, "phase": "closed", "verdict": "drop",
        "reason": "reindex orders", "by": "root", "by_uid": 0, "healed": 0,
        "blocked": { "packets": 0, "bytes": 0 }, "knocks": [], "pass": ["10.0.0.5/32"],
        "ramp": null });
    for (name, expected) in facts.as_object().unwrap() {
        assert_eq!(&window[name], expected, "{name}");
    }
    let (start, end) = (milliseconds(&window["started_at"]), milliseconds(&window["ends_at"]));
    assert!((before.as_millis()..=after.as_millis()).contains(&start));
    assert!((start + 599_000..=after.as_millis() + 601_000).contains(&end));
    assert!(window["ends_at"].as_str().unwrap().ends_with('Z'));

    let later = lab.server.window();
    for name in ["id", "started_at", "reason", "by", "pass"] {
        assert_eq!(later[name], window[name], "{name}");
    }
    let apart = milliseconds(&later["ends_at"]).abs_diff(end);
    assert!(apart <= 20, "the end has moved by {apart} ms");
}

#[test]
fn starting_twice_changes_nothing() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let first = only_window(&server.cordon(START));
    let table = server.run(["nft", "-s", "list", "ruleset"]).stdout;

    let again = server.cordon(START);
    assert_unchanged(&again, "already-cordoned");
    assert_eq!(only_window(&again)["id"], first["id"]);
    assert_eq!(only_window(&again)["started_at"], first["started_at"]);
    let shorter = server.cordon("start --for 1m --no-drain");
    assert_unchanged(&shorter, "already-cordoned");
    assert!(!warns(&shorter, &["extend"]), "{shorter}");
    // Nor is the reason a difference.
    let other = server.cordon(&format!("{START} --reason another"));
    assert_unchanged(&other, "already-cordoned");

    let longer = server.try_cordon("start --for 30m --no-drain");
    assert_unchanged(&longer.assert_status(0).json(), "already-cordoned");
    assert!(warns(&longer.json(), &["5432", "extend --for 30m"]), "{longer}");
    longer.assert_stderr_has("extend --for 30m");
    assert_about(remaining(&longer.json()), 600.0);
    assert_eq!(server.run(["nft", "-s", "list", "ruleset"]).stdout, table);
    client.assert_blocked(&[server.at_v4(5432)]);

    // The same seconds later, when less is left than is asked for: that is the usual retry.
    std::thread::sleep(Duration::from_millis(2100));
    let later = server.cordon(START);
    assert_unchanged(&later, "already-cordoned");
    assert_eq!(only_window(&later)["id"], first["id"]);
}

#[test]
fn a_window_that_differs_is_named_and_kept() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon(&format!("{START} --allow 10.0.0.0/24"));
    let before = server.window();
    for (asked, named) in [
        ("--allow 10.0.0.0/24 --verdict reset", &["verdict", "reset"][..]),
        ("", &["pass list", "10.0.0.0/24"]),
        ("--allow 10.0.0.0/25", &["10.0.0.0/24", "10.0.0.0/25"]),
    ] {
        let line = format!("{START} {asked}");
        let outcome = server.try_cordon(line.trim_end());
        let message = outcome.assert_failure(1, "window-differs");
        assert!(named.iter().all(|text| message.contains(text)), "{message}");
    }
    let after = server.window();
    for name in ["id", "verdict", "pass"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    // The same networks in other words are no difference.
    let halves = "--allow 10.0.0.128/25 --allow 10.0.0.0/25";
    assert_unchanged(&server.cordon(&format!("{START} {halves}")), "already-cordoned");
}

#[test]
fn lifting_twice_is_no_failure() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    assert_unchanged(&server.cordon("lift"), "not-cordoned");
    assert_unchanged(&server.cordon("lift --port 5432"), "not-cordoned");
    assert_unchanged(&server.cordon("lift --all"), "not-cordoned");

    server.cordon(START);
    client.assert_blocked(&[server.at_v4(5432)]);
    assert_eq!(server.cordon("lift")["changed"], true);
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
    assert_unchanged(&server.cordon("lift"), "not-cordoned");
}

#[test]
fn an_end_is_moved_and_never_to_an_earlier_time_by_mistake() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let first = only_window(&server.cordon(START));

    let by = server.cordon("extend --by 5m");
    assert_eq!((&by["result"], &by["changed"]), (&json!("extended"), &json!(true)));
    assert_about(remaining(&by), 900.0);
    let to = server.cordon("extend --for 20m");
    assert_about(remaining(&to), 1200.0);
    let earlier = server.cordon("extend --for 1m");
    assert_eq!(earlier["changed"], false);
    assert!(warns(&earlier, &["--shorten"]), "{earlier}");
    assert_about(remaining(&earlier), 1200.0);
    let shorter = server.cordon("extend --for 2m --shorten");
    assert_eq!(shorter["changed"], true);
    assert_about(remaining(&shorter), 120.0);

    let window = server.window();
    for name in ["id", "started_at", "by", "reason"] {
        assert_eq!(window[name], first[name], "{name}");
    }
    server.assert_every_element_ends(5432);
    client.assert_blocked(&[server.at_v4(5432), server.at_v6(5432)]);
}

#[test]
fn a_window_of_more_than_a_day_has_to_be_permitted() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon("start --for 23h59m --no-drain");
    for beyond in ["extend --by 2m", "extend --for 25h", "extend --by 2m --max 24h"] {
        let message = server.try_cordon(beyond).assert_failure(2, "too-long");
        assert!(message.contains("1day"), "{beyond}: {message}");
    }
    assert_about(remaining(&server.cordon("status")), 86_340.0);
    let permitted = server.cordon("extend --by 2m --max 48h");
    assert_about(remaining(&permitted), 86_460.0);
    server.cordon("lift");

    let start = "start --for 25h --no-drain";
    server.try_cordon(start).assert_failure(2, "too-long");
    assert_eq!(server.ruleset(), "");
    server.cordon(&format!("{start} --max 2d"));
}

#[test]
fn one_of_several_windows_has_to_be_named() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let ports = [5432, 5433, 5434];
    server.cordon(&format!("{START} --port 5432 --port 5433 --port 5434"));
    for line in ["lift", "extend --by 1m", "allow 10.0.0.1"] {
        let message = server.try_cordon(line).assert_failure(2, "which-window");
        let all = ports.map(|port| port.to_string());
        assert!(all.iter().all(|port| message.contains(port)), "{message}");
    }

    let extended = server.cordon("extend --by 5m --port 5433");
    assert_about(remaining(&extended), 900.0);
    let ends: Vec<_> = server.cordon("status")["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|window| window["remaining_s"].as_f64().unwrap() > 700.0)
        .collect();
    assert_eq!(ends, [false, true, false]);

    let extended = server.cordon("extend --for 30m --all");
    assert_eq!(extended["windows"].as_array().unwrap().len(), 3);
    server.cordon("allow 203.0.113.11 --port 5434");
    assert_eq!(client.reach(server.at_v4(5434), SOON), Reach::Refused);
    client.assert_blocked(&[server.at_v4(5432), server.at_v4(5433)]);

    assert_eq!(only_window(&server.cordon("status --port 5433"))["port"], 5433);
    server.cordon("lift --port 5433 --port 5432");
    assert_eq!(server.window()["port"], 5434);
    server.cordon(&format!("{START} --port 5432"));
    let lifted = server.cordon("lift --all");
    assert_eq!(lifted["windows"].as_array().unwrap().len(), 2);
    assert_eq!(server.ruleset(), "");
}

#[test]
fn without_a_window_there_is_nothing_to_change_or_to_check() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    for line in
        ["extend --by 1m", "extend --by 1m --port 5432", "allow 10.0.0.1", "extend --by 1m --all"]
    {
        server.try_cordon(line).assert_failure(4, "no-window");
    }
    assert_eq!(server.cordon("status")["windows"], json!([]));
    let checked = server.try_cordon("status --check");
    assert_eq!(checked.assert_status(4).json()["windows"], json!([]));
    server.cordon(START);
    server.cordon("status --check");
    server.cordon("status --check --port 5432");
    server.try_cordon("status --check --port 5433").assert_status(4);
}

#[test]
fn connections_that_were_not_drained_go_on_in_a_longer_window_too() {
    let lab = Lab::new(1);
    let server = &lab.server;
    let session = lab.clients[0].connect(server.at_v4(5432));
    with_time_enough(|seconds| {
        server.cordon(&format!("start --for {seconds}s --no-drain --no-guard"));
        let first_end = Duration::from_secs(seconds) + GLIMPSE;
        let extended = server.try_cordon("extend --by 5m").status.success();
        extended.then(|| std::thread::sleep(first_end))
    });
    assert!(session.is_alive());
}

#[test]
fn extend_of_several_windows_changes_all_or_none() {
    for (second, line) in [
        ("start --for 23h --no-drain --port 5433", "extend --by 2h --all"),
        ("lift --port 5433", "extend --by 2h --port 5432 --port 5433"),
    ] {
        let lab = Lab::bare(0);
        let server = &lab.server;
        server.cordon(START);
        server.cordon(second);
        let outcome = server.try_cordon(line);
        assert_ne!(outcome.status.code(), Some(0));
        let report = server.cordon("status --port 5432");
        let remaining = report["windows"][0]["remaining_s"].as_f64().unwrap();
        assert!(remaining < 700.0, "{remaining} s after {outcome}");
    }
}
