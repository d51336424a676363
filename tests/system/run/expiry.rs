//! `run` whose window ends before CMD does, and its report.

use std::time::{Duration, Instant};

use crate::lab::{Host, Lab, Outcome, Running, SOON, milliseconds, only_window, warns};
use serde_json::{Value, json};

/// Starts `run --no-drain FLAGS -- sh -c SCRIPT`.
fn spawn(server: &Host, flags: &str, script: &str) -> Running {
    let flags = flags.split_whitespace();
    let tool = server.tool().args(["run", "--no-drain"]).args(flags);
    tool.args(["--", "sh", "-c", script]).spawn()
}

fn run(server: &Host, flags: &str, script: &str) -> Outcome {
    spawn(server, flags, script).wait(SOON)
}

fn report(server: &Host) -> Value {
    let text = server.run(["cat", "/run/report"]).stdout;
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn by_default_it_says_so_and_the_command_goes_on() {
    let lab = Lab::bare(0);
    let script = "while nft list set inet pgcordon_5432 window | grep -q expires; do sleep 0.05; done; echo open; until [ -e /run/go ]; do sleep 0.05; done; exit 3";
    let running = spawn(&lab.server, "--for 1s --report /run/report", script);
    running.wait_for_stderr("the window is over before CMD", SOON);
    running.wait_for_stdout("open", SOON);
    lab.server.write("/run/go", "");
    let outcome = running.wait(SOON);
    outcome.assert_status(124).assert_stderr_has("the window is over before CMD");
    assert_eq!(outcome.stdout, "open\n");
    let report = report(&lab.server);
    assert_eq!(report["cmd"]["status"], 3);
    assert_eq!(report["cmd"]["in_time"], false);
    assert!(warns(&report, &["window is over"]), "{report}");
    assert_eq!(lab.server.ruleset(), "");
}

#[test]
fn a_window_that_another_lifts_has_ended() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    for policy in ["warn", "extend"] {
        let script = "echo began; until [ -e /run/go ]; do sleep 0.05; done";
        let running = spawn(server, &format!("--for 1h --on-expiry {policy}"), script);
        running.wait_for_stdout("began", SOON);
        server.cordon("lift");
        while !running.stderr_so_far().contains("ended by someone else") {
            assert!(running.stderr_so_far().len() < 1000);
        }
        server.write("/run/go", "");
        running.wait(SOON).assert_status(124);
        server.shell("rm /run/go");
    }
    // Also where there was no time to notice, and where another window has come.
    let script = "$tool lift --quiet; $tool start --for 5m --no-drain --quiet; exit 3";
    let words = ["run", "--for", "1h", "--no-drain", "--", "sh", "-c", script];
    let tool = server.tool().env("tool", env!("CARGO_BIN_EXE_pgcordon"));
    tool.args(words).run().assert_status(124);
    server.window();
}

#[test]
fn one_of_two_windows_that_is_lifted_counts() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let script = "$tool lift --port 5433 --quiet; until grep -q someone /run/said; do sleep 0.05; done; $tool status --check --port 5432 --quiet";
    let words = [
        "-c",
        "\"$tool\" run --for 1h --no-drain --port 5432 --port 5433 --report /run/report -- sh -c \"$0\" 2>/run/said",
        script,
    ];
    let shell = server.program("bash").env("tool", env!("CARGO_BIN_EXE_pgcordon"));
    shell.args(words).run().assert_status(124);
    assert_eq!(report(server)["cmd"]["status"], 0, "the other port stayed closed");
    assert_eq!(server.ruleset(), "");
}

#[test]
fn extend_moves_the_end_on_up_to_the_most() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let script = "echo began; until [ -e /run/go ]; do sleep 0.05; done; exit 4";
    let running = spawn(server, "--for 6s --on-expiry extend --report /run/report", script);
    running.wait_for_stdout("began", SOON);
    let first = milliseconds(&server.window()["ends_at"]);
    let deadline = Instant::now() + SOON;
    while milliseconds(&server.window()["ends_at"]) <= first + 10_000 {
        assert!(Instant::now() < deadline, "it is not extended again");
        client.assert_blocked(&[server.at_v4(5432)]);
        server.assert_every_element_ends(5432);
    }
    server.write("/run/go", "");
    running.wait(SOON).assert_status(4);
    let own = report(server);
    assert_eq!(own["cmd"]["in_time"], true);
    assert!(milliseconds(&only_window(&own)["ends_at"]) > first + 10_000, "{own}");
    assert_eq!(server.ruleset(), "");

    server.shell("rm /run/go");
    let script = "until [ -e /run/go ]; do sleep 0.05; done; exit 4";
    let began = Instant::now();
    let running = spawn(server, "--for 4s --max 10s --on-expiry extend", script);
    while !running.stderr_so_far().contains("over before CMD") {
        assert!(began.elapsed() < SOON);
    }
    assert!(began.elapsed() > Duration::from_secs(5), "it was extended");
    assert!(running.stderr_so_far().contains("10s is the most"));
    server.write("/run/go", "");
    running.wait(SOON).assert_status(124);
}

