//! Promises that were broken once, each with what must be seen now.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::time::{Duration, Instant};

use lab::{Host, Lab, SOON, warns};
use serde_json::Value;

const START: &str = "start --for 10m --no-drain";

/// Waits until the element that blocks a port has gone.
fn wait_window_over(server: &Host) {
    let blocks = |(set, _): &(&str, Value)| *set == "window";
    let deadline = Instant::now() + SOON;
    while server.timed_elements(5432).iter().any(blocks) {
        assert!(Instant::now() < deadline, "the window goes on");
    }
}

#[test]
fn extend_removes_what_an_old_window_has_left_behind() {
    for line in ["extend --by 5m", "extend --by 5m --port 5432"] {
        let lab = Lab::bare(0);
        let server = &lab.server;
        server.cordon("start --for 1s --no-drain --no-guard");
        wait_window_over(server);
        server.try_cordon(line).assert_failure(4, "no-window");
        assert_eq!(server.ruleset(), "", "{line}");
    }
}

#[test]
fn a_table_that_the_kernel_protects_is_no_missing_privilege() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let owner = "{ echo 'add table inet pgcordon_5433 { flags owner; }'; \
                   echo 'list tables'; exec sleep 600; } | nft -i";
    let owner = server.program("bash").args(["-c", owner]).spawn();
    owner.wait_for_stdout("table inet pgcordon_5433", SOON);
    let outcome = server.try_cordon(&format!("{START} --port 5433"));
    outcome.assert_status(1);
    assert!(!outcome.stderr.contains("run it as root"), "{outcome}");
}

#[test]
fn connections_that_were_not_drained_go_on_in_a_longer_window_too() {
    let lab = Lab::new(1);
    let server = &lab.server;
    let session = lab.clients[0].connect(server.at_v4(5432));
    server.cordon("start --for 1s --no-drain --no-guard");
    server.cordon("extend --by 5m");
    std::thread::sleep(Duration::from_millis(1200));
    assert!(session.answers_within(Duration::from_secs(1)));
}

#[test]
fn an_open_gate_for_fragments_is_damage() {
    let lab = Lab::bare(0);
    lab.server.cordon(&format!("{START} --no-guard"));
    lab.server
        .nft("delete element inet pgcordon_5432 armed { ipv6 }");
    let report = lab.server.cordon("status");
    assert!(warns(&report, &["damaged"]), "{report}");
}

#[test]
fn shorten_means_nothing_beside_by() {
    let lab = Lab::bare(0);
    lab.server.cordon(START);
    let outcome = lab.server.try_cordon("extend --by 1m --shorten");
    outcome.assert_failure(2, "usage");
}

#[test]
fn extend_of_several_windows_changes_all_or_none() {
    for (second, line) in [
        (
            "start --for 23h --no-drain --port 5433",
            "extend --by 2h --all",
        ),
        ("lift --port 5433", "extend --by 2h --port 5432 --port 5433"),
    ] {
        let lab = Lab::bare(0);
        let server = &lab.server;
        server.cordon(START);
        server.cordon(second);
        let outcome = server.try_cordon(line);
        assert_ne!(outcome.status.code(), Some(0));
        let report = server.cordon("status --port 5432");
        let remaining = report["windows"][0]["remaining_s"].as_f64().unwrap();
        assert!(remaining < 700.0, "{remaining} s after {outcome}");
    }
}

#[test]
fn a_start_on_a_damaged_cordon_does_not_say_that_all_is_well() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let mut quiet = Vec::new();
    for line in [START, "extend --by 1m", "allow 10.0.0.1"] {
        server.cordon(START);
        server.nft("add table inet pgcordon_5432 { flags dormant; }");
        let outcome = server.try_cordon(line);
        let open = client.reach(server.at_v4(5432), Duration::from_millis(300));
        let told = outcome.status.code() != Some(0) || warns(&outcome.json(), &["damaged"]);
        if open == lab::Reach::Connected && !told {
            quiet.push(outcome.to_string());
        }
        server.cordon("lift");
    }
    assert!(quiet.is_empty(), "{quiet:#?}");
}

#[test]
fn a_long_pass_list_does_not_move_the_end_that_is_told() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let network = |n: u32| format!("{}/31\n", std::net::Ipv4Addr::from(0x1400_0000 + 4 * n));
    server.write("/run/pass", (0..50_000).map(network).collect::<String>());
    server.cordon(&format!("{START} --allow @/run/pass"));
    let long = lab::milliseconds(&server.window()["ends_at"]);
    server.cordon("allow --remove 20.0.0.0/8");
    let short = lab::milliseconds(&server.window()["ends_at"]);
    let apart = long.abs_diff(short);
    assert!(apart < 100, "the end of one window told {apart} ms apart");
}

#[test]
fn no_time_is_so_short_that_it_means_for_ever() {
    let lab = Lab::bare(0);
    let outcome = lab.server.try_cordon("start --for 10m --farewell 500us");
    outcome.assert_failure(2, "usage");
    for long in [
        "--for 9999999h --max 9999999h",
        "--for 1m --cancel-first 99999999999999999s",
    ] {
        let outcome = lab.server.try_cordon(&format!("start {long}"));
        outcome.assert_failure(2, "usage");
    }
    assert_eq!(lab.server.ruleset(), "");
}

