//! What the owner of a database, or an unprivileged user of the host, may do against a drain
//! changes nothing.

use crate::lab::{Lab, Login, Postgres, SOON, Session, Vitals, assert_complete};
use serde_json::Value;

/// Functions and views that are meant to be taken for PostgreSQL's own.
const TRAPS: &str = "
    create function public.pg_terminate_backend(int) returns boolean
        language sql as 'select true';
    create function public.pg_terminate_backend(int, bigint) returns boolean
        language sql as 'select true';
    create function public.pg_backend_pid() returns int language sql as 'select 1';
    create view public.pg_stat_activity as select 1 as pid where false;
    create role harmless;
    grant all on schema public to harmless";

/// Settings that are meant to blind or to end a session.
const SETTINGS: [&str; 6] = [
    "search_path = 'public, pg_catalog'",
    "role = 'harmless'",
    "statement_timeout = 1",
    "lock_timeout = 1",
    "default_transaction_read_only = on",
    "idle_session_timeout = 1",
];

/// A server with one client, in a database where nobody is hostile.
struct Scene {
    lab: Lab,
    local: Session,
    vitals: Vitals,
}

impl Scene {
    fn set(postgres: Postgres) -> Scene {
        let lab = Lab::with(1, postgres);
        lab.cluster().query("create database shop");
        let local = Login::unix(lab.cluster().socket()).database("shop");
        let local = lab.server.login(&local);
        let vitals = lab.cluster().vitals_by(&local);
        Scene { lab, local, vitals }
    }

    fn connect(&self) -> Session {
        let login = Login::to(self.lab.server.at_v4(5432)).database("shop");
        self.lab.clients[0].login(&login)
    }

    /// Makes a database a trap; the last setting ends every session in it.
    fn make_hostile(&self, database: &str) {
        let login = Login::unix(self.lab.cluster().socket()).database(database);
        let own = self.lab.server.login(&login);
        let role = "create role harmless;";
        let known = own.value("select exists (select from pg_roles where rolname = 'harmless')");
        own.query(&match known.as_str() {
            "t" => TRAPS.replace(role, ""),
            _ => TRAPS.to_owned(),
        });
        for setting in SETTINGS {
            self.local.query(&format!("alter database {database} set {setting}"));
        }
    }

    fn start(&self) -> Value {
        let outcome = self.lab.server.pgcordon(["start", "--for", "1m", "-o", "json"]);
        outcome.assert_status(0);
        let report = outcome.json();
        assert_complete(&report);
        self.lab.cluster().assert_no_remote_row(&self.local);
        self.lab.server.assert_only_time_wait(5432);
        assert_eq!(self.lab.cluster().vitals_by(&self.local), self.vitals);
        report
    }
}

#[test]
fn databases_that_are_traps() {
    let scene = Scene::set(Postgres::new());
    scene.make_hostile("postgres");
    scene.make_hostile("template1");
    let sessions: Vec<Session> = (0..5).map(|_| scene.connect()).collect();
    sessions[0].send_query("select pg_sleep(600)");
    let report = scene.start();
    assert_eq!(report["drain"]["sql"], "ok");
    assert_eq!(report["drain"]["signalled"], 0);
    for session in &sessions {
        session.wait_end(SOON).assert_farewell();
    }
}

#[test]
fn neither_of_the_known_databases_lets_anybody_in() {
    let scene = Scene::set(Postgres::new());
    scene.local.query("alter database postgres with allow_connections false");
    let session = scene.connect();
    let report = scene.start();
    assert_eq!(report["drain"]["sql"], "ok", "template1 does");
    session.wait_end(SOON).assert_farewell();

    scene.lab.server.pgcordon(["lift"]).assert_status(0);
    scene.local.query("alter database template1 with allow_connections false");
    let session = scene.connect();
    let report = scene.start();
    assert_ne!(report["drain"]["sql"], "ok");
    session.wait_end(SOON).assert_farewell();
}

#[test]
fn a_false_socket_of_the_same_name() {
    let scene = Scene::set(Postgres::new());
    let run = |script: &str| scene.lab.server.shell(script).assert_status(0).stdout.clone();
    run("install -d -m 1777 /run/anybody; touch -d 2000-01-01 /run/anybody");
    let server = scene.lab.server.python_program("tcp.py");
    let server = server.args(["unix", "/run/anybody/.s.PGSQL.5432"]).user("nobody").spawn();
    server.wait_for_stdout("up", SOON);
    let session = scene.connect();
    let report = scene.start();
    assert_eq!(report["drain"]["sql"], "ok");
    session.wait_end(SOON).assert_farewell();
}

