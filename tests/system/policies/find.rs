//! Which policy is meant.

use serde_json::json;

use super::{OF_THE_ADMINISTRATOR, OF_THE_PACKAGE};
use crate::lab::{Lab, only_window};

fn with_reason(reason: &str) -> String {
    format!("version: 1\nwindow: 10m\nreason: {reason}\n")
}

#[test]
fn a_name_is_looked_for_where_the_administrator_writes_and_then_where_the_package_does() {
    let lab = Lab::bare(0);
    let server = lab.server.with_places();
    let reason = |line: &str| {
        let report = server.cordon(&format!("start --no-drain {line}"));
        server.cordon("lift");
        let window = only_window(&report);
        (window["reason"].clone(), report["policy"].clone())
    };
    server.put(&format!("{OF_THE_PACKAGE}/p.yaml"), &with_reason("package"));
    let in_package = json!(format!("{OF_THE_PACKAGE}/p.yaml"));
    assert_eq!(reason("--policy p"), (json!("package"), in_package));

    server.put(&format!("{OF_THE_ADMINISTRATOR}/p.yaml"), &with_reason("own"));
    let own = json!(format!("{OF_THE_ADMINISTRATOR}/p.yaml"));
    assert_eq!(reason("--policy p"), (json!("own"), own));

    // One of ours that is bad does not make theirs come up.
    server.put(&format!("{OF_THE_ADMINISTRATOR}/p.yaml"), "version: 1\nwindow: ten\n");
    let outcome = server.try_cordon("start --no-drain --policy p");
    let message = outcome.assert_failure(2, "policy");
    assert!(message.contains("/etc/pgcordon/policies/p.yaml:2:9: window"), "{message}");
    server.shell("chmod 0666 /etc/pgcordon/policies/p.yaml").assert_status(0);
    let outcome = server.try_cordon("start --no-drain --policy p");
    let message = outcome.assert_failure(2, "policy");
    assert!(message.contains("is not trusted"), "{message}");

    // Nor does a link of ours that leads nowhere.
    server.shell("ln -sf /run/nowhere /etc/pgcordon/policies/p.yaml").assert_status(0);
    let outcome = server.try_cordon("start --no-drain --policy p");
    let message = outcome.assert_failure(2, "policy");
    assert!(message.contains("No such file"), "{message}");

    // A value with a slash is a file, wherever it is.
    server.write("/run/p", with_reason("file"));
    assert_eq!(reason("--policy /run/p"), (json!("file"), json!("/run/p")));
}

#[test]
fn the_administrators_default_is_used_when_none_is_named() {
    let lab = Lab::bare(0);
    let server = lab.server.with_places();
    // The package's is only an example.
    server.put(&format!("{OF_THE_PACKAGE}/default.yaml"), &with_reason("package"));
    let outcome = server.try_cordon("start --no-drain");
    let message = outcome.assert_failure(2, "no-length");
    assert!(message.contains("--for"), "{message}");
    assert!(
        outcome.stderr.contains("--for 10m") && outcome.stderr.contains("window: 10m"),
        "{outcome}"
    );
    let report = server.cordon("start --no-drain --for 1m");
    assert_eq!(report["policy"], json!(null), "{report}");
    server.cordon("lift");

    let default = format!("{OF_THE_ADMINISTRATOR}/default.yaml");
    server.put(&default, &with_reason("own"));
    let outcome = server.tool().args(["start", "--no-drain"]).run();
    outcome.assert_status(0).assert_stdout_has(&default);
    assert_eq!(server.window()["reason"], "own");
    server.cordon("lift");
    let report = server.cordon("plan");
    assert_eq!(report["policy"], json!(default), "{report}");
    let report = server.cordon("start --no-drain --for 1m --policy none");
    assert_eq!(only_window(&report)["reason"], json!(null));
    server.cordon("lift");
    let outcome = server.try_cordon("start --no-drain --policy none");
    outcome.assert_failure(2, "no-length");

    // A policy without a window leaves it to the call.
    server.put(&default, "version: 1\n");
    let message = server.try_cordon("start").assert_failure(2, "no-length");
    assert!(message.contains(&default), "{message}");
}

#[test]
fn a_broken_default_stops_no_way_out() {
    let lab = Lab::new(1);
    let server = lab.server.with_places();
    server.cordon("start --for 10m");
    for (break_it, why) in [
        ("echo 'window: [' > /etc/pgcordon/policies/default.yaml", "not YAML"),
        ("chmod 0666 /etc/pgcordon/policies/default.yaml", "not trusted"),
        (
            "rm /etc/pgcordon/policies/default.yaml; mkfifo /etc/pgcordon/policies/default.yaml",
            "regular",
        ),
    ] {
        server.shell(break_it).assert_status(0);
        for line in ["start --for 10m", "plan --for 10m", "start --for 10m --port 5433"] {
            let message = server.try_cordon(line).assert_failure(2, "policy");
            assert!(message.contains(why), "{message}");
        }
        let hold = server.tool().args(["hold", "--for", "10m"]).run();
        hold.assert_status(2).assert_stderr_has("--policy none");
        server.cordon("status");
        server.cordon("drain");
        server.cordon("extend --by 1m");
        server.cordon("allow 203.0.113.11");
        lab.clients[0].assert_reaches(&[server.at_v4(5432)]);
        server.cordon("allow --remove 203.0.113.11");
        server.cordon("lift");
        server.cordon("start --for 10m --policy none");
    }
    server.cordon("lift");
    lab.clients[0].assert_reaches(&[server.at_v4(5432)]);
}

#[test]
fn a_name_that_is_not_there_brings_those_that_are() {
    let lab = Lab::bare(0);
    let server = lab.server.with_shipped();
    let outcome = server.try_cordon("start --for 10m --policy emergancy");
    let message = outcome.assert_failure(2, "policy");
    assert!(message.contains("there is no policy emergancy"), "{message}");
    outcome.assert_stderr_has("is emergency meant?");
    outcome.assert_stderr_has("backup-stays, default, emergency, gentle, keep-replicas");
    for (name, why) in [
        ("gentle.yaml", "./gentle.yaml"),
        ("", "letters"),
        (".", "letters"),
        ("..", "letters"),
        ("a b", "letters"),
        ("*", "letters"),
    ] {
        let args = ["start", "--for", "10m", "-o", "json", "--policy", name];
        let outcome = server.tool().args(args).run();
        let message = outcome.assert_failure(2, "usage");
        assert!(message.contains(why), "{why:?} in {message}");
    }
    assert_eq!(server.ruleset(), "");
}