#[test]
fn taking_an_address_off_the_list_cuts_nobody_else() {
    let lab = Lab::new(2);
    let (server, clients) = (&lab.server, &lab.clients);
    let at = server.at_v4(5432);
    let (one, two) = (clients[0].v4, clients[1].v4);
    // Without a drain everybody goes on, and only a warning tells of it.
    let undrained = clients[0].connect(at);
    server.cordon(&format!("{START} --allow {two}"));
    let report = server.cordon(&format!("allow --remove {two}"));
    assert!(warns(&report, &["--no-drain"]), "{report}");
    assert!(undrained.is_alive());
    server.cordon("lift");
    // With one, those who are on the list go on.
    server.cordon(&format!("start --for 10m --allow {one} --allow {two}"));
    let (stays, goes) = (clients[0].connect(at), clients[1].connect(at));
    server.cordon(&format!("allow --remove {two}"));
    goes.wait_end(SOON).assert_farewell();
    assert!(stays.is_alive());
}

#[test]
fn a_low_limit_of_open_files_spares_nobody() {
    let lab = Lab::new(1);
    let sessions = lab.clients[0].connect_many(lab.server.at_v4(5432), 80);
    let tool = lab.server.tool().under(["prlimit", "--nofile=64:64"]);
    let outcome = tool.args(["start", "--for", "10m", "-o", "json"]).run();
    assert!(matches!(outcome.status.code(), Some(0 | 3)), "{outcome}");
    for session in &sessions {
        assert!(session.wait_end(SOON).is_closed(), "{outcome}");
    }
}

#[test]
fn a_port_is_opened_although_run_cannot_be_written() {
    let lab = Lab::bare(0);
    lab.server.cordon(START);
    lab.server.shell("mount -o remount,ro /run");
    lab.server.cordon("lift");
    assert_eq!(lab.server.ruleset(), "");
}

#[test]
fn a_pass_list_is_a_regular_file_and_a_server_is_on_this_host() {
    let lab = Lab::bare(1);
    lab.server.shell("mkfifo /run/pipe");
    for file in ["/run/pipe", "/dev/zero", "/run"] {
        let line = format!("start --for 1m --allow @{file}");
        lab.server.try_cordon(&line).assert_failure(2, "pass-list");
    }
    lab.server.write("/run/pass", "*:*:*:*:secret");
    let host = lab.clients[0].v4;
    let line = format!("start --for 1m --pg-host {host} --pg-passfile /run/pass");
    lab.server.try_cordon(&line).assert_failure(2, "pg-host");
    assert_eq!(lab.server.ruleset(), "");
}

#[test]
fn a_chain_that_is_not_ours_is_damage() {
    let lab = Lab::bare(0);
    lab.server.cordon(&format!("{START} --no-guard"));
    lab.server
        .nft("add chain inet pgcordon_5432 extra { type filter hook input priority -400; }");
    let report = lab.server.cordon("status");
    assert!(warns(&report, &["damaged", "extra"]), "{report}");
}

#[test]
fn a_comment_of_the_far_future_hurts_nobody() {
    let lab = Lab::bare(0);
    lab.server.cordon(START);
    lab.server.nft(
        "delete element inet pgcordon_5432 window { 5432 }\n\
         add element inet pgcordon_5432 window { 5432 timeout 10m comment \"id=1 start=999999999999999999 by=x uid=0 healed=0\" }",
    );
    lab.server.cordon("status");
    lab.server.cordon("extend --by 1m");
}

#[test]
fn hold_never_lifts_the_window_of_another() {
    let lab = Lab::bare(0);
    let mut holds: Vec<_> = (0..4)
        .map(|_| lab.server.spawn_pgcordon(["hold", "--for", "5m"]))
        .collect();
    let deadline = Instant::now() + SOON;
    let mut running = holds.len();
    while running > 1 {
        assert!(Instant::now() < deadline, "{running} hold the port");
        running = holds
            .iter_mut()
            .map(|hold| usize::from(hold.is_running()))
            .sum();
    }
    assert_eq!(running, 1);
    lab.server.window();
}

/// Views of a server that names a client of another one as its synchronous standby.
const ACCOMPLICE: &str = "
    alter view pg_catalog.pg_stat_activity rename to real_activity;
    create view pg_catalog.pg_stat_activity as
        select datid, datname, 4711 as pid, leader_pid, usesysid, usename, application_name,
            'CLIENT'::inet as client_addr, client_hostname, PORT as client_port, backend_start,
            xact_start, query_start, state_change, wait_event_type, wait_event, state,
            backend_xid, backend_xmin, query_id, query, 'walsender'::text as backend_type
        from pg_catalog.real_activity where pid = pg_backend_pid();
    alter view pg_catalog.pg_stat_replication rename to real_replication;
    create view pg_catalog.pg_stat_replication as
        select 4711 as pid, 'x'::text as application_name, 'sync'::text as sync_state,
            'CLIENT'::inet as client_addr";

#[test]
fn no_server_lets_the_clients_of_another_one_through() {
    let lab = Lab::with(1, lab::Postgres::new().listen("203.0.113.1"));
    let liar = lab::Postgres::new()
        .name("liar")
        .listen("127.0.0.2")
        .socket_dir("/run/liar")
        .setting("allow_system_table_mods", "on")
        .setting("synchronous_standby_names", "x")
        .setting("synchronous_commit", "off");
    let liar = lab.server.start_postgres(liar);
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    let views = ACCOMPLICE
        .replace("CLIENT", &client.local().ip().to_string())
        .replace("PORT", &client.local().port().to_string());
    liar.psql(&views).assert_status(0);

    // It can lie about who is there, and so keep the drain from being proven; no more.
    let outcome = lab.server.try_cordon("start --for 10m --drain-timeout 2s");
    outcome.assert_status(3);
    let report = outcome.json();
    let pass = &report["windows"][0]["pass"];
    assert_eq!(*pass, serde_json::json!([]), "{report}");
    client.wait_end(SOON).assert_farewell();
    lab.server.cordon("lift");
}
