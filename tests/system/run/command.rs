//! `run`: CMD within its window, its status, and what reaches it.

use crate::lab::{Host, Lab, Outcome, Program, Running, SOON, assert_same_end};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// `run FLAGS -- sh -c SCRIPT`, not started yet.
fn run(server: &Host, flags: &str, script: &str) -> Program {
    let flags = flags.split_whitespace();
    let tool = server.tool().args(["run"]).args(flags);
    tool.args(["--", "sh", "-c", script])
}

fn is_closed(server: &Host) -> bool {
    !server.set_elements("pgcordon_5432", "window").is_empty()
}

/// Starts one that goes on until `/run/go` is there, and returns when it is at work.
fn begin(server: &Host, flags: &str) -> Running {
    let script = "echo began; until [ -e /run/go ]; do sleep 0.05; done; exit 6";
    let running = run(server, flags, script).spawn();
    running.wait_for_stdout("began", SOON);
    running
}

#[test]
fn the_port_is_closed_for_as_long_as_the_command_runs() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let vitals = lab.cluster().vitals();
    let session = client.connect(server.at_v4(5432));
    let run = begin(server, "--for 5m");
    session.wait_end(SOON).assert_farewell();
    client.assert_blocked(&[server.at_v4(5432), server.at_v6(5432)]);
    assert!(lab.cluster().connect_local().is_alive());
    server.write("/run/go", "");
    let outcome = run.wait(SOON);
    outcome.assert_status(6).assert_stderr_has("open again");
    assert_eq!(outcome.stdout, "began\n", "stdout is the command's");
    assert_eq!(server.ruleset(), "");
    assert!(client.connect(server.at_v4(5432)).is_alive());
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn the_status_is_the_commands_own() {
    let lab = Lab::bare(0);
    for (script, status) in [
        ("exit 0", 0),
        ("exit 77", 77),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
        ("kill -40 $$", 168),
    ] {
        let outcome = run(&lab.server, "--for 1m --no-drain", script).run();
        outcome.assert_status(status);
        assert_eq!(lab.server.ruleset(), "", "{outcome}");
    }
}

#[test]
fn a_command_that_cannot_be_run_leaves_the_port_alone() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.write("/run/plain", "#!/bin/sh\n");
    server.write("/run/odd", "#!/no/such/interpreter\n");
    server.shell(
        "chmod +x /run/odd; nft -i monitor >/run/changes 2>&1 & echo $! >/run/monitor; sleep 0.2",
    );
    let attempt = |name: &str| {
        let line = ["run", "--for", "1m", "--no-drain", "--", name];
        server.pgcordon(line)
    };
    for (name, status) in
        [("nonesuch", 127), ("/no/such/file", 127), ("", 127), ("/run/plain", 126), ("/run", 126)]
    {
        let outcome = attempt(name);
        outcome.assert_status(status).assert_stderr_has("hint: ");
        assert_eq!(outcome.stdout, "");
    }
    assert_eq!(server.run(["cat", "/run/changes"]).stdout, "", "untouched");
    // What only the kernel can tell is told as well, and the window is lifted.
    attempt("/run/odd").assert_status(127).assert_stderr_has("/run/odd");
    assert_eq!(server.ruleset(), "");
    // A script without an interpreter's line is the shell's, as env(1) has it.
    server.shell("echo 'exit 8' >/run/bare; chmod +x /run/bare");
    attempt("/run/bare").assert_status(8);
}

#[test]
fn what_pgcordon_cannot_do_is_125_and_the_command_does_not_run() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let refused = |outcome: Outcome| {
        outcome.assert_status(125).assert_stderr_has("hint: ");
        assert_eq!(outcome.stdout, "", "{outcome}");
    };
    for flags in [
        "--for 10",
        "--no-drain",
        "--for 1m --no-drain --prot 1",
        "--for 1m --no-drain -o json",
        "--for 25h --no-drain",
        "--for 1m --no-drain --allow nonsense",
        "--for 1m --no-drain --report /no/such/folder/report",
        "--for 1m --no-drain --report /run",
        "--for 1m --no-drain --on-expiry never",
    ] {
        refused(run(server, flags, "echo ran").run());
        assert_eq!(server.ruleset(), "", "{flags}");
    }
    refused(server.pgcordon(["run", "--for", "1m", "--no-drain", "true"]));
    refused(server.pgcordon(["run", "--for", "1m", "--no-drain", "--"]));
    let nobody = server.tool_as("nobody");
    refused(nobody.args(["run", "--for", "1m", "--", "echo", "ran"]).run());
    server.cordon("start --for 10m --no-drain");
    let before = server.window();
    refused(run(server, "--for 1m --no-drain", "echo ran").run());
    assert_eq!(server.window()["id"], before["id"]);
    server.pgcordon(["run", "--help"]).assert_status(0);
}

#[test]
fn words_behind_the_dashes_are_the_commands_alone() {
    let lab = Lab::bare(0);
    let line = "run --for 1m --no-drain -- echo start -o json --help -- -x";
    let outcome = lab.server.pgcordon(line.split(' '));
    outcome.assert_status(0);
    assert_eq!(outcome.stdout, "start -o json --help -- -x\n");
    let mistake = "run --for 1 -- echo start -o json";
    let outcome = lab.server.pgcordon(mistake.split(' '));
    outcome.assert_status(125).assert_stderr_has("run --help");
    assert_eq!(outcome.stdout, "");
}

