//! What is printed where, and readers that go away.

use crate::lab::{Host, Lab, Outcome, START};
use serde_json::json;

/// Runs `COMMAND` with the tool as `$1` and a descriptor 3 that nobody reads any more.
fn unread(server: &Host, command: &str) -> Outcome {
    let script = format!("exec 3> >(exec true); wait $!; {command}");
    let tool = env!("CARGO_BIN_EXE_pgcordon");
    server.run(["bash", "-uc", &script, "story", tool])
}

#[test]
fn a_reader_that_goes_away_changes_nothing() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    // Whoever writes there is killed: the pipe is a closed one.
    unread(server, "echo x >&3").assert_killed_by(13);

    for output in ["human", "json"] {
        let start = format!("$1 {START} -o {output} >&3");
        for command in [&start, &start, &format!("$1 status -o {output} >&3")] {
            let outcome = unread(server, command);
            let panicked = outcome.assert_status(0).stderr.contains("panicked");
            assert!(!panicked, "{outcome}");
        }
        assert_eq!(server.window()["port"], 5432);
        unread(server, &format!("$1 lift -o {output} >&3")).assert_status(0);
        assert_eq!(server.ruleset(), "");
    }
    unread(server, "$1 start --for 10 -o json >&3 2>&3").assert_status(2);
    unread(server, "$1 extend --by 1m 2>&3").assert_status(4);
    unread(server, "$1 --help >&3").assert_status(0);
}

#[test]
fn closed_streams_and_a_full_disk_change_nothing() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    for (streams, start) in
        [(">&-", START), ("<&- >&- 2>&-", START), (">/dev/full 2>/dev/full", START)]
    {
        let outcome = unread(server, &format!("$1 {start} {streams}"));
        outcome.assert_status(0);
        assert_eq!(server.window()["port"], 5432, "{streams}");
        unread(server, &format!("$1 lift {streams}")).assert_status(0);
        assert_eq!(server.ruleset(), "", "{streams}");
    }
}

#[test]
fn json_stands_alone_on_stdout_and_warnings_on_stderr() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon(START);
    let outcome = server.try_cordon("start --for 1h --no-drain --verbose");
    let report = outcome.assert_status(0).json();
    assert_eq!(outcome.stdout.lines().count(), 1, "{outcome}");
    let warning = report["warnings"][0].as_str().unwrap();
    outcome.assert_stderr_has(&format!("warning: {warning}"));

    // Quiet leaves the warnings, and the object that was asked for.
    let quiet = server.pgcordon(["start", "--for", "1h", "--no-drain", "--quiet"]);
    assert_eq!(quiet.assert_status(0).stdout, "");
    quiet.assert_stderr_has("warning: ");
    assert_eq!(server.cordon("status --quiet")["warnings"], json!([]));
}

#[test]
fn colours_are_for_terminals() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon(START);
    let escape = '\u{1b}';
    let plain = server.pgcordon(["status"]);
    assert!(!plain.stdout.contains(escape), "{plain}");
    let always = server.pgcordon(["status", "--color", "always"]);
    assert!(always.stdout.contains(escape), "{always}");
    let asked = server.tool().args(["status", "--color", "never"]).env("CLICOLOR_FORCE", "1");
    assert!(!asked.run().stdout.contains(escape));
}

#[test]
fn a_person_reads_until_when_and_what_to_do() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let started = server.pgcordon(["start", "--for", "10m", "--no-drain", "--reason", "reindex"]);
    started.assert_status(0).assert_stdout_has("5432").assert_stdout_has("lift");
    let status = server.pgcordon(["status"]);
    status.assert_stdout_has("reindex").assert_stdout_has("root");
    let lifted = server.pgcordon(["lift"]);
    lifted.assert_status(0).assert_stdout_has("open again");
    server.pgcordon(["status"]).assert_status(0).assert_stdout_has("No window");
}
