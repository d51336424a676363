//! `hold`: what it shows, and terminals that stop it, continue it, or go away.

use std::time::Duration;

use crate::lab::Step::{HangUp, Read, Type, Until};
use crate::lab::{CTRL_C, CTRL_Z, Lab, Running, SOON};
use nix::sys::signal::Signal;

const CLOSED: &str = "nft list set inet pgcordon_5432 window | grep -q expires";
const OVER: &str = "! nft list set inet pgcordon_5432 window | grep -q expires";
const SWEPT: &str = "! nft list table inet pgcordon_5432";
const STOPPED: &str = "ps -C pgcordon -o stat= | grep -q T";
const GONE: &str = "! pgrep -x pgcordon";
const HOLD: &str = "$pgcordon hold --no-drain";

/// Waits until a program has said something on stderr.
#[track_caller]
fn wait_for_stderr(running: &Running, text: &str) {
    let began = std::time::Instant::now();
    while !running.stderr_so_far().contains(text) {
        assert!(began.elapsed() < SOON, "{}", running.stderr_so_far());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_terminal_sees_the_time_run_down_and_ctrl_c_opens_the_port() {
    let lab = Lab::bare(0);
    let seen = lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&format!("{HOLD} --for 2m\n")),
        Read("cordoned until"),
        Read("left; Ctrl-C opens the port"),
        Read("left; Ctrl-C opens the port"),
        Until(CLOSED),
        Type(CTRL_C),
        Read("interrupted"),
        Read("ready> "),
        Type("echo status=$?\n"),
        Read("status=130"),
        Until(SWEPT),
    ]);
    assert!(!seen.stdout.contains("panicked"), "{seen}");
    let left: Vec<&str> = seen.stdout.split(" left; Ctrl-C opens").collect();
    let [first, second, ..] = [left[0], left[1]].map(|text| &text[text.len() - 6..]);
    assert!(first.starts_with("1m ") && second < first, "{seen}");
}

#[test]
fn a_stop_leaves_the_cordon_and_the_time_is_right_afterwards() {
    let lab = Lab::bare(0);
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&format!("{HOLD} --for 10m\n")),
        Read("left; Ctrl-C"),
        Type(CTRL_Z),
        Read("Stopped"),
        Read("ready> "),
        Until(STOPPED),
        Until(CLOSED),
        // Meanwhile somebody moves the end.
        Type("$pgcordon extend --for 1h --quiet\n"),
        Read("ready> "),
        Type("fg\n"),
        Read("59m "),
        Read("left; Ctrl-C"),
        Type(CTRL_C),
        Read("ready> "),
        Until(SWEPT),
    ]);
}

#[test]
fn a_window_that_ends_during_a_stop_is_cleaned_up_after_it() {
    let lab = Lab::bare(0);
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&format!("{HOLD} --for 10s\n")),
        Read("left; Ctrl-C"),
        Type(CTRL_Z),
        Read("Stopped"),
        Until(STOPPED),
        Until(OVER),
        // The guard does not wait for whoever is stopped.
        Until(SWEPT),
        Type("fg\n"),
        Read("open again"),
        Read("ready> "),
        Type("echo status=$?\n"),
        Read("status=0"),
        Until(SWEPT),
    ]);
}

#[test]
fn in_the_background_it_leaves_the_terminal_to_others() {
    let lab = Lab::bare(0);
    let seen = lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&format!("{HOLD} --for 5m &\n")),
        Read("cordoned until"),
        Until(CLOSED),
        Type("sleep 2.5; echo qui''et\n"),
        Read("quiet"),
        Read("ready> "),
        Type("fg\n"),
        Read("left; Ctrl-C"),
        Type(CTRL_C),
        Read("ready> "),
        Until(SWEPT),
    ]);
    let (before, _) = seen.stdout.split_once("quiet").unwrap();
    assert!(!before.contains("left; Ctrl-C"), "{seen}");
}

#[test]
fn it_goes_on_without_a_terminal_until_its_time() {
    let lab = Lab::bare(1);
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&format!("{HOLD} --for 10s\n")),
        Read("left; Ctrl-C"),
        HangUp,
        // The shell has gone, and hold lives on in spite of what it cannot write.
        Until("! pgrep -x -f 'bash --norc --noediting -i'"),
        Until("pgrep -x pgcordon"),
        Until(CLOSED),
        Until(GONE),
        Until(SWEPT),
    ]);
    lab.server.at_a_shell(&[
        Read("ready> "),
        Type(&format!("{HOLD} --for 5m --verbose\n")),
        Read("left; Ctrl-C"),
        HangUp,
        Until("! pgrep -x -f 'bash --norc --noediting -i'"),
        // Long enough that it has tried to show the time.
        Until("sleep 2.2"),
        Until("pgrep -x pgcordon"),
        Until(CLOSED),
        Until("kill -TERM $(pgrep -x pgcordon)"),
        Until(GONE),
        Until(SWEPT),
    ]);
}

#[test]
fn elsewhere_it_says_what_is_in_force_and_not_every_second() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let hold = server.spawn_pgcordon(["hold", "--for", "10m", "--no-drain"]);
    wait_for_stderr(&hold, "Port 5432 is cordoned until");
    server.cordon("extend --by 20m");
    wait_for_stderr(&hold, "The end was moved");
    assert!(hold.stderr_so_far().contains("29m"), "{}", hold.stderr_so_far());
    server.cordon("extend --for 5m --shorten");
    wait_for_stderr(&hold, "4m ");
    server.cordon("lift");
    let outcome = hold.wait(SOON);
    outcome.assert_status(0).assert_stdout_has("open again");
    assert!(outcome.stderr.lines().count() <= 8, "{outcome}");

    let hold = server.spawn_pgcordon(["hold", "--for", "2m1s", "--no-drain"]);
    wait_for_stderr(&hold, "Port 5432 is cordoned until");
    std::thread::sleep(Duration::from_millis(2200));
    assert!(!hold.stderr_so_far().contains("left"), "{}", hold.stderr_so_far());
    hold.signal(Signal::SIGINT);
    hold.wait(SOON).assert_status(130);
}

#[test]
fn start_and_its_drain_outlive_the_terminal() {
    let lab = Lab::new(1);
    let server = &lab.server;
    let stuck = lab.clients[0].connect(server.at_v4(5432));
    server.signal(stuck.backend_pid(), "STOP");
    for keeps in [true, false] {
        let other = lab.clients[0].connect(server.at_v4(5432));
        let line = ["start", "--for", "5m", "--drain-timeout", "30s"];
        let start = server.spawn_pgcordon(line);
        other.wait_end(SOON).assert_farewell();
        start.signal(Signal::SIGHUP);
        start.signal(Signal::SIGHUP);
        if keeps {
            start.signal(Signal::SIGTERM);
            start.wait(SOON).assert_status(143);
            assert_eq!(server.ruleset(), "");
        } else {
            server.signal(stuck.backend_pid(), "CONT");
            start.wait(SOON).assert_status(0);
            assert_eq!(server.window()["port"], 5432);
        }
    }
    stuck.wait_end(SOON);
}
