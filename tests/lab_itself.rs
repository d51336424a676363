//! The laboratory's own tests: what the other tests rely on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::time::Duration;

use lab::{Lab, TcpState};

const SOON: Duration = Duration::from_secs(5);

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
    assert!(first.sockets(5432).is_empty());
    let left = lab.server.remote_sockets(5432);
    assert_eq!(
        left.into_iter().collect::<Vec<_>>(),
        [(TcpState::TimeWait, 20)]
    );
}
