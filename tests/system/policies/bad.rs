//! Bad policies: each with the message that it gets, to the letter.

use crate::lab::{Host, Lab};

/// What is wrong, and the policy. Version 1 is put in front where nothing else is tested.
const BAD: [(&str, &str); 94] = [
    // The text.
    ("empty", "\0"),
    ("comment-only", "\0# nothing here\n"),
    ("scalar", "\0just text\n"),
    ("list", "\0- version: 1\n"),
    ("open-bracket", "ports: [5432\n"),
    ("open-quote", "reason: \"reindex\n"),
    ("tab", "drain:\n\tfarewell: 2s\n"),
    ("indentation", "drain:\n  farewell: 2s\n    timeout: 10s\n"),
    ("two-colons", "reason: a: b\n"),
    ("at-sign", "reason: @home\n"),
    ("two-documents", "---\nversion: 1\n"),
    ("unknown-anchor", "window: *ten\n"),
    ("tag", "window: !minutes 10\n"),
    ("control-character", "reason: a\u{7}b\n"),
    ("colon-at-the-end", "allow: {addresses: [2001:db8::]}\n"),
    // The version.
    ("no-version", "\0window: 10m\n"),
    ("version-2", "\0version: 2\nwindwo: 10m\n"),
    ("version-as-text", "\0version: \"1\"\n"),
    ("version-1.0", "\0version: 1.0\n"),
    ("version-twice", "version: 1\n"),
    ("months", "window: 10M\n"),
    ("the-first-of-two", "ports: [0]\nwindow: 10\n"),
    // Keys.
    ("typo", "windwo: 10m\n"),
    ("typo-below", "drain:\n  farwell: 2s\n"),
    ("dashes", "max-window: 48h\n"),
    ("capitals", "Window: 10m\n"),
    ("unlike-any", "colour: blue\n"),
    ("flag-for-key", "for: 10m\n"),
    ("key-of-a-section", "farewell: 2s\n"),
    ("merge-key", "<<: {window: 10m}\n"),
    ("twice", "window: 10m\nports: [5432]\nwindow: 20m\n"),
    ("twice-below", "drain:\n  strict: true\n  strict: false\n"),
    ("section-twice", "allow:\n  replication: true\nallow:\n  interfaces: [eth0]\n"),
    ("number-as-key", "5432: yes\n"),
    ("list-as-key", "? [a, b]\n: c\n"),
    ("null-as-key", "~: c\n"),
    ("long-key", "a-key-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on: 1\n"),
    // No values.
    ("no-value", "window:\n"),
    ("no-section", "drain:\nports: [5432]\n"),
    ("null-in-a-list", "allow:\n  addresses:\n    - 10.0.0.1\n    -\n"),
    // Wrong types.
    ("ports-no-list", "ports: 5432\n"),
    ("port-zero", "ports: [0]\n"),
    ("port-too-high", "ports: [5432, 65536]\n"),
    ("port-negative", "ports: [-1]\n"),
    ("port-fraction", "ports: [5432.5]\n"),
    ("port-name", "ports: [postgresql]\n"),
    ("section-is-a-list", "drain: [2s]\n"),
    ("section-is-text", "allow: everybody\n"),
    ("value-is-a-mapping", "window: {minutes: 10}\n"),
    ("bool-as-text", "drain: {strict: \"yes\"}\n"),
    ("yes-is-text", "allow: {replication: yes}\n"),
    ("bool-as-number", "drain: {strict: 1}\n"),
    ("list-as-text", "spare: {roles: backup}\n"),
    ("huge-number", "ports: [99999999999999999999999]\n"),
    // Durations and rates.
    ("no-unit", "window: 10\n"),
    ("no-unit-as-text", "window: \"10\"\n"),
    ("zero-window", "window: 0s\n"),
    ("short-window", "window: 500ms\n"),
    ("negative", "drain: {timeout: -5s}\n"),
    ("not-a-duration", "drain: {cancel_first: soon}\n"),
    ("unknown-unit", "drain: {farewell: 2 parsecs}\n"),
    ("ten-years", "max_window: 11y\n"),
    ("trifle", "drain: {farewell: 10us}\n"),
    ("rate-without-unit", "ramp: {for: 1m, rate: 10}\n"),
    ("rate-per-minute", "ramp: {for: 1m, rate: 10/m}\n"),
    ("rate-of-zero", "ramp: {for: 1m, rate: 0/s}\n"),
    ("long-ramp", "ramp: {for: 25h}\n"),
    ("short-ramp", "ramp: {for: 100ms}\n"),
    // Networks.
    ("everything", "allow: {addresses: [0.0.0.0/0]}\n"),
    ("host-that-is-everything", "allow: {addresses: [10.0.0.1/0]}\n"),
    ("everything-v6", "allow: {addresses: [\"::/0\"]}\n"),
    ("halves", "allow:\n  addresses:\n    - 0.0.0.0/1\n    - 128.0.0.0/1\n    - 10.0.0.1\n"),
    ("prefix-too-long", "allow: {addresses: [10.0.0.0/33]}\n"),
    ("not-an-address", "allow: {addresses: [10.0.0.300]}\n"),
    ("address-as-number", "allow: {addresses: [10.5]}\n"),
    ("host-name", "allow: {addresses: [db.example.org]}\n"),
    ("interface-long", "allow: {interfaces: [an-interface-name]}\n"),
    ("interface-slash", "allow: {interfaces: [../eth0]}\n"),
    ("relative-file", "allow: {addresses_file: office.txt}\n"),
    // Words and names.
    ("verdict", "verdict: reject\n"),
    ("verdict-nearly", "verdict: rest\n"),
    ("on-expiry", "run: {on_expiry: stop}\n"),
    (
        "long-name",
        "spare: {roles: [a-role-with-a-name-that-is-much-too-long-for-postgresql-to-keep-in-full]}\n",
    ),
    ("empty-name", "spare: {databases: [\"\"]}\n"),
    (
        "long-reason",
        "reason: a reason that really goes on and on and on and on and on and on and on and on and on and on and on and on and on\n",
    ),
    ("reason-in-quotes", "reason: the \"big\" one\n"),
    // Contradictions.
    ("no-ports", "ports: []\n"),
    ("port-twice", "ports: [5432, 5433, 5432]\n"),
    ("window-over-max", "window: 3h\nmax_window: 2h\n"),
    ("window-over-a-day", "window: 36h\n"),
    ("nobody-to-spare", "spare: {roles: []}\n"),
    ("no-passfile", "postgres: {host: 127.0.0.1}\n"),
    (
        "two-ways",
        "postgres: {host: \"::1\", passfile: /etc/pgcordon/pass, socket_dir: /run/postgresql}\n",
    ),
    // Everything at once.
    (
        "many",
        "description: [one]\nports: [0, x]\nwindow: 10\ndrain:\n  farewel: 2s\n  timeout: 1\n\
         allow:\n  addresses: [10.0.0.0/8, all]\n  interface: eth0\npostgres: {host: here, passfile: there}\n",
    ),
];

