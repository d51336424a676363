//! A server that does not answer: every wait has an end on this side.

use super::server::{Server, Setup};
use super::tell;
use nix::sys::signal::Signal;
use pgcordon::testing::postgres::{Session, SessionError, StatementError};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(300);

/// What the deadline may be missed by on a loaded machine.
const SLACK: Duration = Duration::from_secs(30);

#[test]
fn a_stopped_postmaster_is_not_waited_for() {
    let server = Server::start();
    server.signal(server.postmaster, Signal::SIGSTOP);
    tell(async {
        let begun = Instant::now();
        let error = Session::open(&server.target(), SHORT).await.unwrap_err();
        assert!(matches!(error, SessionError::NotAnswering { .. }), "{error}");
        assert!(begun.elapsed() >= SHORT && begun.elapsed() < SHORT + SLACK);
    });
}

#[test]
fn a_full_queue_of_a_stopped_postmaster_is_not_waited_for() {
    let server = Server::start_with(&Setup {
        conf: "max_connections = 5\nsuperuser_reserved_connections = 3\nmax_wal_senders = 0",
        ..Setup::default()
    });
    server.signal(server.postmaster, Signal::SIGSTOP);
    tell(async {
        let mut queue = Vec::new();
        while let Ok(socket) = tokio::net::UnixStream::connect(server.socket()).await {
            queue.push(socket);
        }
        let begun = Instant::now();
        let error = Session::open(&server.target(), SHORT).await.unwrap_err();
        assert!(error.to_string().contains("queue of connections is full"), "{error}");
        assert!(begun.elapsed() >= SHORT && begun.elapsed() < SHORT + SLACK);

        // When it runs again, an attempt that is under way gets in.
        let target = server.target();
        let waiting = Session::open(&target, Duration::from_secs(20));
        let wake = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(queue);
            server.signal(server.postmaster, Signal::SIGCONT);
        };
        let (session, ()) = tokio::join!(waiting, wake);
        session.expect("a session");
    });
}

#[test]
fn a_stopped_backend_is_not_waited_for() {
    let server = Server::start();
    tell(async {
        let session = Session::open(&server.target(), Duration::from_secs(2)).await.unwrap();
        let backend = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgcordon'";
        let backend = server.sql("postgres", &[backend]).parse().unwrap();
        server.signal(backend, Signal::SIGSTOP);
        let silent = |error| matches!(error, StatementError::NotAnswering { .. });
        assert!(silent(session.rows().await.unwrap_err()));
        let answers = session.terminate(&[1, 2]).await;
        assert_eq!(answers.len(), 2);
        assert!(answers.into_iter().all(|(_, answer)| silent(answer.unwrap_err())));
        server.signal(backend, Signal::SIGCONT);
    });
}

#[test]
fn a_session_that_is_ended_says_so() {
    let server = Server::start();
    tell(async {
        let session = server.session().await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = 'pgcordon'";
        assert_eq!(server.sql("postgres", &[end]), "t");
        loop {
            match session.rows().await {
                Err(StatementError::Closed) => break,
                // A statement that was under way when the session ended is told why.
                Err(StatementError::Server { sqlstate, .. }) => assert_eq!(sqlstate, "57P01"),
                Err(error) => panic!("{error}"),
                Ok(_) => tokio::task::yield_now().await,
            }
        }
    });
}

#[test]
fn a_lock_on_the_catalog_is_not_waited_for() {
    let server = Server::start();
    tell(async {
        let session = Session::open(&server.target(), Duration::from_secs(1)).await.unwrap();
        let client = server.client("postgres").await;
        let lock = "BEGIN; LOCK pg_catalog.pg_stat_activity IN ACCESS EXCLUSIVE MODE";
        client.sql.batch_execute(lock).await.unwrap();
        let error = session.rows().await.unwrap_err();
        assert!(matches!(error, StatementError::NotAnswering { .. }), "{error}");
        // Ending a backend needs no lock, and what waits is ended by the server.
        client.sql.batch_execute("ROLLBACK").await.unwrap();
        session.rows().await.unwrap();
    });
}
