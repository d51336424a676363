//! What an administrator saves with `nft list ruleset` during a window loads again, as
//! after a reboot, when no guard is there any more.

use crate::lab::{Lab, only_window, warns};

/// Every character that a reason may hold, in a hundred of them.
fn longest_reason() -> String {
    let permitted: String = (' '..='~').filter(|c| *c != '"').collect();
    let reason = format!("#{{;$\\ {permitted}");
    assert_eq!(reason.len(), 100);
    reason
}

/// What `nft` makes of the ruleset that it prints itself: saved, flushed, loaded.
fn save_and_load(lab: &Lab) {
    lab.server
        .shell(
            "nft list ruleset >/run/saved
             nft flush ruleset
             test -z \"$(nft list ruleset)\"
             nft -f /run/saved",
        )
        .assert_status(0);
}

#[test]
fn a_saved_window_loads_again_and_blocks() {
    let lab = Lab::new(3);
    let (server, blocked, passing) = (&lab.server, &lab.clients[0], &lab.clients[1]);
    let both = [server.at_v4(5432), server.at_v6(5432)];
    let reason = format!("--reason={}", longest_reason());
    let started = server
        .tool()
        .args(["start", "--for", "10m", "--no-drain", "--no-guard", "-o", "json", &reason])
        .args(["--allow", "203.0.113.12", "--allow", "2001:db8:53::12"])
        .args(["--allow", "10.0.0.0/8"])
        .run();
    let report = started.assert_status(0).json();
    assert_eq!(only_window(&report)["reason"], longest_reason());
    blocked.assert_blocked(&both);
    server.nft(
        "add element inet pgcordon_5432 flows4 { 203.0.113.13 . 43000 timeout 90s }\n\
         add element inet pgcordon_5432 flows6 { 2001:db8:53::13 . 43000 timeout 90s }",
    );
    let before = server.window();

    save_and_load(&lab);

    blocked.assert_blocked(&both);
    passing.assert_reaches(&both);
    let report = server.cordon("status");
    assert!(!warns(&report, &["damaged"]), "{report}");
    let after = only_window(&report);
    for name in ["id", "started_at", "by", "by_uid", "verdict", "reason", "pass"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    let sources: Vec<_> =
        after["knocks"].as_array().unwrap().iter().map(|k| &k["address"]).collect();
    assert_eq!(sources, ["203.0.113.11", "2001:db8:53::11"]);
    server.assert_every_element_ends(5432);
    let sets: Vec<_> = server.timed_elements(5432).iter().map(|(set, _)| *set).collect();
    assert_eq!(sets, ["window", "armed", "farewell", "flows4", "flows6"]);

    // It is a window like any other.
    server.cordon("extend --by 5m");
    server.cordon("allow 203.0.113.11");
    blocked.assert_reaches(&both[..1]);
    server.cordon("lift");
    assert_eq!(server.ruleset(), "");
}

#[test]
fn a_window_with_resets_and_a_moved_end_loads_again() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon("start --for 10m --no-drain --no-guard --verdict reset --reason x");
    server.cordon("extend --by 5m");
    let before = server.window();

    save_and_load(&lab);

    let report = server.cordon("status");
    assert!(!warns(&report, &["damaged"]), "{report}");
    let after = only_window(&report);
    for name in ["id", "verdict", "reason"] {
        assert_eq!(after[name], before[name], "{name}");
    }
    let moved = before["remaining_s"].as_f64().unwrap() - after["remaining_s"].as_f64().unwrap();
    assert!((0.0..3.0).contains(&moved), "the end has moved by {moved} s");
    let refused = client.reach(server.at_v4(5432), crate::lab::SOON);
    assert_eq!(refused, crate::lab::Reach::Refused);
}

#[test]
fn a_saved_ramp_loads_again_before_it_begins_and_under_way() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let both = [server.at_v4(5432), server.at_v6(5432)];
    server.cordon("start --for 10m --no-drain --no-guard --ramp 5m --ramp-rate 1/s --reason x");
    let before = server.window();
    let same = |phase: &str| {
        let report = server.cordon("status");
        assert!(!warns(&report, &["damaged"]), "{report}");
        let after = only_window(&report);
        assert_eq!(after["phase"], phase);
        for name in ["id", "started_at", "by", "reason", "ramp"] {
            assert_eq!(after[name], before[name], "{name} when {phase}");
        }
        server.assert_every_element_ends(5432);
    };
    save_and_load(&lab);
    same("closed");
    client.assert_blocked(&both);

    server.cordon("lift --ramp");
    save_and_load(&lab);
    same("ramp");
    // More than one a second is limited, as before.
    let silent = (0..12).filter(|n| {
        let reach = client.reach(both[n % 2], std::time::Duration::from_millis(50));
        reach == crate::lab::Reach::Silence
    });
    assert!(silent.count() > 0, "nobody is kept waiting");
    server.cordon("lift");
    assert_eq!(server.ruleset(), "");
}