#[test]
fn a_false_socket_in_the_place_of_the_real_one() {
    let scene = Scene::set(Postgres::new().socket_dir("/run/anybody"));
    let script = "chmod 777 /run/anybody; rm /run/anybody/.s.PGSQL.5432";
    scene.lab.server.shell(script).assert_status(0);
    let server = scene.lab.server.python_program("tcp.py");
    let server = server.args(["unix", "/run/anybody/.s.PGSQL.5432"]).user("nobody").spawn();
    server.wait_for_stdout("up", SOON);
    let session = scene.connect();
    let report = scene.start();
    let sql = report["drain"]["sql"].as_str().unwrap();
    assert!(sql.contains("not to PostgreSQL"), "{sql}");
    assert_eq!(report["drain"]["signalled"], 1, "{report}");
    session.wait_end(SOON).assert_farewell();
}

#[test]
fn roles_and_databases_that_look_like_local_clients() {
    for access in ["local all all peer", "local all all reject"] {
        let access = format!("{access}\nhost all all all trust\n");
        let lab = Lab::with(1, Postgres::new().access(&access));
        let local = lab.server.connect(([127, 0, 0, 1], 5432).into());
        let vitals = lab.cluster().vitals_by(&local);
        local.query("create role \"[local]\" superuser login");
        local.query("create database \"127.0.0.1(5432)\"");
        let login = Login::to(lab.server.at_v4(5432));
        let spoofed = [
            lab.clients[0].login(&login.clone().role("[local]")),
            lab.clients[0].login(&login.clone().database("127.0.0.1(5432)")),
            lab.clients[0].login(&login.application("127.0.0.1(5432) [local]")),
        ];
        let outcome = lab.server.pgcordon(["start", "--for", "1m", "-o", "json"]);
        outcome.assert_status(0);
        for session in &spoofed {
            session.wait_end(SOON).assert_farewell();
        }
        assert!(local.is_alive());
        assert_eq!(lab.cluster().vitals_by(&local), vitals);
    }
}

#[test]
fn a_remote_looking_name_does_not_cut_a_local_client() {
    let access = "local all all reject\nhost all all all trust\n";
    let lab = Lab::with(1, Postgres::new().access(access));
    let local = lab.server.connect(([127, 0, 0, 1], 5432).into());
    let vitals = lab.cluster().vitals_by(&local);
    local.query("create role \"203.0.113.11(43000)\" superuser login");
    let login = Login::to(lab.server.at_v4(5432)).role("203.0.113.11(43000)");
    let named = lab.server.login(&login);
    let remote = lab.clients[0].connect(lab.server.at_v4(5432));
    lab.server.pgcordon(["start", "--for", "1m"]).assert_status(0);
    remote.wait_end(SOON).assert_farewell();
    assert!(named.is_alive());
    assert_eq!(lab.cluster().vitals_by(&local), vitals);
}

/// Views of a server that names a client of another one as its synchronous standby.
const ACCOMPLICE: &str = "
    alter view pg_catalog.pg_stat_activity rename to real_activity;
    create view pg_catalog.pg_stat_activity as
        select datid, datname, 4711 as pid, leader_pid, usesysid, usename, application_name,
            'CLIENT'::inet as client_addr, client_hostname, PORT as client_port, backend_start,
            xact_start, query_start, state_change, wait_event_type, wait_event, state,
            backend_xid, backend_xmin, query_id, query, 'walsender'::text as backend_type
        from pg_catalog.real_activity where pid = pg_backend_pid();
    alter view pg_catalog.pg_stat_replication rename to real_replication;
    create view pg_catalog.pg_stat_replication as
        select 4711 as pid, 'x'::text as application_name, 'sync'::text as sync_state,
            'CLIENT'::inet as client_addr";

#[test]
fn no_server_lets_the_clients_of_another_one_through() {
    let lab = Lab::with(1, Postgres::new().listen("203.0.113.1"));
    let liar = Postgres::new()
        .name("liar")
        .listen("127.0.0.2")
        .socket_dir("/run/liar")
        .setting("allow_system_table_mods", "on")
        .setting("synchronous_standby_names", "x")
        .setting("synchronous_commit", "off");
    let liar = lab.server.start_postgres(liar);
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    let views = ACCOMPLICE
        .replace("CLIENT", &client.local().ip().to_string())
        .replace("PORT", &client.local().port().to_string());
    liar.psql(&views).assert_status(0);

    // It can lie about who is there, and so keep the drain from being proven; no more.
    let outcome = lab.server.try_cordon("start --for 10m --drain-timeout 5s");
    outcome.assert_status(3);
    let report = outcome.json();
    let pass = &report["windows"][0]["pass"];
    assert_eq!(*pass, serde_json::json!([]), "{report}");
    client.wait_end(SOON).assert_farewell();
    lab.server.cordon("lift");
}
