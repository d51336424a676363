//! Who is let in, and what is said to who is not.

use super::server::{Client, Server, Setup, set_mode};
use super::tell;
use pgcordon::testing::postgres::{Access, SessionError, StatementError, Target};
use std::fs;
use std::time::Duration;

fn over_tcp(server: &Server, password: Option<&str>) -> Target {
    let passfile = password.map(|password| {
        let path = server.for_root.path().join("pass");
        fs::write(&path, format!("localhost:5432:*:postgres:{password}\n")).unwrap();
        set_mode(&path, 0o600);
        path
    });
    Target {
        access: Access { host: Some("127.0.0.1".parse().unwrap()), passfile, ..Access::default() },
        ..server.target()
    }
}

#[test]
fn a_rejecting_pg_hba_conf_is_named_with_the_remedy() {
    let server = Server::start_with(&Setup {
        hba: Some("local all all reject\nhost all all 127.0.0.1/32 trust\n"),
        ..Setup::default()
    });
    tell(async {
        let error = server.open(&server.target()).await.unwrap_err();
        assert!(matches!(error, SessionError::Refused { .. }), "{error}");
        assert!(!error.is_passing());
        let text = error.to_string();
        assert!(text.contains("`local all postgres peer`"), "{text}");
    });
}

#[test]
fn no_slot_left_is_told_apart_and_passes() {
    let server = Server::start_with(&Setup {
        conf: "max_connections = 5\nsuperuser_reserved_connections = 3\nmax_wal_senders = 0",
        ..Setup::default()
    });
    tell(async {
        let mut clients = Vec::new();
        while let Ok(client) = Client::connect("postgres", "postgres").await {
            clients.push(client);
        }
        assert_eq!(clients.len(), 5);
        let error = server.open(&server.target()).await.unwrap_err();
        assert!(matches!(error, SessionError::TooManyConnections { .. }), "{error}");
        assert!(error.is_passing());

        let gone = clients.pop().unwrap();
        drop(gone.sql);
        gone.ended.await.unwrap().unwrap();
        while let Err(error) = server.open(&server.target()).await {
            assert!(error.is_passing(), "{error}");
        }
    });
}

#[test]
fn without_the_database_postgres_template1_will_do() {
    let server = Server::start();
    server.sql("template1", &["DROP DATABASE postgres"]);
    tell(async {
        server.session().await;
        let mut target = server.target();
        target.access.database = Some("nope".parse().unwrap());
        let error = server.open(&target).await.unwrap_err();
        assert!(
            matches!(&error, SessionError::NoDatabase { database, .. } if database == "nope"),
            "{error}"
        );
    });
}

#[test]
fn a_database_that_takes_no_connections_is_passed_over() {
    let server = Server::start();
    server.sql("template1", &["ALTER DATABASE postgres ALLOW_CONNECTIONS false"]);
    tell(async {
        server.session().await;
    });
}

#[test]
fn a_role_without_the_rights_is_refused_and_the_rights_are_named() {
    let server = Server::start();
    server.sql("postgres", &["CREATE ROLE \"o p\\s\" LOGIN", "CREATE ROLE app LOGIN"]);
    let mut target = server.target();
    target.access.user = Some("o p\\s".parse().unwrap());
    tell(async {
        let error = server.open(&target).await.unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, SessionError::MissingRights { ref missing, .. }
                if *missing == ["pg_read_all_stats", "pg_signal_backend"]),
            "{text}"
        );
        assert!(text.contains("GRANT pg_read_all_stats, pg_signal_backend"), "{text}");

        let rights = "GRANT pg_monitor, pg_signal_backend TO \"o p\\s\"";
        // One refused statement would end the session.
        let hostile = "ALTER DATABASE postgres SET exit_on_error = on";
        server.sql("postgres", &[rights, hostile]);
        let session = server.open(&target).await.unwrap();
        let app = server.client("app").await;
        let superuser = server.client("postgres").await;
        assert!(session.rows().await.unwrap().iter().all(|row| !row.hidden));

        let pids = [superuser.pid().await, app.pid().await];
        let answers = session.terminate(&pids).await;
        assert!(
            matches!(&answers[0].1, Err(StatementError::Server { sqlstate, .. }) if sqlstate == "42501"),
            "{answers:?}"
        );
        assert_eq!(answers[1].1, Ok(true));
        app.ended.await.unwrap().unwrap_err();
    });
}

#[test]
fn over_tcp_the_password_comes_from_roots_file() {
    let server = Server::start_with(&Setup {
        hba: Some(
            "local all all reject\nhost all app 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 trust\n",
        ),
        conf: "password_encryption = 'scram-sha-256'",
        ..Setup::default()
    });
    server.sql("postgres", &["ALTER ROLE postgres PASSWORD 's3cret'"]);
    let hba = "host all all 127.0.0.1/32 scram-sha-256\n";
    fs::write(server.folder.path().join("data/pg_hba.conf"), hba).unwrap();
    server.sql("postgres", &["SELECT pg_reload_conf()"]);
    tell(async {
        // The reload is over when the door is shut.
        while Client::connect("postgres", "postgres").await.is_ok() {}

        let target = over_tcp(&server, Some("s3cret"));
        server.open(&target).await.unwrap();

        let error = server.open(&over_tcp(&server, Some("wrong"))).await.unwrap_err();
        assert!(matches!(error, SessionError::Refused { .. }), "{error}");

        let error = server.open(&over_tcp(&server, None)).await.unwrap_err();
        assert!(matches!(error, SessionError::Authentication { .. }), "{error}");

        set_mode(target.access.passfile.as_deref().unwrap(), 0o644);
        let error = server.open(&target).await.unwrap_err();
        assert!(matches!(error, SessionError::Passfile { .. }), "{error}");
    });
}

#[test]
fn another_servers_backend_is_not_ours() {
    let server = Server::start_with(&Setup {
        hba: Some("host all all 127.0.0.1/32 trust\n"),
        ..Setup::default()
    });
    tell(async {
        let mut target = over_tcp(&server, None);
        target.access.user = Some("postgres".parse().unwrap());
        server.open(&target).await.unwrap();
        // The port is answered by a server that is not this process.
        target.postmaster = i32::try_from(std::process::id()).unwrap();
        let error = server.open(&target).await.unwrap_err();
        assert!(matches!(error, SessionError::WrongBackend { .. }), "{error}");
    });
}

#[test]
fn messages_say_what_to_do() {
    let error = SessionError::MissingRights {
        role: "ops".to_owned(),
        missing: vec!["pg_read_all_stats", "pg_signal_backend"],
    };
    let text = error.to_string();
    assert!(text.contains("GRANT pg_read_all_stats, pg_signal_backend TO \"ops\""), "{text}");
    let after = Duration::from_millis(1500);
    let text = StatementError::NotAnswering { after }.to_string();
    assert!(text.contains("within 1.5 s"), "{text}");
}