#[test]
fn the_command_inherits_what_the_caller_has_and_nothing_of_pgcordons() {
    let lab = Lab::new(1);
    let server = &lab.server;
    let _session = lab.clients[0].connect(server.at_v4(5432));
    let show = "cd /proc/self/fd; echo *; ulimit -Sn; ulimit -Hn; grep -E '^Sig(Blk|Ign)' /proc/self/status; cat <&5; cat";
    let around = |words: &str| {
        let script = format!("ulimit -Sn 300; exec 5</run/five; {words} bash -c \"$0\"");
        let shell = server.program("bash").args(["-c", &script, show]);
        let tool = env!("CARGO_BIN_EXE_pgcordon");
        shell.env("tool", tool).input("typed").run()
    };
    server.write("/run/five", "five");
    let plain = around("");
    assert!(plain.stdout.ends_with("fivetyped"), "{plain}");
    let within = around("$tool run --for 1m --quiet --report /run/report --");
    assert_eq!(within.assert_status(0).stdout, plain.stdout);
    let within = around("nohup $tool run --for 1m --quiet --");
    let nohup = around("nohup");
    assert_eq!(within.assert_status(0).stdout, nohup.stdout, "SIGHUP is ignored");
    assert_ne!(nohup.stdout, plain.stdout);

    let script = "echo $PGCORDON_PORTS $PGCORDON_ENDS_AT; env | grep -c PGCORDON";
    let outcome =
        run(server, "--for 1m --no-drain --port 5433 --port 5432 --report /run/report", script)
            .run();
    let report: Value = serde_json::from_str(&server.run(["cat", "/run/report"]).stdout).unwrap();
    let ends_at = report["windows"][0]["ends_at"].as_str().unwrap();
    let words: Vec<_> = outcome.stdout.split_whitespace().collect();
    assert_eq!(words[0], "5432,5433");
    assert_same_end(&json!(words[1]), &json!(ends_at));
    assert!(words[1].ends_with('Z') && words[1].len() == 24, "{outcome}");
    assert_eq!(words[2], "2");
}

#[test]
fn a_signal_to_pgcordon_reaches_the_command_and_then_the_port_is_opened() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    for (signal, name, own) in [
        (Signal::SIGTERM, "TERM", 143),
        (Signal::SIGINT, "INT", 130),
        (Signal::SIGHUP, "HUP", 129),
        (Signal::SIGQUIT, "QUIT", 131),
    ] {
        let child = "sleep 60 >/dev/null 2>&1 & echo began; wait";
        let running =
            run(server, "--for 5m --no-drain", &format!("trap - {name}; {child}")).spawn();
        running.wait_for_stdout("began", SOON);
        running.signal(signal);
        running.wait(SOON).assert_status(own);
        // The shell has made its child ignore the other two.
        if matches!(name, "TERM" | "HUP") {
            let left = server.pids_of("sleep");
            assert!(left.is_empty(), "the whole group has heard {name}");
        }
        assert_eq!(server.ruleset(), "");

        let script =
            "trap 'echo noted' NAME; echo began; until [ -e /run/go ]; do sleep 0.05; done; exit 5";
        let running = run(server, "--for 5m --no-drain", &script.replace("NAME", name)).spawn();
        running.wait_for_stdout("began", SOON);
        running.signal(signal);
        running.wait_for_stdout("noted", SOON);
        assert!(is_closed(server), "the command goes on after {name}");
        server.write("/run/go", "");
        running.wait(SOON).assert_status(5);
        assert_eq!(server.ruleset(), "");
        server.shell("rm /run/go");
        for pid in server.pids_of("sleep") {
            server.signal(pid, "KILL");
        }
    }
}

#[test]
fn a_killed_pgcordon_leaves_the_command_and_a_window_that_ends_by_itself() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let mut running = begin(server, "--for 8s --no-drain");
    server.assert_every_element_ends(5432);
    running.signal(Signal::SIGKILL);
    while running.is_running() {}
    assert_eq!(server.pids_of("sh").len(), 1, "the command goes on");
    client.assert_blocked(&[server.at_v4(5432)]);
    assert_eq!(client.reach(server.at_v4(5432), SOON), crate::lab::Reach::Refused);
    server.write("/run/go", "");
}

#[test]
fn an_incomplete_drain_is_a_warning_and_with_strict_the_command_does_not_run() {
    let lab = Lab::new(1);
    let server = &lab.server;
    let stuck = lab.clients[0].connect(server.at_v4(5432));
    server.signal(stuck.backend_pid(), "STOP");
    let flags = "--for 5m --drain-timeout 1s --farewell 0s";
    let strict = run(server, &format!("{flags} --strict"), "echo ran").run();
    strict.assert_status(125);
    assert_eq!(strict.stdout, "", "{strict}");
    assert_eq!(server.ruleset(), "");
    let outcome = run(server, flags, "echo ran; exit 3").run();
    outcome.assert_status(3).assert_stderr_has("incomplete");
    assert_eq!(outcome.stdout, "ran\n");
    assert_eq!(server.ruleset(), "");
    server.signal(stuck.backend_pid(), "CONT");
}

#[test]
fn a_signal_during_the_drain_lifts_and_the_command_does_not_run() {
    let lab = Lab::new(1);
    let server = &lab.server;
    let stuck = lab.clients[0].connect(server.at_v4(5432));
    server.signal(stuck.backend_pid(), "STOP");
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let other = lab.clients[0].connect(server.at_v4(5432));
        let running = run(server, "--for 5m --drain-timeout 1m", "echo ran").spawn();
        other.wait_end(SOON).assert_farewell();
        running.signal(signal);
        let outcome = running.wait(SOON);
        outcome.assert_status(status);
        assert_eq!(outcome.stdout, "", "{outcome}");
        assert_eq!(server.ruleset(), "");
    }
    server.signal(stuck.backend_pid(), "CONT");
}
