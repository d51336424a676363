//! The guard: how it stands beside a window, and that it heals nothing that was asked for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::lab::{
    GLIMPSE, Host, Lab, Order, Reach, SOON, assert_same_end, milliseconds, only_window,
};
use nix::libc;

/// The guard of the host's only window, by its pid in the lab. One that was told nothing may
/// still be about to end.
#[track_caller]
fn guard(server: &Host) -> i32 {
    let deadline = Instant::now() + SOON;
    let pid = loop {
        let pids = server.pids_of("pgcordon-guard");
        match pids[..] {
            [pid] => break pid,
            _ => assert!(Instant::now() < deadline, "one guard expected: {pids:?}"),
        }
    };
    assert_eq!(server.window()["guard_pid"], pid);
    pid
}

/// `/proc/PID/status` by field.
fn status(server: &Host, pid: i32) -> HashMap<String, String> {
    let text = server.shell(&format!("cat /proc/{pid}/status")).stdout;
    let pair = |line: &str| {
        let (field, value) = line.split_once(':')?;
        Some((field.to_owned(), value.trim().to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

#[test]
fn a_guard_is_detached_and_has_no_rights_but_one() {
    let lab = Lab::new(1);
    let server = &lab.server;
    // With a descriptor too many, and with pipes: this returns only when nobody holds them.
    let started = server.shell(&format!(
        "exec 7</etc/passwd; {} start --for 10m; echo its session is $(ps -o sid= -p $$)",
        env!("CARGO_BIN_EXE_pgcordon")
    ));
    let started = started.assert_status(0).stdout.clone();
    let pid = guard(server);

    let status = status(server, pid);
    let net_admin = format!("{:016x}", 1_u64 << 12);
    assert_eq!(status["CapEff"], net_admin);
    assert_eq!(status["CapBnd"], "0000000000000000");
    assert_eq!(status["CapInh"], "0000000000000000");
    assert_eq!(status["CapAmb"], "0000000000000000");
    assert_eq!(status["NoNewPrivs"], "1");
    assert_eq!(status["Threads"], "1");

    let ps = server.run(["ps", "-o", "sid=,pgid=,tty=,comm=,args=", "-p", &pid.to_string()]);
    let words: Vec<&str> = ps.stdout.split_whitespace().collect();
    let own = pid.to_string();
    assert_eq!(words[..2], [&own, &own], "its own session: {}", ps.stdout);
    assert!(!started.contains(&format!("session is {own}")), "{started}");
    assert_eq!(words[2..], ["?", "pgcordon-guard", "pgcordon-guard", "5432", "outside"]);

    let open = server.shell(&format!("readlink /proc/{pid}/fd/* /proc/{pid}/cwd"));
    for target in open.assert_status(0).stdout.lines() {
        let its_own = target.starts_with("socket:[") || target.starts_with("/run/pgcordon/");
        assert!(its_own || ["/dev/null", "/"].contains(&target), "{}", open.stdout);
    }

    // Nothing happens, and it does nothing.
    let woken = || -> u64 {
        let status = self::status(server, pid);
        let of = |kind: &str| status[kind].parse::<u64>().unwrap();
        of("voluntary_ctxt_switches")
    };
    let mut before = 0;
    // Its first steps are not yet nothing.
    while before != woken() {
        before = woken();
        std::thread::sleep(GLIMPSE);
    }
    // A client that knocks and is dropped is nothing to it, nor is who reads the ruleset.
    lab.clients[0].assert_blocked(&[server.at_v4(5432); 8]);
    server.ruleset();
    assert_eq!(woken(), before, "it was woken while nothing happened");
}

#[test]
fn the_guard_removes_the_table_when_the_window_is_over() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon("start --for 5s");
    let pid = guard(server);
    server.wait_gone(pid, SOON);
    assert_eq!(server.ruleset(), "");
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
}

#[test]
fn a_stopped_guard_does_not_close_the_port_again_after_a_lift() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let to = [server.at_v4(5432), server.at_v6(5432)];
    for flushed in [false, true] {
        server.cordon("start --for 10m");
        let pid = guard(server);
        server.signal(pid, "STOP");
        if flushed {
            // It is about to heal when it goes on.
            server.nft("flush ruleset");
        }
        let lifted = server.cordon("lift --port 5432");
        assert_eq!(server.ruleset(), "", "flushed: {flushed}, {lifted}");
        assert_eq!(lifted["changed"], true, "flushed: {flushed}, {lifted}");
        assert_eq!(lifted["result"], "lifted", "flushed: {flushed}, {lifted}");
        server.signal(pid, "CONT");
        server.wait_gone(pid, SOON);
        assert_eq!(server.ruleset(), "");
        client.assert_reaches(&to);
        assert_eq!(server.cordon("status")["windows"], serde_json::json!([]));
    }
}

#[test]
fn a_window_is_extended_although_its_guard_is_stopped() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon("start --for 10m --no-drain");
    let old = guard(server);
    server.signal(old, "STOP");
    let extended = only_window(&server.cordon("extend --for 20m"));
    server.wait_gone(old, SOON);
    assert_ne!(guard(server), old);
    // The new guard keeps the new end.
    server.nft("flush ruleset");
    let healed = server.wait_healed(1);
    assert_same_end(&healed["ends_at"], &extended["ends_at"]);
}

#[test]
fn what_was_allowed_and_drained_later_is_kept_by_the_guard() {
    let lab = Lab::new(2);
    let (server, admitted) = (&lab.server, &lab.clients[1]);
    server.cordon("start --for 10m");
    server.cordon("allow 203.0.113.12");
    server.cordon("drain");
    server.nft("flush ruleset");
    assert_eq!(server.wait_healed(1)["pass"], serde_json::json!(["203.0.113.12/32"]));
    admitted.assert_reaches(&[server.at_v4(5432)]);
    lab.clients[0].assert_blocked(&[server.at_v4(5432)]);
}

#[test]
fn a_guard_that_is_killed_leaves_the_kernels_timer_and_is_told() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon("start --for 5m");
    server.kill_every_pgcordon();
    let window = server.window();
    assert!(window["guard_pid"].is_null(), "{window}");
    server.pgcordon(["status"]).assert_stdout_has("guard    none");
    client.assert_blocked(&[server.at_v4(5432)]);
    // Whoever changes the cordon brings a new one.
    server.cordon("extend --for 10m");
    guard(server);
    server.kill_every_pgcordon();
    server.cordon("extend --for 1s --shorten");
    server.kill_every_pgcordon();
    let deadline = Instant::now() + SOON;
    while client.reach(server.at_v4(5432), Duration::from_millis(100)) == Reach::Silence {
        assert!(Instant::now() < deadline, "the port stays closed");
    }
}

