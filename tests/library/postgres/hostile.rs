//! What the owner of a database, or any client, may do to blind or stall the session.

use super::server::{Client, Server, major, run};
use super::tell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

/// Settings that the database's owner, who is no superuser, may attach to it.
const SETTINGS: [&str; 8] = [
    "role = 'owner'",
    "session_authorization = 'owner'",
    "search_path = 'public, pg_catalog'",
    "statement_timeout = 1",
    "lock_timeout = 1",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_read_only = on",
    "default_transaction_deferrable = on",
];

#[test]
fn settings_and_functions_of_a_hostile_database_change_nothing() {
    let server = Server::start();
    server.sql(
        "postgres",
        &[
            "CREATE ROLE owner LOGIN",
            "ALTER DATABASE postgres OWNER TO owner",
            "ALTER SCHEMA public OWNER TO owner",
        ],
    );
    let settings = SETTINGS.map(|setting| format!("ALTER DATABASE postgres SET {setting}"));
    let mut hostile = vec!["SET SESSION AUTHORIZATION owner"];
    hostile.extend(settings.iter().map(String::as_str));
    hostile.extend([
        "CREATE FUNCTION public.pg_terminate_backend(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
        "CREATE FUNCTION public.pg_backend_pid() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION public.never(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
        "CREATE OPERATOR public.<> (LEFTARG = int, RIGHTARG = int, FUNCTION = public.never)",
        "CREATE VIEW public.pg_stat_activity AS SELECT 1 AS pid",
    ]);
    server.sql("postgres", &hostile);
    if major() >= 17 {
        let trigger = [
            "CREATE FUNCTION public.stall() RETURNS event_trigger LANGUAGE plpgsql \
             AS 'BEGIN PERFORM pg_catalog.pg_sleep(600); END'",
            "CREATE EVENT TRIGGER stall ON login EXECUTE FUNCTION public.stall()",
            "ALTER EVENT TRIGGER stall ENABLE ALWAYS",
        ];
        let clean = "-c role=none -c default_transaction_read_only=off -c statement_timeout=0";
        server.sql(&format!("dbname=postgres options='{clean}'"), &trigger);
        server.sql("template1", &["ALTER DATABASE postgres SET transaction_timeout = 1"]);
    }
    if major() >= 14 {
        // Last: it ends sessions of the helper, too.
        let idle = "SET idle_session_timeout = 1";
        let database = format!("ALTER DATABASE postgres {idle}");
        server.sql("template1", &[&database, &format!("ALTER ROLE postgres {idle}")]);
    }
    tell(async {
        // A deferrable transaction would wait for this one to end.
        let serializable = Client::connect("owner", "template1").await.unwrap();
        let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM pg_class";
        serializable.sql.batch_execute(begin).await.unwrap();

        let session = server.session().await;
        let client = Client::connect("owner", "template1").await.unwrap();
        let pid = client.pid().await;
        let row = |rows: Vec<pgcordon::testing::postgres::Row>| {
            rows.into_iter().find(|row| row.pid == pid)
        };

        // Longer than the timeouts: the session must outlive them.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let found = row(session.rows().await.unwrap()).expect("the client's row");
        assert_eq!(found.client, Some(client.address.ip()));
        assert!(!found.hidden);
        assert_eq!(session.terminate(&[i32::MAX, pid]).await[1].1, Ok(true));
        client.ended.await.unwrap().unwrap_err();
        session.rows().await.expect("the session lives");
    });
}

#[test]
fn a_statement_in_no_encoding_hides_nobody() {
    let server = Server::start();
    let create = |name| {
        format!(
            "CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )
    };
    server.sql("template1", &[&create("bytes")]);
    hides_nobody(&server);
    // The list is checked where the session's own database knows no encoding, too.
    server.sql("template1", &["DROP DATABASE postgres", &create("postgres")]);
    hides_nobody(&server);
}

fn hides_nobody(server: &Server) {
    let statement = OsStr::from_bytes(b"SELECT '\xff\xfe', pg_sleep(600)");
    let mut psql = Command::new("psql")
        .args(["-h", "127.0.0.1", "-U", "postgres", "-d", "bytes", "-Xqc"])
        .arg(statement)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    tell(async {
        let session = server.session().await;
        let row = loop {
            let rows = session.rows().await.expect("readable");
            if let Some(row) = rows.into_iter().find(|row| row.query.contains("600")) {
                break row;
            }
            assert!(psql.try_wait().unwrap().is_none(), "psql has ended");
        };
        assert_eq!(row.query, "SELECT '\u{ff}\u{fe}', pg_sleep(600)");
        assert_eq!(row.database, "bytes");
        assert_eq!(session.terminate(&[row.pid]).await, [(row.pid, Ok(true))]);
    });
    assert!(!psql.wait().unwrap().success());
}

#[test]
fn the_text_that_hides_a_query_hides_nothing_when_a_client_sends_it() {
    let server = Server::start();
    tell(async {
        let session = server.session().await;
        let client = server.client("postgres").await;
        let pid = client.pid().await;
        client.sql.batch_execute("<insufficient privilege>").await.unwrap_err();
        let rows = session.rows().await.unwrap();
        let row = rows.iter().find(|row| row.pid == pid).unwrap();
        assert_eq!(row.query, "<insufficient privilege>");
        assert!(!row.hidden);
    });
}

#[test]
fn the_environment_is_not_asked() {
    let server = Server::start();
    let own = std::env::current_exe().unwrap();
    // In a process of its own: the environment is shared by all threads.
    let story = "postgres::doors::root_gets_in_with_no_set_up_and_keeps_its_own_ids";
    let out = run(Command::new(own)
        .args(["--exact", story])
        .env("PGOPTIONS", "-c statement_timeout=1")
        .env("PGCLIENTENCODING", "UTF8")
        .env("PGSSLMODE", "disable")
        .env("PGAPPNAME", "other"));
    assert!(out.contains("1 passed"), "{out}");
    drop(server);
}
