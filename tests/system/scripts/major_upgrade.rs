//! major-upgrade: a real one, from 14 to 15, by Debian's pg_upgradecluster.

use super::{assert_open, press_ctrl_c, script, stuck};
use crate::lab::{Host, Lab, Program, SOON, Session};
use std::path::PathBuf;
use std::time::Duration;

/// An upgrade takes ten seconds when nothing else runs.
const LONG: Duration = Duration::from_secs(600);

/// Puts PostgreSQL 14 beside the machine's 15, and makes 14/main as Debian does, open to the
/// network. Places of the machine are covered, in this host's own mounts.
const OLD_CLUSTER: &str = r#"
    for place in /etc/postgresql /var/log/postgresql; do
        mount -t tmpfs -o mode=755 lab "$place"
    done
    mkdir -p /run/versions/15
    chown postgres: /var/lib/postgresql /var/log/postgresql
    install -d -o postgres -g postgres /run/postgresql
    mount --bind /usr/lib/postgresql/15 /run/versions/15
    cp -a "$1" /run/versions/14
    # What that package lacks of a Debian one; the control file of 14 is that of 15.
    cp -a /usr/lib/postgresql/15/bin/psql /usr/lib/postgresql/15/bin/pg_controldata \
        /run/versions/14/bin/
    mount --rbind /run/versions /usr/lib/postgresql
    cd /
    pg_createcluster 14 main -- --no-sync -A trust
    pg_conftool 14 main set listen_addresses '*'
    echo 'host all all 0.0.0.0/0 trust' >>/etc/postgresql/14/main/pg_hba.conf
    pg_ctlcluster 14 main start
"#;

/// A server with 14/main, which has a table of orders.
struct Scene {
    lab: Lab,
}

impl Scene {
    fn set() -> Scene {
        let lab = Lab::bare(1);
        let programs = programs_of_14().to_string_lossy().into_owned();
        let line = ["bash", "-euc", OLD_CLUSTER, "old", &programs];
        lab.server.run(line).assert_status(0);
        let scene = Scene { lab };
        scene.connect().query("create table orders as select generate_series(1, 100)");
        scene
    }

    fn server(&self) -> &Host {
        &self.lab.server
    }

    fn connect(&self) -> Session {
        self.lab.clients[0].connect(self.lab.server.at_v4(5432))
    }

    fn upgrade(&self) -> Program {
        script(self.server(), "major-upgrade").args(["14", "15", "main"]).limit(LONG)
    }

    fn assert_serves(&self, major: &str) {
        let session = self.connect();
        let version = session.value("show server_version");
        assert!(version.starts_with(major), "{version}");
        assert_eq!(session.value("select count(*) from orders"), "100");
    }
}

fn programs_of_14() -> PathBuf {
    let shelf = std::env::var_os("PGCORDON_TEST_MAJORS")
        .expect("PGCORDON_TEST_MAJORS is not set: run these tests by tests/run");
    let entries = std::fs::read_dir(&shelf).expect("the folder of the majors");
    let of_14 = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("14.") && path.join("bin/postgres").exists()
    };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.into_iter().find(of_14).expect("PostgreSQL 14")
}

#[test]
fn a_cluster_becomes_15_while_nobody_remote_is_there() {
    let scene = Scene::set();
    let client = scene.connect();
    let running = scene.upgrade().spawn();
    client.wait_end(SOON).assert_farewell();
    scene.lab.clients[0].assert_blocked(&[scene.server().at_v4(5432)]);
    let outcome = running.wait(LONG);
    outcome.assert_status(0).assert_stderr_has("has taken over on port 5432");
    assert_open(scene.server());
    scene.assert_serves("15.");
}

#[test]
fn somebody_who_stays_is_a_reason_not_to_begin() {
    let scene = Scene::set();
    let stuck = stuck(scene.server(), &scene.lab.clients[0]);
    let outcome = scene.upgrade().env("PATIENCE", "1s").run();
    outcome.assert_status(1).assert_stderr_has("nothing was done");
    outcome.assert_stderr_has(&stuck.backend_pid().to_string());
    assert_open(scene.server());
    scene.server().signal(stuck.backend_pid(), "CONT");
    scene.assert_serves("14.");
}

#[test]
fn without_the_privilege_nothing_is_done() {
    let scene = Scene::set();
    let client = scene.connect();
    let outcome = scene.upgrade().user("nobody").run();
    outcome.assert_status(77).assert_stderr_has("root is needed; nothing was done");
    assert!(client.is_alive());
    scene.assert_serves("14.");
}

#[test]
fn an_upgrade_that_fails_leaves_the_port_closed() {
    let scene = Scene::set();
    let outcome = scene.upgrade().args(["--method=no-such"]).run();
    outcome.assert_status(1).assert_stderr_has("stays closed");
    outcome.assert_stderr_has("pgcordon lift --port 5432");
    let clients = &scene.lab.clients;
    clients[0].assert_blocked(&[scene.server().at_v4(5432)]);
    scene.server().cordon("lift");
    scene.assert_serves("14.");
}

#[test]
fn ctrl_c_in_the_upgrade_leaves_the_port_closed_for_a_person_to_decide() {
    let scene = Scene::set();
    let running = scene.upgrade().spawn();
    running.wait_for_stdout("Upgrading database", LONG);
    press_ctrl_c(&running);
    let outcome = running.wait(LONG);
    outcome.assert_status(130).assert_stderr_has("interrupted; port 5432 stays closed");
    scene.lab.clients[0].assert_blocked(&[scene.server().at_v4(5432)]);
}

#[test]
fn what_is_missing_is_told_before_anything_is_closed() {
    let scene = Scene::set();
    let client = scene.connect();
    for (words, message) in [
        (&["14", "99", "main"][..], "apt-get install postgresql-99"),
        (&["14", "15", "other"], "there is no cluster 14/other"),
        (&["14", "15"], "usage: major-upgrade"),
    ] {
        let outcome = script(scene.server(), "major-upgrade").args(words).run();
        assert_ne!(outcome.status.code(), Some(0), "{outcome}");
        outcome.assert_stderr_has(message);
    }
    assert!(client.is_alive());
    assert_open(scene.server());
}
