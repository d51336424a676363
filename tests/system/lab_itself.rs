//! The laboratory's own tests: what the other tests rely on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::{Call, Close, FIT, Lab, Login, Order, Postgres, Reach, SOON, TcpState};
use nix::libc;
use nix::sys::signal::Signal;

#[test]
fn sessions_over_both_families_see_postgresqls_farewell() {
    let lab = Lab::new(2);
    let (first, second) = (&lab.clients[0], &lab.clients[1]);
    let mut sessions = first.connect_many(lab.server.at_v4(5432), 10);
    sessions.extend(second.connect_many(lab.server.at_v6(5432), 10));
    assert!(sessions.iter().all(|session| session.is_alive()));

    assert_eq!(first.sockets(5432)[&TcpState::Established], 10);
    assert_eq!(second.sockets(5432)[&TcpState::Established], 10);
    assert_eq!(lab.server.remote_sockets(5432)[&TcpState::Established], 20);

    let terminated = lab.cluster().psql(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity \
         where client_addr is not null",
    );
    assert_eq!(terminated.assert_status(0).stdout.trim(), "20");

    for session in &sessions {
        session.wait_end(SOON).assert_farewell();
    }
    // The clients' last ACKs are on their way when the FINs are seen.
    let deadline = Instant::now() + SOON;
    let left = loop {
        let left: Vec<_> = lab.server.remote_sockets(5432).into_iter().collect();
        if left == [(TcpState::TimeWait, 20)] || Instant::now() > deadline {
            break left;
        }
    };
    assert_eq!(left, [(TcpState::TimeWait, 20)]);
    assert!(first.sockets(5432).is_empty());
}

#[test]
fn a_thousand_sessions_are_held_and_answer() {
    let lab = Lab::with(2, Postgres::new().setting("max_connections", 1100));
    let mut sessions = lab.clients[0].connect_many(lab.server.at_v4(5432), 500);
    sessions.extend(lab.clients[1].connect_many(lab.server.at_v6(5432), 500));
    assert!(sessions.iter().all(|session| session.is_alive()));
    assert_eq!(lab.server.remote_sockets(5432)[&TcpState::Established], 1000);
}

#[test]
fn endings_are_told_apart() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let address = server.at_v4(5432);
    let destroyed = client.connect(address);
    let silent = client.silent(address);
    let deaf = client.connect(address);
    deaf.stop_reading();
    let open = client.connect(address);

    let port = destroyed.local().port();
    server.run(["ss", "-K", &format!("dport = :{port}")]).assert_status(0);
    let ending = destroyed.wait_end(SOON);
    assert_eq!((ending.close, ending.sqlstate), (Close::Rst, None));

    let port = silent.local().port();
    server.run(["ss", "-K", &format!("dport = :{port}")]).assert_status(0);
    assert_eq!(silent.wait_end(SOON).close, Close::Rst);

    let kill = format!("select pg_terminate_backend({}, 5000)", deaf.backend_pid());
    assert_eq!(lab.cluster().value(&kill), "t");
    assert_eq!(deaf.ending().close, Close::StillOpen);
    let states = client.sockets(5432);
    assert_eq!(states[&TcpState::CloseWait], 1, "{states:?}");
    deaf.read_again();
    deaf.wait_end(SOON).assert_farewell();

    assert_eq!(open.wait_end(Duration::ZERO).close, Close::StillOpen);
    let failure = open.try_query("select 1/0").unwrap_err();
    assert_eq!(failure.sqlstate, "22012");
    open.send_query("select pg_sleep(600)");
    lab.cluster().wait_state(open.backend_pid(), "active");
    client.silent(address).send_raw(&open.cancel_request()).unwrap();
    assert_eq!(open.wait_answer(SOON).unwrap_err().sqlstate, "57014");
    assert!(open.is_alive());
}

#[test]
fn local_sessions_come_in_every_way() {
    let lab = Lab::new(0);
    let sessions = lab.cluster().connect_every_local_way();
    assert_eq!(sessions.len(), 5);
    for (way, session) in &sessions {
        assert!(session.is_alive(), "{way}");
    }
    let sql = "select count(*) from pg_stat_activity where client_addr = '203.0.113.1'";
    assert_eq!(lab.cluster().value(sql), "1");
    assert!(!lab.server.remote_sockets(5432).contains_key(&TcpState::Established));
}

#[test]
fn a_login_has_the_role_application_and_port_it_asks_for() {
    let lab = Lab::new(1);
    lab.cluster().query("create role alice login");
    let client = &lab.clients[0];
    let login = Login::to(lab.server.at_v4(5432)).role("alice").application("shop");
    let session = client.login(&login.from(client.at_v4(43_000)));
    let mut rows = session.query(
        "select usename, application_name, client_addr, client_port \
         from pg_stat_activity where pid = pg_backend_pid()",
    );
    let row: Vec<_> = rows.remove(0).into_iter().flatten().collect();
    assert_eq!(row, ["alice", "shop", "203.0.113.11", "43000"]);
}

