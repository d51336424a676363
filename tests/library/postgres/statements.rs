//! What the session reads and tells.

use super::server::Server;
use super::tell;
use pgcordon::testing::postgres::Row;
use std::time::Duration;

#[test]
fn each_row_says_who_it_is() {
    let server = Server::start();
    server.sql("postgres", &["CREATE ROLE app LOGIN"]);
    tell(async {
        let session = server.session().await;
        let client = server.client("app").await;
        client.sql.batch_execute("BEGIN").await.unwrap();
        let pid = client.pid().await;
        let waits = |row: &Row| row.pid == pid && !row.wait.is_empty();
        let rows = loop {
            let rows = session.rows().await.unwrap();
            if rows.iter().any(waits) {
                break rows; // It says so a moment after its answer has arrived.
            }
        };

        let row = rows.iter().find(|row| row.pid == pid).expect("its row");
        assert_eq!((row.role.as_str(), row.database.as_str()), ("app", "postgres"));
        assert_eq!(row.application, "story");
        assert_eq!(row.client, Some(client.address.ip()));
        assert_eq!(row.client_port, Some(client.address.port()));
        assert_eq!(row.state, "idle in transaction");
        assert_eq!(row.wait, "Client/ClientRead");
        assert_eq!(row.query, "SELECT pg_backend_pid()");
        assert_eq!(row.backend_type, "client backend");
        assert!(row.since.is_some_and(|since| since < Duration::from_secs(60)));

        assert_eq!(session.host_pid(pid), Some(pid));
        assert!(rows.iter().all(|row| row.application != "pgcordon"));
        let writer = rows.iter().find(|row| row.backend_type == "checkpointer");
        assert_eq!(writer.map(|row| (row.client, row.hidden)), Some((None, false)));
    });
}

#[test]
fn fifty_backends_end_and_an_unknown_pid_stops_none() {
    let server = Server::start();
    tell(async {
        let session = server.session().await;
        let mut clients = Vec::new();
        let mut pids = Vec::new();
        for _ in 0..50 {
            let client = server.client("postgres").await;
            pids.push(client.pid().await);
            clients.push(client);
        }
        pids.insert(25, i32::MAX);
        let answers = session.terminate(&pids).await;
        let told: Vec<i32> = answers.iter().map(|(pid, _)| *pid).collect();
        assert_eq!(told, pids);
        for (pid, answer) in answers {
            assert_eq!(answer, Ok(pid != i32::MAX));
        }
        for client in clients {
            let error = client.ended.await.unwrap().unwrap_err();
            assert_eq!(error.code().unwrap().code(), "57P01");
        }
    });
}

#[test]
fn a_thousand_statements_are_sent_at_once() {
    let server = Server::start();
    tell(async {
        let session = server.session().await;
        let pids: Vec<i32> = (1..=1000).map(|n| i32::MAX - n).collect();
        let begun = std::time::Instant::now();
        let answers = session.terminate(&pids).await;
        println!("1000 statements: {:?}", begun.elapsed());
        assert!(answers.iter().all(|(_, answer)| *answer == Ok(false)));
        assert!(session.terminate(&[]).await.is_empty());
    });
}

#[test]
fn a_statement_is_cancelled_and_its_session_lives() {
    let server = Server::start();
    tell(async {
        let session = server.session().await;
        let client = server.client("postgres").await;
        let pid = client.pid().await;
        let sleeping = client.sql.batch_execute("SELECT pg_catalog.pg_sleep(600)");
        let cancel = async {
            let is_asleep = |row: &Row| row.pid == pid && row.wait == "Timeout/PgSleep";
            while !session.rows().await.unwrap().iter().any(is_asleep) {}
            session.cancel(&[pid]).await
        };
        let (slept, cancelled) = tokio::join!(sleeping, cancel);
        assert_eq!(cancelled, [(pid, Ok(true))]);
        assert_eq!(slept.unwrap_err().code().unwrap().code(), "57014");
        assert_eq!(client.pid().await, pid);
    });
}

#[test]
fn facts_about_the_server_are_read() {
    let server = Server::start_with(&super::server::Setup {
        conf: "max_prepared_transactions = 5\nsynchronous_standby_names = 'FIRST 1 (a, \"b c\")'\n\
               synchronous_commit = local",
        ..Default::default()
    });
    server.sql("postgres", &["BEGIN; PREPARE TRANSACTION 'one'"]);
    server.sql("postgres", &["BEGIN; PREPARE TRANSACTION 'two'"]);
    tell(async {
        let session = server.session().await;
        assert_eq!(session.prepared_transactions().await.unwrap(), 2);
        let names = session.synchronous_standby_names().await.unwrap();
        assert_eq!(names, "FIRST 1 (a, \"b c\")");
        assert_eq!(session.replication().await.unwrap(), []);
    });
}
