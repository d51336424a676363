//! Clients over a link that is slow and loses packets: none of them hangs.

use crate::lab::{Close, Lab, Postgres, SOON, SlowLink};
use std::time::{Duration, Instant};

/// How many clients are at the far end.
const CLIENTS: usize = 40;

/// For how long a close may be on its way: the cordon lets it through for 120 s.
const LINGER: Duration = Duration::from_secs(120);

/// Cordons a server with clients at the end of a link; every client has to see an end.
/// Returns how many had PostgreSQL's own message.
fn drained_over(delay: Duration, loss: u8) -> usize {
    let lab = Lab::with(1, Postgres::new().setting("max_connections", "60"));
    let link = SlowLink::between(&lab.server, &lab.clients[0], delay, loss);
    let vitals = lab.cluster().vitals();
    let sessions = lab.clients[0].connect_many(link.server(5432), CLIENTS);

    // Idle: every client has acknowledged what it was sent.
    let deadline = Instant::now() + LINGER;
    while lab.server.socket_list(5432).iter().any(|s| s.send_queue > 0 && s.peer.port() != 0) {
        assert!(Instant::now() < deadline, "clients that do not acknowledge");
        std::thread::sleep(Duration::from_millis(50));
    }
    let outcome = lab.server.pgcordon(["start", "--for", "10m", "-o", "json"]);
    outcome.assert_status(0);
    assert_eq!(outcome.json()["drain"]["sockets"]["left"], 0);

    let mut farewells = 0;
    for session in &sessions {
        let ending = session.wait_end(LINGER);
        assert_ne!(ending.close, Close::StillOpen, "{ending:?} after {outcome}");
        farewells += usize::from(ending.is_farewell());
    }
    assert_eq!(lab.cluster().vitals(), vitals);
    farewells
}

#[test]
fn nobody_hangs_at_150_ms_and_a_tenth_lost() {
    let farewells = drained_over(Duration::from_millis(75), 10);
    assert!(farewells > CLIENTS / 2, "{farewells} of {CLIENTS}");
}

#[test]
fn nobody_hangs_at_300_ms_and_a_twentieth_lost() {
    let farewells = drained_over(Duration::from_millis(150), 5);
    assert!(farewells > CLIENTS / 2, "{farewells} of {CLIENTS}");
}

#[test]
fn nobody_hangs_at_300_ms_and_a_fifth_lost() {
    drained_over(Duration::from_millis(150), 20);
}

#[test]
fn a_client_that_missed_its_reset_gets_another_one() {
    let lab = Lab::new(1);
    let link = SlowLink::between(&lab.server, &lab.clients[0], Duration::ZERO, 0);
    let session = lab.clients[0].connect(link.server(5432));
    let backend = session.backend_pid();
    lab.server.signal(backend, "STOP");
    // The reset of a socket that is destroyed is sent once, and here it is lost.
    let reset = "table inet thief { chain out { type filter hook output priority 0; \
                 tcp sport 5432 tcp flags & rst == rst drop\n }\n }";
    lab.server.nft(reset);
    let line = "start --for 10m --drain-timeout 3s -o json";
    lab.server.pgcordon(line.split(' ')).assert_status(3);
    lab.server.nft("delete table inet thief");
    assert_eq!(session.ending().close, Close::StillOpen);

    session.send_query("select 1");
    assert_eq!(session.wait_end(SOON).close, Close::Rst);
    lab.server.signal(backend, "CONT");
}
