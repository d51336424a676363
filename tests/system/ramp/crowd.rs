//! Two hundred clients come back after a window with a ramp: at its rate, as the kernel counts
//! them, and then all.

use std::thread;
use std::time::{Duration, Instant};

use crate::lab::{Host, Lab, Login, Postgres, SOON, Session, milliseconds, only_window};
use serde_json::json;

/// How many connections a second the crowd of the story is let in with.
const RATE: u32 = 15;

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

/// How many first packets of connections the kernel has let through.
fn let_in(server: &Host) -> u64 {
    let objects = server.nft_json();
    let rule = objects.iter().map(|object| &object["rule"]);
    let mut ours = rule.filter(|rule| rule["table"] == "arrivals");
    let counter = ours.next().unwrap()["expr"].as_array().unwrap();
    let counter = counter.iter().find_map(|expr| expr.get("counter"));
    counter.unwrap()["packets"].as_u64().unwrap()
}

/// How many backends of remote clients PostgreSQL has begun in each second after a time.
fn new_backends(lab: &Lab, since: u128) -> Vec<u64> {
    let sql = format!(
        "select count(b.pid) from generate_series(0, 60) second left join pg_stat_activity b on \
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
    // Behind the cordon, and before everything else: what is counted was let through.
    server.nft(
        "table inet arrivals { chain first { type filter hook prerouting priority -300; \
         iif != lo tcp dport 5432 tcp flags & (syn | ack) == syn counter; }; }",
    );
    let connect = |client: &Host| client.connect_many(server.at_v4(5432), CROWD / 2);
    let before: Vec<Session> = lab.clients.iter().flat_map(connect).collect();
    let report = server.cordon(&format!(
        "start --for 4s --no-guard --ramp 8s --ramp-rate {RATE}/s"
    ));
    crate::lab::assert_complete(&report);
    drop(before);
    let window_ends = milliseconds(&only_window(&report)["ends_at"]);
    let earlier = let_in(server);

    let (rates, sessions) = thread::scope(|scope| {
        let crowd = scope.spawn(|| come_back(&lab));
        server.wait_for_ramp();
        // The bucket is full at the beginning: what it holds is let in at once.
        let deadline = Instant::now() + SOON;
        while let_in(server) - earlier < u64::from(RATE) {
            assert!(Instant::now() < deadline, "nobody is let in");
        }
        let look = || {
            let began = Instant::now();
            (let_in(server), began + began.elapsed() / 2)
        };
        let mut rates = Vec::new();
        let mut last = look();
        for _ in 0..6 {
            thread::sleep(Duration::from_secs(1));
            let now = look();
            rates.push((now.0 - last.0) as f64 / (now.1 - last.1).as_secs_f64());
            last = now;
        }
        let window = server.window();
        assert_eq!(window["phase"], "ramp", "the machine is too slow: {window}");
        let waiting = CROWD as u64 + earlier - let_in(server);
        assert!(waiting > 20, "too few are left to want in: {waiting}");
        (rates, crowd.join().unwrap())
    });
    println!("let in by the kernel at {RATE}/s, in each second: {rates:.1?}");
    for rate in &rates {
        let off = (rate / f64::from(RATE) - 1.0).abs();
        assert!(off <= 0.2, "{rate:.1} a second: {rates:.1?}");
    }
    assert_eq!(sessions.len(), CROWD);
    assert!(sessions.iter().all(Session::is_alive));
    let with_ramp = new_backends(&lab, window_ends);
    println!("new backends in each second with the ramp: {with_ramp:?}");
    assert_eq!(with_ramp.iter().sum::<u64>(), CROWD as u64);

    server.nft("delete table inet arrivals");
    assert_eq!(server.cordon("status")["windows"], json!([]));
    let report = server.cordon("start --for 4s --no-guard");
    crate::lab::assert_complete(&report);
    drop(sessions);
    let window_ends = milliseconds(&only_window(&report)["ends_at"]);
    let sessions = come_back(&lab);
    let without_ramp = new_backends(&lab, window_ends);
    println!("new backends in each second without a ramp: {without_ramp:?}");
    assert_eq!(without_ramp.iter().sum::<u64>(), CROWD as u64);
    // Of the ramp only the seconds before its end count: then all others come at once.
    let most = |seconds: &[u64]| seconds.iter().copied().max().unwrap();
    assert!(most(&without_ramp) > most(&with_ramp[..7]));
    drop(sessions);
}