/// Writes them all, and gives their names in order.
fn write_bad(server: &Host) -> Vec<String> {
    server.shell("mkdir /run/bad").assert_status(0);
    let write = |(number, (name, text)): (usize, &(&str, &str))| {
        let path = format!("/run/bad/{:02}-{name}", number + 1);
        let whole = match text.strip_prefix('\0') {
            Some(text) => text.to_owned(),
            None => format!("version: 1\n{text}"),
        };
        server.write(&path, whole);
        path
    };
    BAD.iter().enumerate().map(write).collect()
}

#[test]
fn each_bad_policy_gets_its_message() {
    let lab = Lab::bare(0);
    let paths = write_bad(&lab.server);
    let check = lab.server.tool().args(["policy", "check"]).args(&paths);
    let outcome = check.run();
    outcome.assert_status(2);
    outcome.assert_stderr_has(&format!("{0} of {0} policies are bad", BAD.len()));
    let lines: Vec<_> = outcome.stdout.lines().collect();
    for path in &paths {
        let name = format!("{path}:");
        assert!(lines.iter().any(|line| line.starts_with(&name)), "{path}");
    }
    let messages = outcome.stdout.replace("/run/bad/", "");
    insta::with_settings!({omit_expression => true}, {
        insta::assert_snapshot!("bad_policies", messages);
    });
}

#[test]
fn a_bad_policy_stops_a_call_and_touches_nothing() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let paths = write_bad(server);
    for path in &paths {
        let line = format!("start --for 10m --no-drain --policy {path}");
        let message = server.try_cordon(&line).assert_failure(2, "policy");
        assert!(message.starts_with(&format!("policy {path}:")), "{message}");
    }
    assert_eq!(server.ruleset(), "");
}

#[test]
fn the_first_fault_is_told_in_json_with_its_place() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.write("/run/bad", "version: 1\nports: [5432,\n  0]\nwindow: 10\n");
    server.write("/run/good", "version: 1\n");
    let outcome = server.policy("check /run/good /run/bad -o json");
    let report = outcome.assert_status(2).json();
    assert_eq!(report["result"], "failed", "{report}");
    assert_eq!(report["error"]["kind"], "policy", "{report}");
    assert_eq!(
        report["files"][0],
        serde_json::json!({"file": "/run/good", "valid": true, "faults": [], "problem": null})
    );
    assert_eq!(
        report["files"][1]["faults"],
        serde_json::json!([{
            "line": 3, "column": 3, "key": "ports[1]",
            "message": "`0` is not a port: a number from 1 to 65535 is"
        }])
    );
}
