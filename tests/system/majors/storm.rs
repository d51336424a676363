//! A storm of clients that begin over TLS. On 12 and 13 a SIGTERM in that moment can crash
//! the whole server: none may be sent, whatever the version.

use crate::lab::{Cluster, Host, Lab, Postgres, SOON, TcpState, assert_complete};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often the port is closed and opened in the storm.
const ROUNDS: usize = 50;

/// A server that takes TLS and logs how each backend has ended.
fn server(major: u32) -> (Lab, Cluster) {
    let maker = Lab::bare(0);
    let [certificate, key] = certificate(&maker.server);
    let postgres = Postgres::new()
        .setting("ssl", "on")
        .setting("max_connections", 60)
        .setting("log_min_messages", "debug2")
        .setting("autovacuum", "off")
        .file("server.crt", certificate)
        .file("server.key", key);
    super::lab(major, 1, postgres)
}

/// A self-signed certificate and its key, made on this host.
fn certificate(host: &Host) -> [String; 2] {
    let script = "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
        -subj /CN=lab -keyout /run/key -out /run/certificate 2>/dev/null";
    host.shell(script).assert_status(0);
    let read = |path| host.run(["cat", path]).stdout;
    [read("/run/certificate"), read("/run/key")]
}

/// Backends that ended with status 1, which is said at `debug2`, without a word of their
/// own: a SIGTERM in the startup does that. Every other end with status 1 follows a FATAL.
fn ended_by_a_signal_in_startup(log: &str) -> BTreeSet<String> {
    let between = |line: &str, before: &str, after: &str| -> Option<String> {
        let rest = line.split_once(before)?.1;
        Some(rest.split_once(after)?.0.to_owned())
    };
    let mut silent = BTreeSet::new();
    let mut spoke = BTreeSet::new();
    for line in log.lines() {
        if line.contains(" FATAL: ") {
            spoke.extend(between(line, " [", "]"));
        }
        if line.ends_with(") exited with exit code 1") {
            silent.extend(between(line, "(PID ", ")"));
        }
    }
    silent.retain(|pid| !spoke.contains(pid));
    silent
}

fn established(host: &Host) -> usize {
    let sockets = host.remote_sockets(5432);
    sockets.get(&TcpState::Established).copied().unwrap_or(0)
}

fn storm(major: u32) {
    let (lab, cluster) = server(major);
    let local = cluster.connect_local();
    let vitals = cluster.vitals_by(&local);
    let (v4, v6) = (lab.server.v4.to_string(), lab.server.v6.to_string());
    // A pipe for its standard input that ends with the test.
    let _storm = lab.clients[0]
        .python_program("tls_storm.py")
        .args([&v4, &v6, "5432"])
        .limit(Duration::from_secs(3600))
        .under(["bash", "-c", "exec \"$@\" < <(exec sleep 3600)", "storm"])
        .spawn();
    let mut destroyed = 0;
    for _ in 0..ROUNDS {
        let deadline = Instant::now() + SOON;
        while established(&lab.server) < 4 {
            assert!(Instant::now() < deadline, "no storm");
        }
        let steady = lab.clients[0].connect(lab.server.at_v4(5432));
        let report = lab.server.cordon("start --for 10m");
        assert_complete(&report);
        steady.wait_end(SOON).assert_farewell();
        destroyed += report["drain"]["sockets"]["destroyed"].as_u64().unwrap();
        assert_eq!(established(&lab.server), 0, "{report}");
        cluster.assert_no_remote_row(&local);
        lab.server.cordon("lift");
    }
    assert!(destroyed > 0, "no client was met in its startup");
    assert_eq!(cluster.vitals_by(&local), vitals);
    let log = cluster.log();
    for word in ["terminated by signal", "reinitializing", "PANIC"] {
        assert!(!log.contains(word), "{word}");
    }
    assert!(log.contains(") exited with exit code 1"), "the log is deaf");
    assert_eq!(ended_by_a_signal_in_startup(&log), BTreeSet::new());
    println!("PostgreSQL {major}: {ROUNDS} rounds, {destroyed} destroyed");
}

#[test]
fn postgres_12_in_a_storm_of_tls_clients() {
    storm(12);
}

#[test]
fn postgres_13_in_a_storm_of_tls_clients() {
    storm(13);
}

#[test]
fn postgres_18_in_a_storm_of_tls_clients() {
    storm(18);
}

#[test]
fn a_signal_in_the_startup_would_be_seen() {
    for major in [13, 18] {
        let (lab, cluster) = server(major);
        let before = lab.server.pids_of("postgres");
        let silent = lab.clients[0].silent(lab.server.at_v4(5432));
        let deadline = Instant::now() + SOON;
        let backend = loop {
            let mut now = lab.server.pids_of("postgres");
            now.retain(|pid| !before.contains(pid));
            if let Some(backend) = now.pop() {
                break backend.to_string();
            }
            assert!(Instant::now() < deadline, "no backend for a silent client");
        };
        lab.server.signal(backend.parse().unwrap(), "TERM");
        assert!(silent.wait_end(SOON).is_closed());
        while ended_by_a_signal_in_startup(&cluster.log()) != BTreeSet::from([backend.clone()]) {
            assert!(Instant::now() < deadline, "not seen on {major}");
        }
    }
}
