//! Two hundred clients come back after a window with a ramp: at its rate, as the kernel counts
//! them, and then all.

use std::thread;
use std::time::{Duration, Instant};

use crate::lab::{
    Host, Lab, Login, Postgres, SOON, Session, assert_complete, milliseconds, only_window,
};
use serde_json::json;

/// How many connections a second the crowd of the story is let in with.
const RATE: u32 = 6;

/// How many clients it has.
const CROWD: usize = 200;

/// The crowd comes back from two hosts over IPv4 and IPv6, a quarter each way.
fn come_back(lab: &Lab) -> Vec<Session> {
    let ways = lab.clients.iter().flat_map(|client| {
        let addresses = [lab.server.at_v4(5432), lab.server.at_v6(5432)];
        addresses.map(|to| (client, Login::to(to)))
    });
    thread::scope(|scope| {
        let ways: Vec<_> = ways
            .map(|(client, login)| {
                scope.spawn(move || client.come_back(&login, CROWD / 4, SOON * 12))
            })
            .collect();
        let crowds = ways.into_iter().map(|crowd| crowd.join().unwrap());
        crowds.flatten().collect()
    })
}

/// How many backends of remote clients PostgreSQL has begun in each second after a time, or up to
/// 10 ms earlier: the kernel ends a window with one of its ticks.
fn new_backends(lab: &Lab, since: u128) -> Vec<u64> {
    let since = since - 10;
    let sql = format!(
        "select count(b.pid) from generate_series(0, 600) second left join pg_stat_activity b on \
         client_addr is not null and \
         floor(extract(epoch from backend_start) - {since} / 1000.0) = second \
         group by second order by second"
    );
    let rows = lab.cluster().query(&sql);
    let count = |row: &Vec<Option<String>>| row[0].as_ref().unwrap().parse().unwrap();
    let mut seconds: Vec<u64> = rows.iter().map(count).collect();
    let last = seconds.iter().rposition(|count| *count > 0).unwrap();
    seconds.truncate(last + 1);
    seconds
}

#[test]
fn two_hundred_clients_come_back_at_the_rate_and_then_all() {
    let lab = Lab::with(2, Postgres::new().setting("max_connections", CROWD + 20));
    let server = &lab.server;
    server.count_let_in(5432);
    let connect = |client: &Host| client.connect_many(server.at_v4(5432), CROWD / 2);
    let before: Vec<Session> = lab.clients.iter().flat_map(connect).collect();
    let report =
        server.cordon(&format!("start --for 10s --no-guard --ramp 20s --ramp-rate {RATE}/s"));
    assert_complete(&report);
    drop(before);
    let window_ends = milliseconds(&only_window(&report)["ends_at"]);
    let earlier = server.let_in();

    let (steady, sessions) = thread::scope(|scope| {
        let crowd = scope.spawn(|| come_back(&lab));
        server.wait_for_ramp();
        // The bucket is full at the beginning: what it holds is let in at once.
        let deadline = Instant::now() + SOON;
        while server.let_in() - earlier < u64::from(RATE) {
            assert!(Instant::now() < deadline, "nobody is let in");
        }
        let (first, from) = (server.let_in(), Instant::now());
        thread::sleep(Duration::from_secs(6));
        let (last, took) = (server.let_in(), from.elapsed().as_secs_f64());
        let window = server.window();
        assert_eq!(window["phase"], "ramp", "the machine is too slow: {window}");
        let waiting = CROWD as u64 + earlier - last;
        assert!(waiting > 20, "too few are left to want in: {waiting}");
        (((last - first) as f64, took), crowd.join().unwrap())
    });
    let (count, took) = steady;
    println!("let in by the kernel at {RATE}/s: {count} in {took:.2} s");
    // The bucket was empty, and each client tries twice a second: a second's worth of it is
    // what a machine that stands still for a while may be off.
    let (rate, second) = (f64::from(RATE) * took, f64::from(RATE));
    assert!((rate - second..rate + second).contains(&count), "{count} in {took} s");
    assert_eq!(sessions.len(), CROWD);
    assert!(sessions.iter().all(Session::is_alive));
    let with_ramp = new_backends(&lab, window_ends);
    println!("new backends in each second with the ramp: {with_ramp:?}");
    assert_eq!(with_ramp.iter().sum::<u64>(), CROWD as u64);

    // While the ramp lasted no more came than it lets in, and the others came after it.
    let in_ramp: u64 = with_ramp.iter().take(20).sum();
    assert!(in_ramp <= u64::from(RATE) * 21, "{with_ramp:?}");
    assert_eq!(server.cordon("status")["windows"], json!([]));
    let report = server.cordon("start --for 10s --no-guard");
    assert_complete(&report);
    drop(sessions);
    let window_ends = milliseconds(&only_window(&report)["ends_at"]);
    let sessions = come_back(&lab);
    let without_ramp = new_backends(&lab, window_ends);
    println!("new backends in each second without a ramp: {without_ramp:?}");
    assert_eq!(without_ramp.iter().sum::<u64>(), CROWD as u64);
    drop(sessions);
}
