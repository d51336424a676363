//! Who did what, as the system's logs have it.

use crate::lab::Step::{Read, Type, Until};
use crate::lab::{Lab, SOON, assert_same_end, only_window};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::time::Duration;

/// The only record of an action.
#[track_caller]
fn only(records: &[Value], action: &str) -> Value {
    let found: Vec<_> = records.iter().filter(|r| r["PGCORDON_ACTION"] == action).collect();
    assert_eq!(found.len(), 1, "{action} in {records:#?}");
    found[0].clone()
}

#[track_caller]
fn assert_fields(record: &Value, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        let found = &record[format!("PGCORDON_{name}")];
        assert_eq!(found, value, "{name} in {record:#}");
    }
}

#[test]
fn the_journal_has_a_field_for_each_fact() {
    let lab = Lab::new(2);
    let server = &lab.server;
    let _journald = server.start_journald();
    let sessions = lab.clients[0].connect_many(server.at_v4(5432), 2);
    let start = ["start", "--for", "10m", "--reason", "reindex orders", "-o", "json"];
    // As sudo would start it, from a script.
    server.write("/run/fix.sh", "\"$@\"; exit\n");
    let tool = env!("CARGO_BIN_EXE_pgcordon");
    let script = server.program("bash").args(["/run/fix.sh", tool]).args(start);
    let report = script.env("SUDO_UID", "65534").run().assert_status(0).json();
    let window = only_window(&report);
    for session in &sessions {
        session.wait_end(SOON).assert_farewell();
    }
    lab.clients[1].reach(server.at_v4(5432), Duration::from_millis(100));
    server.cordon("extend --by 5m");
    server.cordon("allow 10.0.0.1 10.0.0.2");
    server.cordon("allow 10.0.0.1 --remove");
    server.cordon("lift");
    server.cordon("lift");
    let records = server.journal("lift");

    let raised = only(&records, "start");
    assert_fields(
        &raised,
        &[
            ("PORT", "5432"),
            ("WINDOW", window["id"].as_str().unwrap()),
            ("REASON", "reindex orders"),
            ("COMMAND", "start"),
            ("VERDICT", "drop"),
            ("USER", "nobody"),
            ("USER_UID", "65534"),
            ("UID", "0"),
        ],
    );
    assert_same_end(&raised["PGCORDON_ENDS_AT"], &window["ends_at"]);
    let number = |record: &Value, name: &str| -> f64 {
        let text = record[format!("PGCORDON_{name}")].as_str().unwrap();
        text.parse().unwrap()
    };
    assert!((number(&raised, "FOR_S") - 600.0).abs() < 1.0);
    assert!(number(&raised, "BLOCKED_MS") > 0.0);
    let caller = raised["PGCORDON_CALLER"].as_str().unwrap();
    assert!(caller.starts_with("bash /run/fix.sh "), "{caller}");
    assert_eq!(raised["SYSLOG_IDENTIFIER"], "pgcordon");
    assert_eq!(raised["PRIORITY"], "5");

    let drained = &records[1];
    assert_fields(
        drained,
        &[
            ("ACTION", "drain"),
            ("PORT", "5432"),
            ("COMPLETE", "true"),
            ("BACKENDS_FOUND", "2"),
            ("BACKENDS_ENDED", "2"),
            ("BACKENDS_LEFT", "0"),
            ("SOCKETS_LEFT", "0"),
            ("SQL", "ok"),
        ],
    );
    let extended = only(&records, "extend");
    assert!((number(&extended, "FOR_S") - 900.0).abs() < 1.0);
    let allowed: Vec<_> = records.iter().filter(|r| r["PGCORDON_ACTION"] == "allow").collect();
    assert_fields(allowed[0], &[("ADDED", "10.0.0.1/32 10.0.0.2/32"), ("PASS", "2")]);
    assert_fields(allowed[1], &[("REMOVED", "10.0.0.1/32"), ("PASS", "1")]);
    let lifted = only(&records, "lift");
    assert_fields(&lifted, &[("BY", "nobody"), ("USER", "root"), ("KNOCKS", "1")]);
    assert!(number(&lifted, "PACKETS") >= 1.0);
    assert!(number(&lifted, "REMAINING_S") > 800.0);
}

