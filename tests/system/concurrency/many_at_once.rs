//! Many calls at once on one port: each ends with a status of the contract, and what is
//! left is a whole cordon or none.

use std::collections::BTreeMap;

use crate::lab::{Host, Lab, Reach, SOON, START, only_window, warns};
use serde_json::{Value, json};

/// Starts all of them before it waits for the first. Gives what each printed.
fn all_at_once(server: &Host, lines: &[&str]) -> Vec<(i32, Value)> {
    let running: Vec<_> = lines
        .iter()
        .map(|line| server.tool().args(line.split(' ')).args(["-o", "json"]).spawn())
        .collect();
    running
        .into_iter()
        .zip(lines)
        .map(|(running, line)| {
            let mut outcome = running.wait(SOON * 2);
            // On a busy machine all others may have been served first.
            while outcome.json()["error"]["kind"] == "locked" {
                outcome = server.try_cordon(line);
            }
            let status = outcome.status.code();
            let status = status.unwrap_or_else(|| panic!("a signal: {outcome}"));
            assert!(!outcome.stderr.contains("panicked"), "{outcome}");
            (status, outcome.json())
        })
        .collect()
}

#[test]
fn one_of_many_starts_raises_the_cordon() {
    let lab = Lab::bare(1);
    let server = &lab.server;
    let reports = all_at_once(server, &[START; 20]);
    let raised = reports.iter().filter(|(_, report)| report["changed"] == true);
    assert_eq!(raised.count(), 1);
    let window = server.window();
    for (status, report) in &reports {
        assert_eq!(*status, 0, "{report}");
        assert_eq!(only_window(report)["id"], window["id"]);
    }

    let reports = all_at_once(server, &["extend --by 1m"; 20]);
    assert!(
        reports.iter().all(|(status, report)| (*status, &report["changed"]) == (0, &json!(true)))
    );
    let remaining = server.window()["remaining_s"].as_f64().unwrap();
    assert!((1700.0..1800.1).contains(&remaining), "twenty minutes more: {remaining} s");

    let reports = all_at_once(server, &["lift"; 20]);
    let lifted = reports.iter().filter(|(_, report)| report["changed"] == true);
    assert_eq!(lifted.count(), 1);
    for (status, report) in &reports {
        assert_eq!(*status, 0, "{report}");
    }
    assert_eq!(server.ruleset(), "");
}

#[test]
fn pass_lists_that_are_changed_at_once_lose_nothing() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon(START);
    let lines: Vec<_> = (0..20).map(|n| format!("allow 10.0.{n}.1")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    for (status, report) in all_at_once(server, &lines) {
        assert_eq!(status, 0, "{report}");
    }
    assert_eq!(server.window()["pass"].as_array().unwrap().len(), 20);
}

#[test]
fn a_mixture_of_calls_ends_in_a_state_that_makes_sense() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let mixture = [START, "extend --by 1m", "status", "lift", "status --check"];
    let permitted: BTreeMap<&str, &[i32]> = [
        (START, &[0][..]),
        ("extend --by 1m", &[0, 4]),
        ("status", &[0]),
        ("lift", &[0]),
        ("status --check", &[0, 4]),
    ]
    .into();
    for round in 0..10 {
        // Another call comes first in each round.
        let lines: Vec<_> = (0..20).map(|n| mixture[(n + round) % mixture.len()]).collect();
        for (line, (status, report)) in lines.iter().zip(all_at_once(server, &lines)) {
            assert!(permitted[line].contains(&status), "{line}: {status}: {report}");
            let failed = report["result"] == "failed";
            assert_eq!(failed, status == 4 && *line != "status --check", "{line}: {report}");
            // A cordon that is just being made or removed is not a damaged one.
            let damaged = report["warnings"].is_array() && warns(&report, &["damaged"]);
            assert!(!damaged, "{line}: {report}");
        }
        server.assert_every_element_ends(5432);
        let report = server.cordon("status");
        assert!(!warns(&report, &["damaged"]), "{report}");
        if report["windows"] == json!([]) {
            assert_eq!(server.ruleset(), "", "round {round}");
            assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
        } else {
            client.assert_blocked(&[server.at_v4(5432)]);
        }
    }
}

#[test]
fn calls_on_different_ports_do_not_wait_for_each_other() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let lines: Vec<_> = (0..20).map(|n| format!("{START} --port {}", 6000 + n)).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    for (status, report) in all_at_once(server, &lines) {
        assert_eq!((status, &report["changed"]), (0, &json!(true)), "{report}");
    }
    let windows = server.cordon("status")["windows"].take();
    assert_eq!(windows.as_array().unwrap().len(), 20);
    // In opposite orders, so that two of them could wait for each other for ever.
    let up = "lift --port 6000 --port 6001 --port 6002";
    let down = "lift --port 6002 --port 6001 --port 6000";
    for (status, report) in all_at_once(server, &[up, down, up, down, up, down]) {
        assert_eq!(status, 0, "{report}");
    }
    server.cordon("lift --all");
    assert_eq!(server.ruleset(), "");
}