#[test]
fn two_clusters_share_a_port_at_different_addresses() {
    let lab = Lab::with(1, Postgres::new().listen("203.0.113.1"));
    let second = Postgres::new().name("second").listen("2001:db8:53::1").socket_dir("/run/second");
    let second = lab.server.start_postgres(second);
    let sql = "select current_setting('data_directory')";
    let over_v4 = lab.clients[0].connect(lab.server.at_v4(5432)).value(sql);
    let over_v6 = lab.clients[0].connect(lab.server.at_v6(5432)).value(sql);
    assert_eq!(over_v4, lab.cluster().data.to_string_lossy());
    assert_eq!(over_v6, second.data.to_string_lossy());

    second.stop();
    second.start();
    assert_eq!(second.value("select 1"), "1");
}

#[test]
fn a_firewall_of_one_host_is_seen_by_its_clients_alone() {
    let lab = Lab::new(1);
    let other = Lab::new(1);
    let client = &lab.clients[0];
    let short = Duration::from_millis(300);
    assert_eq!(client.reach(lab.server.at_v4(5432), SOON), Reach::Connected);
    assert_eq!(client.reach(lab.server.at_v6(5433), SOON), Reach::Refused);

    assert_eq!(lab.server.ruleset(), "");
    lab.server.nft(
        "table inet t { set s { type inet_service; elements = { 5432 }; }; chain c { \
         type filter hook prerouting priority 0; iif lo accept; tcp dport @s drop; }; }",
    );
    assert_eq!(lab.server.set_elements("t", "s"), [5432]);
    assert_eq!(client.reach(lab.server.at_v4(5432), short), Reach::Silence);
    assert!(lab.cluster().connect_local().is_alive());

    assert_eq!(other.server.ruleset(), "");
    let from_other = other.clients[0].reach(other.server.at_v4(5432), SOON);
    assert_eq!(from_other, Reach::Connected);
    let lock = "/run/only-here";
    lab.server.write(lock, "");
    assert!(!other.server.inside(|| fs::exists(lock).unwrap()));
}

#[test]
fn where_a_lab_cannot_run_one_sentence_says_why() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    // A root directory of its own, in which all programs are.
    server
        .shell(
            "mkdir -p /run/root/usr /run/root/proc; mount --bind /usr /run/root/usr
             mount --rbind /proc /run/root/proc
             for link in bin sbin lib lib64; do ln -s usr/$link /run/root/$link; done",
        )
        .assert_status(0);
    let ask = || server.program("bash").args(["-s"]).input(FIT);
    ask().run().assert_status(0);
    for (asked, why) in [
        (ask().user("nobody"), "needs root"),
        (ask().without(&["sys_admin"]), "namespaces cannot be made"),
        (ask().under(["chroot", "/run/root"]), "it is a chroot"),
        (ask().without(&["net_admin"]), "nft cannot use nf_tables"),
    ] {
        let outcome = asked.run();
        outcome.assert_status(1).assert_stderr_has(why);
        let sentence = "the laboratory cannot run here: ";
        assert!(outcome.stderr.starts_with(sentence), "{outcome}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
    }
}

#[test]
fn a_handle_is_the_program_itself() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let shell = server.program("bash").args(["-c", "echo up; kill -STOP $$"]).spawn();
    shell.wait_for_stdout("up", SOON);
    let name = fs::read_to_string(format!("/proc/{}/comm", shell.pid())).unwrap();
    assert_eq!(name.trim(), "bash");
    assert_eq!(server.pids_of("bash").len(), 1);
    shell.signal(Signal::SIGKILL);
    shell.wait(SOON).assert_killed_by(9);

    let without = server.program("nft").args(["list", "ruleset"]).without(&["net_admin"]);
    assert_ne!(without.run().status.code(), Some(0));
    let stripped = server.program("id").args(["-un"]).user("nobody").without(&["net_admin"]);
    assert_eq!(stripped.run().assert_status(0).stdout.trim(), "nobody");
    let nobody = server.program("id").args(["-un"]).user("nobody").run();
    assert_eq!(nobody.stdout.trim(), "nobody");
    let stranger = server.tool_as("nobody").args(["--version"]).run();
    stranger.assert_status(0);
}

#[test]
fn an_orphan_belongs_to_the_first_process_which_reaps_it() {
    let lab = Lab::bare(0);
    let outcome = lab.server.shell("setsid sleep 600 >/dev/null 2>&1 & echo $!");
    let orphan: i32 = outcome.assert_status(0).stdout.trim().parse().unwrap();
    assert!(lab.server.is_process(orphan));
    lab.server.signal(orphan, "KILL");
    let place = format!("/proc/{orphan}");
    let deadline = Instant::now() + SOON;
    while lab.server.inside(|| fs::exists(&place).unwrap()) {
        assert!(Instant::now() < deadline, "a dead process is left");
    }
}

