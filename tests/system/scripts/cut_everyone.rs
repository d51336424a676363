//! cut-everyone: one word.

use super::{assert_open, press_ctrl_c, script, stuck};
use crate::lab::{Lab, SOON};

#[test]
fn one_word_cuts_everyone_and_closes_the_port() {
    let lab = Lab::new(1);
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    let local = lab.server.connect(([127, 0, 0, 1], 5432).into());
    script(&lab.server, "cut-everyone").run().assert_status(0);
    client.wait_end(SOON).assert_farewell();
    lab.clients[0].assert_blocked(&[lab.server.at_v4(5432)]);
    assert!(local.is_alive());
    let window = lab.server.window();
    assert_eq!(window["reason"], "cut everyone");
    assert!(window["remaining_s"].as_f64().unwrap() > 14.0 * 60.0, "{window}");
}

#[test]
fn a_second_call_cuts_who_was_left_alone_and_moves_the_end() {
    let lab = Lab::new(1);
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    lab.server.cordon("start --for 1m --no-drain");
    let outcome = script(&lab.server, "cut-everyone").args(["30m"]).run();
    outcome.assert_status(0);
    client.wait_end(SOON).assert_farewell();
    let window = lab.server.window();
    assert!(window["remaining_s"].as_f64().unwrap() > 29.0 * 60.0, "{window}");
}

#[test]
fn a_bad_policy_of_the_host_is_no_obstacle() {
    let lab = Lab::new(1);
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    // An /etc of this host's own, over the machine's.
    let bad_policy = "
        mkdir -p /run/own/upper /run/own/work
        mount -t overlay overlay /etc \
            -o lowerdir=/etc,upperdir=/run/own/upper,workdir=/run/own/work
        mkdir -p /etc/pgcordon/policies
        echo 'windw: never' >/etc/pgcordon/policies/default.yaml";
    lab.server.shell(bad_policy).assert_status(0);
    lab.server.try_cordon("start --for 1m").assert_status(2);
    script(&lab.server, "cut-everyone").run().assert_status(0);
    client.wait_end(SOON).assert_farewell();
}

#[test]
fn without_the_privilege_nothing_happens_and_sudo_is_named() {
    let lab = Lab::new(1);
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    let outcome = script(&lab.server, "cut-everyone").user("nobody").run();
    outcome.assert_status(77).assert_stderr_has("sudo cut-everyone");
    assert!(client.is_alive());
    assert_open(&lab.server);
}

#[test]
fn who_does_not_end_is_named_and_the_port_is_closed_all_the_same() {
    let lab = Lab::new(1);
    let stuck = stuck(&lab.server, &lab.clients[0]);
    let run = || script(&lab.server, "cut-everyone").env("PATIENCE", "4s").run();
    for again in [false, true] {
        let outcome = run();
        outcome.assert_status(3).assert_stderr_has("call it again");
        let pid = format!("backend {}", stuck.backend_pid());
        assert!(outcome.stdout.contains(&pid), "again: {again}: {outcome}");
        lab.clients[0].assert_blocked(&[lab.server.at_v4(5432)]);
    }
    lab.server.signal(stuck.backend_pid(), "CONT");
    run().assert_status(0);
}

#[test]
fn ctrl_c_opens_what_was_just_closed() {
    let lab = Lab::new(1);
    let _stuck = stuck(&lab.server, &lab.clients[0]);
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    let running = script(&lab.server, "cut-everyone").spawn();
    client.wait_end(SOON).assert_farewell();
    press_ctrl_c(&running);
    let outcome = running.wait(SOON);
    outcome.assert_status(130).assert_stderr_has("open again");
    assert_open(&lab.server);
}

#[test]
fn a_duration_without_a_unit_is_explained() {
    let lab = Lab::new(0);
    let outcome = script(&lab.server, "cut-everyone").args(["10"]).run();
    outcome.assert_status(2).assert_stderr_has("10m for minutes");
    outcome.assert_stderr_has("usage: cut-everyone [DURATION [PORT]]");
    assert_open(&lab.server);
}
