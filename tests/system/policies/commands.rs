//! `policy check`, `show` and `schema`: for everybody, and without a trace.

use crate::lab::Lab;

const WHOLE: &str = "\
version: 1
description: |
  Two lines: of \"text\",
  # and no comment.
ports: [5432, 5433]
window: 90s
max_window: 36h
verdict: reset
allow:
  addresses: [10.0.0.0/8, 2001:db8::1]
  addresses_file: /etc/pgcordon/office.txt
  interfaces: [eth1]
  replication: true
spare:
  roles: [backup, \"null\"]
  applications: [\"a: b\"]
drain: {farewell: 1500ms, timeout: 1m, cancel_first: 5s, strict: true}
ramp: {for: 2m, rate: 20/s}
run: {on_expiry: kill}
postgres: {host: 127.0.0.1, passfile: /etc/pgcordon/pass, user: cordon}
reason: nightly load
";

#[test]
fn what_is_shown_is_a_policy_that_means_the_same() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.write("/run/whole", WHOLE);
    let shown = server.policy("show /run/whole");
    insta::assert_snapshot!("shown", shown.assert_status(0).stdout);
    server.write("/run/again", &shown.stdout);
    server.policy("check --content /run/again").assert_status(0);
    assert_eq!(server.shown("/run/whole")["settings"], server.shown("/run/again")["settings"]);

    let with_flags =
        "show /run/whole --for 5m --allow @/run/b --allow 10.1.1.1 --spare role=c --port 6000";
    let shown = server.policy(with_flags);
    insta::assert_snapshot!("shown_with_flags", shown.assert_status(0).stdout);
    let shown = server.policy("show none");
    insta::assert_snapshot!("shown_built_in", shown.assert_status(0).stdout);
    server.write("/run/built-in", &shown.stdout);
    server.policy("check /run/built-in").assert_status(0);
}

#[test]
fn everybody_may_look_and_nothing_is_touched() {
    let lab = Lab::bare(0);
    let server = lab.server.with_shipped();
    let nobody = |line: &str| {
        let tool = server.tool_as("nobody").args(["policy"]);
        tool.args(line.split(' ')).run()
    };
    nobody("show gentle").assert_status(0).assert_stdout_has("cancel_first: 30s");
    nobody("show none -o json").assert_status(0).json();
    let unknown = nobody("show gentel").assert_status(2).stderr.clone();
    assert!(unknown.contains("is gentle meant?"), "{unknown}");
    nobody("schema").assert_status(0).json();
    nobody("check /usr/share/pgcordon/policies/gentle.yaml").assert_status(0);
    for line in ["--help", "check --help", "show --help", "schema --help"] {
        let help = nobody(line);
        help.assert_status(0).assert_stdout_has("pgcordon policy ");
        assert_eq!(help.stderr, "");
    }
    for line in ["check", "chek x", "show a b", "show gentle --policy gentle", "schema x"] {
        let outcome = nobody(line);
        assert_eq!(outcome.assert_status(2).stdout, "", "{outcome}");
    }
    // Without the privilege of the kernel's firewall, root too.
    let root = server.tool().without(&["net_admin"]).args(["policy", "show"]);
    root.run().assert_status(0);
    assert_eq!(server.ruleset(), "");
}

#[test]
fn the_schema_names_every_key_with_what_it_is() {
    let lab = Lab::bare(0);
    let schema = lab.server.policy("schema").assert_status(0).json();
    insta::assert_snapshot!("schema", serde_json::to_string_pretty(&schema).unwrap());
}

#[test]
fn flags_that_need_each_other_may_come_from_either_place() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.write("/run/pass", "*:*:*:*:secret\n");
    server.shell("chmod 0600 /run/pass").assert_status(0);
    server.write("/run/p", "version: 1\npostgres: {passfile: /run/pass}\nramp: {for: 1m}\n");
    let start = "start --for 10m --no-drain";
    let alone = server.try_cordon(&format!("{start} --pg-host 127.0.0.1"));
    let message = alone.assert_failure(2, "usage");
    assert!(message.contains("127.0.0.1"), "{message}");
    alone.assert_stderr_has("--pg-passfile");
    server.try_cordon("drain --pg-host 127.0.0.1").assert_failure(2, "usage");
    let alone = server.try_cordon(&format!("{start} --ramp-rate 5/s"));
    alone.assert_failure(2, "usage");
    alone.assert_stderr_has("--ramp");
    server.cordon(&format!("{start} --pg-host 127.0.0.1 --ramp-rate 5/s --policy /run/p"));
    assert_eq!(server.window()["ramp"]["per_s"], 5);
}

#[test]
fn without_a_drain_replication_is_not_promised() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.write("/run/p", "version: 1\nallow: {replication: true}\n");
    let report = server.cordon("start --for 10m --no-drain --policy /run/p");
    assert!(crate::lab::warns(&report, &["allow.replication", "--no-drain"]), "{report}");
}

#[test]
fn a_warning_is_told_beside_what_is_shown() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.write("/run/p", "version: 1\nallow: {replication: true}\n");
    let shown = server.policy("show /run/p --no-drain --for 10m");
    shown.assert_status(0).assert_stderr_has("warning: with --no-drain");
    assert!(!shown.stdout.contains("warning"), "{shown}");
}

#[test]
fn what_start_would_refuse_is_not_shown_as_what_it_would_go_by() {
    let lab = Lab::bare(0);
    let show = |words: &str| lab.server.try_cordon(&format!("policy show {words}"));
    show("none --for 48h").assert_failure(2, "too-long");
    show("none --for 1h --allow 0.0.0.0/1 --allow 128.0.0.0/1").assert_failure(2, "pass-list");
    show("none --for 48h --max 48h").assert_status(0);
}

#[test]
fn a_text_that_was_asked_for_is_printed_quietly_too() {
    let lab = Lab::bare(0);
    for line in ["policy schema", "policy show none", "completions bash"] {
        let outcome = lab.server.pgcordon(line.split(' ').chain(["--quiet"]));
        assert!(outcome.assert_status(0).stdout.len() > 100, "{outcome}");
    }
}