#[test]
fn a_program_that_outlives_its_lab_does_not_hang_it() {
    let lab = Lab::bare(0);
    let running = lab.server.program("sleep").args(["600"]).spawn();
    drop(lab);
    drop(running);
}

#[test]
fn packets_of_every_shape_reach_the_server() {
    let lab = Lab::new(1);
    let client = &lab.clients[0];
    for (shape, server) in [
        ("whole", lab.server.at_v4(5432)),
        ("whole", lab.server.at_v6(5432)),
        ("tiny", lab.server.at_v4(5432)),
        ("hidden", lab.server.at_v6(5432)),
    ] {
        let own = client.addresses()[usize::from(server.is_ipv6())].to_string();
        let outcome = client.python("syn.py", &[shape, &own, &server.ip().to_string(), "5432"]);
        assert_eq!(outcome.assert_status(0).stdout.trim(), "syn-ack", "{shape} to {server}");
    }
}

#[test]
fn a_traced_program_meets_the_kernel_as_it_is_told() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let makes = |call: &Call| call.number == libc::SYS_mkdir;
    let mkdir = |path: &str| server.program("mkdir").args([path]);

    let (outcome, calls) = mkdir("/run/made").run_traced(|_| Order::GoOn);
    outcome.assert_status(0);
    assert!(calls > 20, "a program makes more than {calls} calls");
    // The number of a call is the same in each run, and nothing beyond it happens.
    let mut number = None;
    mkdir("/run/seen").run_traced(|call| {
        number = number.or(makes(call).then_some(call.count));
        Order::GoOn
    });
    let number = number.unwrap();
    for (name, after) in [("before", false), ("after", true)] {
        let (outcome, calls) = mkdir(&format!("/run/{name}")).run_traced(|call| {
            let here = call.count == number && call.result.is_some() == after;
            if here { Order::Kill } else { Order::GoOn }
        });
        outcome.assert_killed_by(9);
        assert_eq!(calls, number + 1);
    }
    let refused = i64::from(libc::EDQUOT);
    let (outcome, _) = mkdir("/run/skipped").run_traced(|call| match call.result {
        None if makes(call) => Order::Skip(-refused),
        _ => Order::GoOn,
    });
    outcome.assert_status(1).assert_stderr_has("quota");
    let (outcome, _) = mkdir("/run/told").run_traced(|call| match call.result {
        Some(_) if makes(call) => Order::Tell(-refused),
        _ => Order::GoOn,
    });
    outcome.assert_status(1).assert_stderr_has("quota");
    let made = server.run(["ls", "/run"]).stdout;
    let made: Vec<_> = made.lines().filter(|name| *name != "lab").collect();
    assert_eq!(made, ["after", "made", "seen", "told"]);
}

#[test]
fn a_process_that_runs_already_is_traced_too() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    let script = "while sleep 0.01; do :; done </dev/null >/dev/null 2>&1 & echo $!";
    let pid = server.shell(script).stdout;
    let pid: i32 = pid.trim().parse().unwrap();
    let calls = server.trace(pid, SOON, |call| match call.count {
        30 => Order::Kill,
        _ => Order::GoOn,
    });
    assert_eq!(calls, 31);
    server.wait_gone(pid, SOON);
}

/// The namespaces of a process; None when it is gone.
fn namespaces(pid: &str) -> Option<[u64; 3]> {
    let inode = |kind: &str| Some(fs::metadata(format!("/proc/{pid}/ns/{kind}")).ok()?.ino());
    Some([inode("pid")?, inode("net")?, inode("mnt")?])
}

/// How many processes are in one of these namespaces.
fn inhabitants(of: &[u64; 3]) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| namespaces(&entry.file_name().to_string_lossy()))
        .filter(|own| own.iter().any(|namespace| of.contains(namespace)))
        .count()
}

/// This test starts itself again; the second one holds a lab until it is killed.
#[test]
fn a_killed_test_leaves_nothing_behind() {
    if std::env::var_os("LAB_VICTIM").is_some() {
        let lab = Lab::new(1);
        let _session = lab.clients[0].connect(lab.server.at_v4(5432));
        let _sleep = lab.clients[0].program("sleep").args(["600"]).spawn();
        println!("\nvictim {}", lab.first_pid());
        std::thread::sleep(Duration::from_secs(600));
        return;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lab_itself::a_killed_test_leaves_nothing_behind", "--nocapture"])
        .env("LAB_VICTIM", "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let first = lines
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix("victim ")?.to_owned()))
        .expect("the victim's lab");
    let held = namespaces(&first).unwrap();
    assert!(inhabitants(&held) > 5, "PostgreSQL and the program are in them");

    victim.kill().unwrap();
    victim.wait().unwrap();
    let deadline = Instant::now() + SOON;
    while inhabitants(&held) > 0 {
        assert!(Instant::now() < deadline, "processes are left in {held:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(" - tmpfs lab "), "a lab's mount is left");
}
