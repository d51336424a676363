//! `run` goes by a policy as `start` does, and by one key of its own.

use crate::lab::{Lab, SOON, with_time_enough};

#[test]
fn what_becomes_of_a_command_that_outlasts_its_window_stands_in_the_policy() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let run = |flags: &str| {
        let words = format!("run --no-drain --policy /run/p {flags}-- sleep 600");
        server.tool().args(words.split(' ')).run()
    };
    server.write("/run/p", "version: 1\nwindow: 1s\nrun: {on_expiry: kill}\n");
    let outcome = run("");
    outcome.assert_status(124).assert_stderr_has("CMD is told to end");
    assert!(outcome.took < SOON, "{outcome}");

    // The flag wins.
    server.write("/run/p", "version: 1\nwindow: 1s\nrun: {on_expiry: warn}\n");
    run("--on-expiry kill ").assert_status(124);
    // Its own failures are 125, a bad policy's too.
    server.write("/run/p", "version: 1\nrun: {on_expiry: stop}\n");
    let outcome = run("");
    outcome.assert_status(125).assert_stderr_has("/run/p:2:18: run.on_expiry");
    server.write("/run/p", "version: 1\n");
    run("").assert_status(125).assert_stderr_has("--for");
    assert_eq!(server.ruleset(), "");
}

#[test]
fn an_extension_is_bounded_by_the_policy() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    with_time_enough(|seconds| {
        // CMD takes longer than the window, and not as long as may be.
        let (most, sleep) = (seconds * 5 / 2, seconds * 7 / 4);
        let policy = format!(
            "version: 1\nwindow: {seconds}s\nmax_window: {most}s\nrun: {{on_expiry: extend}}\n"
        );
        server.write("/run/p", policy);
        let line = format!("run --no-drain --policy /run/p -- sleep {sleep}");
        let outcome = server.tool().args(line.split(' ')).run();
        assert_eq!(server.ruleset(), "");
        outcome.status.success().then_some(())
    });
}