#[test]
fn no_guard_is_left_where_none_is_wanted() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let window = only_window(&server.cordon("start --for 10m --no-drain --no-guard"));
    assert!(window["guard_pid"].is_null());
    server.cordon("extend --by 5m");
    server.cordon("allow 203.0.113.12");
    assert!(server.pids_of_pgcordon().is_empty());
    server.nft("flush ruleset");
    assert_eq!(server.cordon("status")["windows"], serde_json::json!([]));
}

#[test]
fn each_port_has_a_guard_of_its_own_and_two_networks_do_not_meet() {
    let lab = Lab::bare(1);
    let (server, other) = (&lab.server, &lab.clients[0]);
    server.cordon("start --for 10m --no-drain --port 5432 --port 5433");
    other.cordon("start --for 10m --no-drain");
    assert_eq!(server.pids_of("pgcordon-guard").len(), 2);
    assert_eq!(other.pids_of("pgcordon-guard").len(), 1);
    server.cordon("lift --port 5433");
    assert_eq!(server.window()["guard_pid"], guard(server));
    server.cordon("lift");
    assert!(server.pids_of("pgcordon-guard").is_empty());
    guard(other);
}

#[test]
fn a_guard_is_not_started_by_hand() {
    let lab = Lab::bare(0);
    let tool = env!("CARGO_BIN_EXE_pgcordon");
    let script = format!("exec -a pgcordon-guard {tool} 5432 </dev/null");
    let outcome = lab.server.shell(&script);
    outcome.assert_status(1).assert_stderr_has("started by pgcordon start");
}