#[test]
fn the_journal_tells_who_ended_a_window_and_why() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let _journald = server.start_journald();
    server.cordon("start --for 5m --no-drain");
    server.run(["nft", "flush", "chain", "inet", "pgcordon_5432", "gate"]).assert_status(0);
    server.cordon("extend --by 1m");
    let healed = only(&server.journal("heal"), "heal");
    assert!(healed["PGCORDON_WHY"].as_str().unwrap().contains("gate"), "{healed:#}");
    assert_eq!(healed["PRIORITY"], "4");
    server.cordon("lift");

    server.pgcordon(["hold", "--for", "1s", "--no-drain"]).assert_status(0);
    let ended = only(&server.journal("end"), "end");
    assert_fields(&ended, &[("PORT", "5432"), ("REMAINING_S", "0.000")]);

    let run = ["run", "--for", "1m", "--no-drain", "--", "sh", "-c", "exit 3"];
    server.pgcordon(run).assert_status(3);
    let hold = server.spawn_pgcordon(["hold", "--for", "5m", "--no-drain"]);
    while !hold.stderr_so_far().contains("cordoned") {}
    hold.signal(Signal::SIGTERM);
    hold.wait(SOON).assert_status(143);
    let records = server.journal("lift");
    let why: Vec<_> = records.iter().filter_map(|r| r["PGCORDON_WHY"].as_str()).collect();
    assert!(why.contains(&"sh has ended with status 3"), "{why:?}");
    assert!(why.contains(&"interrupted by a signal"), "{why:?}");
}

#[test]
fn the_terminal_is_on_record() {
    let lab = Lab::bare(0);
    let _journald = lab.server.start_journald();
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type("tty | cut -c 6- > /run/tty; $pgcordon start --for 5m --no-drain --quiet\n"),
        Read("ready> "),
        Until("nft list table inet pgcordon_5432"),
    ]);
    let raised = only(&lab.server.journal("start"), "start");
    let tty = lab.server.run(["cat", "/run/tty"]).stdout;
    assert_fields(&raised, &[("TTY", tty.trim())]);
    assert!(tty.starts_with("pts/"), "{tty}");
}

#[test]
fn without_a_journal_the_system_log_has_it_in_one_line() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let _syslogd = server.start_syslogd();
    let line = ["start", "--for", "10m", "--no-drain", "--reason", "100%s of it"];
    server.pgcordon(line).assert_status(0);
    server.cordon("lift");
    let messages = server.messages(": lift ");
    let ours: Vec<_> = messages.lines().filter(|line| line.contains("pgcordon[")).collect();
    assert_eq!(ours.len(), 2, "{messages}");
    for text in [
        "auth.notice pgcordon[",
        ": start port=5432 ",
        "reason=\"100%s of it\"",
        " user=root ",
        " uid=0",
    ] {
        assert!(ours[0].contains(text), "{text}: {messages}");
    }
    // A journal that is there and not listening is none.
    let mut journald = server.start_journald();
    journald.signal(Signal::SIGKILL);
    while journald.is_running() {}
    server.cordon("start --for 9m --no-drain");
    server.messages("for_s=540.0");
}

#[test]
fn a_log_that_does_not_listen_delays_nothing() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let journald = server.start_journald();
    journald.signal(Signal::SIGSTOP);
    let fill = "import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setblocking(False)
s.connect('/run/systemd/journal/socket')
try:
    while True:
        s.send(b'MESSAGE=full\\n')
except BlockingIOError:
    print('full')";
    let filled = server.run(["/usr/bin/python3", "-c", fill]);
    filled.assert_status(0).assert_stdout_has("full");
    let outcome = server.try_cordon("start --for 10m --no-drain");
    outcome.assert_status(0);
    assert!(outcome.took < SOON, "{:?}", outcome.took);
    server.cordon("lift");
    journald.signal(Signal::SIGCONT);
}

#[test]
fn verbose_shows_the_record_on_stderr() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let start = ["start", "--for", "10m", "--no-drain"];
    let told = server.pgcordon([&start[..], &["--verbose"]].concat());
    told.assert_status(0).assert_stderr_has("start port=5432 ");
    assert!(!told.stdout.contains("port=5432"), "{told}");
    let lifted = server.pgcordon(["lift"]);
    assert!(!lifted.stderr.contains("port=5432"), "{lifted}");
}

#[test]
fn a_heal_names_the_program_and_the_end_is_recorded_by_the_guard() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let _journald = server.start_journald();
    let window = only_window(&server.cordon("start --for 8s --no-drain --reason held"));
    server.nft("flush ruleset");
    let records = server.journal("end");
    let healed = only(&records, "heal");
    let id = window["id"].as_str().unwrap();
    assert_fields(
        &healed,
        &[
            ("PROGRAM", "nft"),
            ("WHY", "changed by nft: the table is gone"),
            ("WINDOW", id),
            ("REASON", "held"),
            ("HEALED", "1"),
        ],
    );
    assert_eq!(healed["PRIORITY"], "4", "{healed:#}");
    assert_fields(&only(&records, "end"), &[("WINDOW", id), ("HEALED", "1")]);
}