#[test]
fn kill_asks_first_and_then_insists_with_the_whole_group() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let polite = "trap 'echo asked; exit 9' TERM; sleep 600 & wait";
    let outcome = run(server, "--for 3s --on-expiry kill --report /run/report", polite);
    outcome.assert_status(124);
    assert_eq!(outcome.stdout, "asked\n");
    assert_eq!(report(server)["cmd"]["status"], 9);
    server.wait_none("sleep");

    // One that does not listen, and a child of it that does not either.
    let deaf = "trap '' TERM; sleep 300 & sleep 300; sleep 300";
    let outcome = run(server, "--for 3s --on-expiry kill --report /run/report", deaf);
    outcome.assert_status(124);
    assert!(outcome.took >= Duration::from_secs(11), "{:?}", outcome.took);
    let own = report(server);
    assert_eq!(own["cmd"]["signal"], 9);
    assert_eq!(own["cmd"]["status"], 137);
    server.wait_none("sleep");

    // One that goes at once, and leaves a child that does not listen.
    let heir = "(trap '' TERM; exec sleep 300 >/dev/null 2>&1) & trap 'exit 0' TERM; wait";
    let outcome = run(server, "--for 3s --on-expiry kill", heir);
    outcome.assert_status(124);
    assert!(outcome.took >= Duration::from_secs(11), "{:?}", outcome.took);
    server.wait_none("sleep");

    // A stopped one hears it too.
    let outcome =
        run(server, "--for 3s --on-expiry kill --report /run/report", "kill -STOP $$; sleep 60");
    outcome.assert_status(124);
    let own = report(server);
    assert_eq!(own["cmd"]["signal"], 15, "{own}");
}

#[test]
fn the_report_is_the_object_of_the_contract_and_the_commands_status() {
    let lab = Lab::new(1);
    let server = &lab.server;
    let _session = lab.clients[0].connect(server.at_v4(5432));
    server.write("/run/report", "of yesterday, and open to all\n");
    let words = [
        "run",
        "--for",
        "10m",
        "--reason",
        "reindex",
        "--report",
        "/run/report",
        "--",
        "sh",
        "-c",
        "ls -A /run; exit 5",
    ];
    let outcome = server.pgcordon(words);
    outcome.assert_status(5).assert_stdout_has(".pgcordon-");
    let own = report(server);
    for (name, expected) in [
        ("schema", json!(1)),
        ("command", json!("run")),
        ("changed", json!(true)),
        ("result", json!("lifted")),
    ] {
        assert_eq!(own[name], expected, "{own}");
    }
    assert_eq!(only_window(&own)["reason"], "reindex");
    assert_eq!(own["drain"]["backends"]["ended"], 1);
    assert_eq!(own["drain"]["sql"], "ok");
    assert!(own["timing"]["drained_ms"].as_f64().unwrap() > 0.0);
    let cmd = &own["cmd"];
    assert_eq!(cmd["program"], "sh");
    assert_eq!(cmd["status"], 5);
    assert_eq!(cmd["signal"], Value::Null);
    assert_eq!(cmd["in_time"], true);
    assert!(cmd["pid"].as_i64().unwrap() > 1);
    assert!(milliseconds(&cmd["started_at"]) <= milliseconds(&cmd["ended_at"]));
    server
        .shell("[ $(stat -c %a /run/report) = 600 ]; [ \"$(ls -A /run | grep -c pgcordon-)\" = 0 ]")
        .assert_status(0);
}

#[test]
fn a_ramp_begins_when_the_command_has_ended() {
    let lab = Lab::bare(1);
    let server = &lab.server;
    let outcome = run(server, "--for 5m --ramp 1m --report /run/report", "exit 2");
    outcome.assert_status(2).assert_stderr_has("in a ramp");
    let own = only_window(&report(server));
    assert_eq!(own["phase"], "ramp", "{own}");
    let left = own["remaining_s"].as_f64().unwrap();
    assert!((30.0..60.1).contains(&left), "{own}");
    assert_eq!(server.window()["id"], own["id"]);
    server.assert_every_element_ends(5432);
    let reach = lab.clients[0].reach(server.at_v4(5432), SOON);
    assert_eq!(reach, crate::lab::Reach::Refused, "it is let in");
}

#[test]
fn a_report_that_cannot_be_written_is_told_before_anything_is_touched() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.shell("mkfifo /run/pipe; ln -s /run/report /run/link; touch /run/report");
    for path in
        ["/run/none/report", "/run", "/run/pipe", "/run/link", "/proc/report", "/run/report/x"]
    {
        let outcome = run(server, &format!("--for 1m --report {path}"), "echo ran");
        outcome.assert_status(125).assert_stderr_has(path);
        assert_eq!(outcome.stdout, "");
        assert_eq!(server.ruleset(), "");
    }
    // A failure is in the file as well.
    server.cordon("start --for 10m --no-drain");
    run(server, "--for 1m --report /run/report", "echo ran").assert_status(125);
    assert_eq!(report(server)["error"]["kind"], "occupied");
    server.cordon("lift");
    // A pipe that somebody reads, and a device.
    let line = "\"$tool\" run --for 1m --no-drain --quiet --report >(cat >/run/read) -- true; wait $!; grep '\"cmd\"' /run/read";
    let shell = server.program("bash").env("tool", env!("CARGO_BIN_EXE_pgcordon"));
    shell.args(["-c", line]).run().assert_status(0);
    run(server, "--for 1m --report /dev/null", "true").assert_status(0);
    run(server, "--for 1m --report /dev/full", "true").assert_status(125);
    assert_eq!(server.ruleset(), "");
}