#[test]
fn the_guard_keeps_the_ramp_too_and_removes_the_table_after_it() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon("start --for 3s --ramp 10s --ramp-rate 20/s");
    let pid = guard(server);
    server.wait_for_ramp();
    server.nft("flush ruleset");
    let healed = server.wait_healed(1);
    assert_eq!(healed["phase"], "ramp", "{healed}");
    assert_eq!(healed["ramp"], serde_json::json!({"for_s": 10.0, "per_s": 20}));
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
    server.wait_gone(pid, SOON * 2);
    assert_eq!(server.ruleset(), "");
}

#[test]
fn a_window_that_is_lifted_into_its_ramp_has_a_guard_until_the_end() {
    let lab = Lab::bare(1);
    let server = &lab.server;
    server.cordon("start --for 10m --no-drain");
    server.cordon("lift --ramp 6s");
    let pid = guard(server);
    assert_eq!(server.window()["phase"], "ramp");
    lab.clients[0].reach(server.at_v4(5432), SOON);
    server.wait_gone(pid, SOON * 2);
    assert_eq!(server.ruleset(), "");
}

#[test]
fn a_port_is_opened_by_hand_as_the_help_says() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon("start --for 10m --no-drain");
    let help = server.pgcordon(["--help"]).stdout;
    let line = help.lines().find(|line| line.contains("pkill")).unwrap();
    server.shell(&line.replace("PORT", "5432")).assert_status(0);
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
    assert_eq!(server.ruleset(), "");
}

#[test]
fn a_window_that_could_not_be_lifted_into_its_ramp_is_guarded_as_before() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon("start --for 10m --no-drain");
    let old = guard(server);
    let has_failed = AtomicBool::new(false);
    let (outcome, _) =
        server.tool().args(["lift", "--ramp", "30s", "-o", "json"]).run_traced(|call| {
            // The transaction goes as one message; the kernel has no room for it.
            let is_transaction = call.result.is_none() && call.number == libc::SYS_sendmsg;
            match is_transaction && !has_failed.swap(true, Ordering::Relaxed) {
                true => Order::Skip(-i64::from(libc::ENOBUFS)),
                false => Order::GoOn,
            }
        });
    outcome.assert_failure(1, "netlink");
    server.wait_gone(old, SOON);
    assert_eq!(server.window()["phase"], "closed");
    guard(server);
    server.nft("flush ruleset");
    server.wait_healed(1);
}

#[test]
fn a_guard_that_is_not_to_be_seen_from_here_is_no_missing_guard() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon("start --for 10m --no-drain");
    let tool = env!("CARGO_BIN_EXE_pgcordon");
    let elsewhere = format!("unshare -p -f --mount-proc {tool} lift -o json");
    let message = server.shell(&elsewhere).assert_failure(1, "guard");
    assert!(message.contains("PID namespace"), "{message}");
    client.assert_blocked(&[server.at_v4(5432)]);
    guard(server);
    server.cordon("lift");
    assert_eq!(server.ruleset(), "");
}

#[test]
fn nobody_can_pose_as_a_guard() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let raised = only_window(&server.cordon("start --for 10m --no-drain"));
    let start = milliseconds(&raised["started_at"]);
    server.kill_every_pgcordon();
    // What anybody may call himself; the window names this process, too.
    let pose = "setpriv --reuid 65534 --clear-groups \
                bash -c 'exec -a pgcordon-guard sleep 600' 5432 </dev/null >/dev/null 2>&1 & \
                rm /run/pgcordon/*.guard; echo $!";
    let pid = server.shell(pose).assert_status(0).stdout.trim().to_owned();
    let named = format!("id=1 start={start} by=x uid=0 healed=0 guard={pid}");
    server.nft(&format!(
        "flush set inet pgcordon_5432 window\n\
         add element inet pgcordon_5432 window {{ 5432 timeout 9m comment \"{named}\" }}"
    ));
    assert!(server.window()["guard_pid"].is_null());
    server.cordon("extend --by 5m");
    guard(server);
}
