//! The guards of `hold` and `run`: what happens to them, and to the commands.

use std::time::Instant;

use crate::lab::{Host, Lab, Reach, Running, SOON, assert_same_end};
use nix::sys::signal::Signal;

/// Starts a command and waits until it says that its cordon stands: what happens before that may
/// be a reason for it to fail. Gives its guard, too.
fn started(server: &Host, line: &str) -> (Running, i32) {
    let running = server.spawn_pgcordon(line.split(' '));
    running.wait_for_stderr("is cordoned until", SOON);
    let guard = server.window()["guard_pid"].as_i64().unwrap();
    (running, i32::try_from(guard).unwrap())
}

/// Waits until the window has another guard.
#[track_caller]
fn wait_for_another_guard(server: &Host, old: i32) {
    let deadline = Instant::now() + SOON;
    loop {
        let window = server.window();
        if window["guard_pid"].as_i64().is_some_and(|pid| pid != i64::from(old)) {
            return;
        }
        assert!(Instant::now() < deadline, "{window}");
    }
}

#[test]
fn a_guard_of_hold_that_dies_is_replaced_and_heals() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let (hold, guard) = started(server, "hold --for 10m --no-drain");
    let ends = server.window()["ends_at"].clone();
    server.signal(guard, "KILL");
    wait_for_another_guard(server, guard);
    server.nft("flush ruleset");
    let healed = server.wait_healed(1);
    assert_same_end(&healed["ends_at"], &ends);
    client.assert_blocked(&[server.at_v4(5432)]);
    hold.signal(Signal::SIGTERM);
    hold.wait(SOON).assert_status(143);
    assert_eq!(server.ruleset(), "");
    assert!(server.pids_of_pgcordon().is_empty());
}

#[test]
fn an_extended_hold_goes_on_and_a_lifted_one_ends() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let (mut hold, guard) = started(server, "hold --for 10m --no-drain");
    server.cordon("extend --by 5m");
    wait_for_another_guard(server, guard);
    assert!(hold.is_running());
    server.cordon("lift");
    hold.wait(SOON).assert_status(0);
    assert_eq!(server.ruleset(), "");
}

#[test]
fn a_stopped_hold_is_guarded_and_can_be_lifted() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let (hold, _) = started(server, "hold --for 10m --no-drain");
    hold.signal(Signal::SIGSTOP);
    server.nft("flush ruleset");
    server.wait_healed(1);
    client.assert_blocked(&[server.at_v4(5432)]);
    server.cordon("lift");
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
    hold.signal(Signal::SIGCONT);
    hold.wait(SOON).assert_status(0);
    assert_eq!(server.ruleset(), "");
}

#[test]
fn a_hold_that_is_killed_leaves_its_guard_until_the_end() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let (hold, guard) = started(server, "hold --for 10s --no-drain");
    hold.signal(Signal::SIGKILL);
    hold.wait(SOON).assert_killed_by(9);
    server.nft("flush ruleset");
    server.wait_healed(1);
    client.assert_blocked(&[server.at_v4(5432)]);
    server.wait_gone(guard, SOON * 2);
    assert_eq!(server.ruleset(), "");
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
}

#[test]
fn the_cordon_of_run_is_healed_and_gone_with_the_command() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    // CMD ends when somebody has written into the pipe.
    server.run(["mkfifo", "/run/go"]).assert_status(0);
    let (run, guard) = started(server, "run --for 10m --no-drain -- cat /run/go");
    server.nft("flush ruleset");
    server.wait_healed(1);
    client.assert_blocked(&[server.at_v4(5432)]);
    server.write("/run/go", "");
    run.wait(SOON).assert_status(0);
    assert_eq!(server.ruleset(), "");
    assert!(!server.is_process(guard));
}

#[test]
fn without_a_guard_nothing_is_healed() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let hold = server.spawn_pgcordon("hold --for 10m --no-drain --no-guard".split(' '));
    hold.wait_for_stderr("is cordoned until", SOON);
    assert!(server.pids_of("pgcordon-guard").is_empty());
    server.nft("flush ruleset");
    hold.wait(SOON).assert_status(0);
    assert_eq!(server.ruleset(), "");
}

#[test]
fn what_somebody_else_does_to_the_window_of_run_is_not_healed_back_at_its_end() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.run(["mkfifo", "/run/go"]).assert_status(0);
    for (start, change) in [
        ("run --for 10m --no-drain -- cat /run/go", "extend --by 5m"),
        ("run --for 10m --no-drain -- cat /run/go", "allow 10.0.0.1"),
        ("run --for 10m --no-drain --ramp 10m -- cat /run/go", "extend --by 5m"),
    ] {
        let (run, _) = started(server, start);
        server.cordon(change);
        server.write("/run/go", "");
        run.wait(SOON).assert_status(0);
        // A guard that had something to heal would have done it by now.
        server.nft("add table ip other\ndelete table ip other");
        let windows = server.cordon("status")["windows"].take();
        let closed = windows.as_array().unwrap().iter().any(|w| w["phase"] == "closed");
        assert!(!closed, "{start}, {change}: {windows}");
        assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
        server.cordon("lift");
        assert_eq!(server.ruleset(), "");
    }
}
