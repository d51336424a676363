//! Other firewall tools on the same host, reloaded and stopped during a window, with their
//! own commands.

use std::time::Instant;

use crate::lab::{Host, Lab, Reach, Running, SOON};

#[test]
fn debians_nftables_service_is_reloaded_and_stopped_without_opening_the_port() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let to = [server.at_v4(5432), server.at_v6(5432)];
    let unit = server.shell("cat /lib/systemd/system/nftables.service");
    let unit = unit.assert_status(0).stdout.clone();
    let command = |name: &str| {
        let of = |line: &str| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned());
        unit.lines().find_map(of).expect(name)
    };
    server.cordon("start --for 10m");
    for (times, name) in (1..).zip(["ExecStart", "ExecReload", "ExecStop"]) {
        server.shell(&command(name)).assert_status(0);
        server.wait_healed(times);
        client.assert_blocked(&to);
    }
    // With the service's own rules in place, loaded again.
    server.shell(&command("ExecReload")).assert_status(0);
    server.wait_healed(4);
    server.cordon("lift");
    assert!(server.ruleset().contains("table inet filter"));
    assert!(!server.ruleset().contains("pgcordon"));
    client.assert_reaches(&to);
}

#[test]
fn a_ruleset_that_was_saved_during_the_window_is_loaded_again() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon("start --for 10m --allow 192.0.2.0/24");
    let saved = "(echo flush ruleset; nft list ruleset) > /run/saved";
    server.shell(saved).assert_status(0);
    // While the guard is alive its twin is in the file, and nobody else may touch that: the
    // file is refused as a whole, and what is in force stays.
    let loaded = server.run(["nft", "-f", "/run/saved"]);
    loaded.assert_status(1).assert_stderr_has("Operation not permitted");
    assert_eq!(server.window()["healed"], 0);
    client.assert_blocked(&[server.at_v4(5432)]);
    // As after a reboot.
    server.kill_every_pgcordon();
    server.nft("flush ruleset");
    server.run(["nft", "-f", "/run/saved"]).assert_status(0);
    client.assert_blocked(&[server.at_v4(5432)]);
    server.assert_every_element_ends(5432);
    assert!(!server.ruleset().contains("_guard"), "the twin has gone with its loader");
    server.cordon("lift");
    client.assert_reaches(&[server.at_v4(5432)]);
}

/// firewalld with a D-Bus of its own, logs included; its zone lets PostgreSQL's port in.
fn start_firewalld(server: &Host) -> [Running; 2] {
    server.shell("mount -t tmpfs tmpfs /var/log; mkdir -p /run/dbus").assert_status(0);
    let bus = ["--system", "--nofork", "--nopidfile", "--nosyslog", "--print-address"];
    let bus = server.program("dbus-daemon").args(bus).spawn();
    bus.wait_for_stdout("unix:", SOON);
    let daemon = server.program("firewalld").args(["--nofork", "--nopid"]).limit(SOON * 12).spawn();
    let deadline = Instant::now() + SOON * 6;
    while server.shell("firewall-cmd --state || true").stdout.trim() != "running" {
        assert!(
            Instant::now() < deadline,
            "firewalld does not come up: {}",
            daemon.stderr_so_far()
        );
    }
    [bus, daemon]
}

#[test]
fn firewalld_is_reloaded_during_the_window_and_leaves_it_alone() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let to = [server.at_v4(5432), server.at_v6(5432)];
    let _daemons = start_firewalld(server);
    let command = |line: &str| {
        let outcome = server.shell(&format!("firewall-cmd {line}"));
        outcome.assert_status(0);
    };
    command("--add-port=5432/tcp");
    client.assert_reaches(&to);
    server.cordon("start --for 10m");
    for line in ["--reload", "--complete-reload", "--add-port=5432/tcp"] {
        command(line);
        client.assert_blocked(&to);
        let window = server.window();
        assert_eq!(window["healed"], 0, "firewalld touches its own tables: {window}");
    }
    server.cordon("lift");
    assert_eq!(client.reach(to[0], SOON), Reach::Connected);
}
