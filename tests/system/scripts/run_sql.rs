//! run-sql: a file of SQL while nobody remote is there.

use super::{assert_open, press_ctrl_c, script, stuck};
use crate::lab::{Lab, Outcome, Program, SOON, Session};

const FILE: &str = "/run/lab/repair.sql";

/// A server with a table of orders, and a file that only root can read.
struct Scene {
    lab: Lab,
    local: Session,
}

impl Scene {
    fn set(sql: &str) -> Scene {
        let lab = Lab::new(1);
        let local = lab.server.connect(([127, 0, 0, 1], 5432).into());
        local.query("create table orders (id int)");
        lab.server.run(["mkdir", "-p", "/run/lab"]).assert_status(0);
        lab.server.write(FILE, sql);
        lab.server.run(["chmod", "600", FILE]).assert_status(0);
        Scene { lab, local }
    }

    fn run_sql(&self) -> Program {
        script(&self.lab.server, "run-sql").args([FILE])
    }

    fn client(&self) -> Session {
        self.lab.clients[0].connect(self.lab.server.at_v4(5432))
    }

    fn orders(&self) -> String {
        self.local.value("select count(*) from orders")
    }

    /// The script failed so, the port is open, and nothing of the file was kept.
    #[track_caller]
    fn assert_nothing_kept(&self, outcome: &Outcome, status: i32, message: &str) {
        outcome.assert_status(status).assert_stderr_has(message);
        assert_open(&self.lab.server);
        assert_eq!(self.orders(), "0");
    }
}

#[test]
fn the_file_is_run_while_nobody_remote_is_there() {
    let scene = Scene::set(
        "insert into orders select 1;
         select 'remote: ' || count(*) from pg_stat_activity where client_addr <> '127.0.0.1';",
    );
    let client = scene.client();
    let outcome = scene.run_sql().run();
    outcome.assert_status(0).assert_stderr_has("open again");
    outcome.assert_stdout_has("remote: 0");
    client.wait_end(SOON).assert_farewell();
    assert_open(&scene.lab.server);
    assert_eq!(scene.orders(), "1");
}

#[test]
fn an_error_in_the_file_leaves_nothing_of_it() {
    let scene = Scene::set("insert into orders select 1; select 1 / 0;");
    let outcome = scene.run_sql().run();
    scene.assert_nothing_kept(&outcome, 3, "psql failed with status 3");
}

#[test]
fn without_the_privilege_nothing_is_run() {
    let scene = Scene::set("insert into orders select 1;");
    scene.lab.server.run(["chmod", "644", FILE]).assert_status(0);
    let client = scene.client();
    let outcome = scene.run_sql().user("nobody").run();
    scene.assert_nothing_kept(&outcome, 125, "nothing was run");
    outcome.assert_stderr_has("CAP_NET_ADMIN");
    assert!(client.is_alive());
}

#[test]
fn somebody_who_cannot_be_cut_is_a_reason_not_to_run() {
    let scene = Scene::set("insert into orders select 1;");
    let stuck = stuck(&scene.lab.server, &scene.lab.clients[0]);
    let outcome = scene.run_sql().env("PATIENCE", "1s").run();
    scene.assert_nothing_kept(&outcome, 125, "nothing was run");
    outcome.assert_stderr_has(&stuck.backend_pid().to_string());
}

#[test]
fn ctrl_c_ends_the_sql_and_opens_the_port() {
    let scene = Scene::set("insert into orders select 1; select 'begun'; select pg_sleep(600);");
    let client = scene.client();
    let running = scene.run_sql().spawn();
    running.wait_for_stdout("begun", SOON);
    client.wait_end(SOON).assert_farewell();
    press_ctrl_c(&running);
    let outcome = running.wait(SOON);
    scene.assert_nothing_kept(&outcome, 130, "nothing of /run/lab/repair.sql was kept");
}

#[test]
fn sql_that_outlasts_the_window_is_told_of() {
    let scene = Scene::set("insert into orders select 1; select pg_sleep(6);");
    let outcome = scene.run_sql().args(["3s"]).run();
    outcome.assert_status(124).assert_stderr_has("the window ended before the SQL did");
    assert_open(&scene.lab.server);
    assert_eq!(scene.orders(), "1");
}

#[test]
fn a_file_that_is_missing_is_told_before_anything_is_closed() {
    let scene = Scene::set("");
    let client = scene.client();
    let missing = script(&scene.lab.server, "run-sql").args(["/run/lab/none.sql"]).run();
    missing.assert_status(2).assert_stderr_has("cannot read /run/lab/none.sql");
    script(&scene.lab.server, "run-sql").run().assert_status(2);
    assert!(client.is_alive());
    assert_open(&scene.lab.server);
}
