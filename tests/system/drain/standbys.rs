//! Real standbys: which stay through a window, which are cut, and that all come back.

use crate::lab::{Cluster, Lab, Postgres, SOON, Session, Vitals, assert_complete, warns};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A primary with a standby on another host, and with a remote client.
struct Scene {
    lab: Lab,
    standby: Cluster,
    /// A local session on the primary.
    local: Session,
    /// One on the standby.
    follower: Session,
    vitals: Vitals,
    client: Session,
}

impl Scene {
    /// The standby streams over IPv4, or over IPv6.
    fn set(v6: bool) -> Scene {
        let lab = Lab::with(2, Postgres::new().setting("wal_sender_timeout", "5s"));
        let local = lab.cluster().connect_local();
        local.query("create table t (n int)");
        let at = match v6 {
            true => lab.server.at_v6(5432),
            false => lab.server.at_v4(5432),
        };
        let standby = lab.clients[0].start_standby(lab.cluster(), at, "replica");
        let follower = standby.connect_local();
        let client = lab.clients[1].connect(lab.server.at_v4(5432));
        let vitals = lab.cluster().vitals_by(&local);
        Scene { lab, standby, local, follower, vitals, client }
    }

    /// The same with a standby that commits wait for.
    fn synchronous(v6: bool) -> Scene {
        let scene = Scene::set(v6);
        scene.local.query("alter system set synchronous_standby_names = 'replica'");
        scene.local.query("select pg_reload_conf()");
        let sync = "select exists (select from pg_stat_replication where sync_state = 'sync')";
        scene.local.wait_until(sync, SOON);
        scene
    }

    fn walsender(&self) -> String {
        self.local.value("select coalesce((select pid::text from pg_stat_replication), 'none')")
    }

    /// What is written on the primary arrives at the standby.
    #[track_caller]
    fn assert_streams(&self, number: i32) {
        self.local.query(&format!("insert into t values ({number})"));
        let arrived = format!("select exists (select from t where n = {number})");
        self.follower.wait_until(&arrived, SOON);
    }

    fn start(&self, rest: &str) -> Value {
        let line = format!("start --for 10m{rest}");
        let report = self.lab.server.cordon(&line);
        assert_complete(&report);
        assert_eq!(report["drain"]["sql"], "ok", "{report}");
        self.client.wait_end(SOON).assert_farewell();
        report
    }

    /// What `plan` says of the standby, and its warnings.
    fn plan(&self, rest: &str) -> (Value, Value) {
        let report = self.lab.server.cordon(&format!("plan --for 1m{rest}"));
        let all = report["connections"].as_array().unwrap();
        let ours = |c: &&Value| c["application"] == "replica";
        (all.iter().find(ours).unwrap().clone(), report.clone())
    }

    fn assert_comes_back_after_the_window(&self) {
        self.lab.server.cordon("lift");
        let streams = "select exists (select from pg_stat_replication where state = 'streaming')";
        self.local.wait_until(streams, SOON);
        self.assert_streams(99);
        assert_eq!(self.lab.cluster().vitals_by(&self.local), self.vitals);
    }
}

#[test]
fn with_allow_replication_a_standby_streams_on_and_may_come_back() {
    for (v6, network) in [(false, "203.0.113.11/32"), (true, "2001:db8:53::11/128")] {
        let scene = Scene::set(v6);
        let (planned, plan) = scene.plan(" --allow-replication");
        assert_eq!(planned["verdict"], "pass", "{plan}");
        assert_eq!(plan["warnings"], json!([]), "{plan}");
        let walsender = scene.walsender();

        let report = scene.start(" --allow-replication");
        assert_eq!(report["warnings"], json!([]), "{report}");
        assert_eq!(report["windows"][0]["pass"], json!([network]), "{report}");
        assert_eq!(report["drain"]["backends"]["found"], 1, "{report}");
        assert_eq!(report["drain"]["sockets"]["found"], 1, "{report}");
        assert_eq!(scene.walsender(), walsender);
        // Beyond the farewell.
        scene.assert_streams(1);
        let receiver = scene.standby.wal_receiver().unwrap();
        scene.lab.clients[0].signal(receiver, "TERM");
        scene.lab.clients[0].wait_gone(receiver, SOON);
        scene.lab.cluster().wait_streaming("replica");
        scene.assert_streams(2);
        assert_ne!(scene.walsender(), walsender);
        scene.assert_comes_back_after_the_window();
    }
}

#[test]
fn without_it_a_standby_is_cut_and_comes_back_by_itself() {
    let scene = Scene::set(false);
    let (planned, plan) = scene.plan("");
    assert_eq!(planned["verdict"], "cut", "{plan}");
    let warning = ["standby replica (203.0.113.11)", "--allow-replication"];
    assert!(warns(&plan, &warning), "{plan}");

    let report = scene.start("");
    assert!(warns(&report, &warning), "{report}");
    assert_eq!(report["windows"][0]["pass"], json!([]), "{report}");
    assert_eq!(report["drain"]["backends"]["ended"], 2, "{report}");
    assert_eq!(scene.walsender(), "none");
    scene.lab.server.assert_only_time_wait(5432);
    scene.assert_comes_back_after_the_window();
}

#[test]
fn a_standby_stays_with_no_farewell_at_all() {
    let scene = Scene::set(false);
    let walsender = scene.walsender();
    let line = "start --for 10m --allow-replication --farewell 0s";
    assert_complete(&scene.lab.server.cordon(line));
    assert!(scene.client.wait_end(SOON).is_closed());
    scene.assert_streams(1);
    assert_eq!(scene.walsender(), walsender);
}

#[test]
fn a_standby_is_known_by_its_title_where_sql_is_refused() {
    let scene = Scene::set(false);
    let access = "local all all reject\nhost all all all trust\n\
        host replication all all trust\n";
    let file = scene.lab.cluster().data.join("pg_hba.conf");
    scene.lab.server.write(&file.to_string_lossy(), access);
    scene.local.query("select pg_reload_conf()");
    let refused = || scene.lab.cluster().psql("select").status.code() != Some(0);
    let deadline = Instant::now() + SOON;
    while !refused() {
        assert!(Instant::now() < deadline, "the new pg_hba.conf is not read");
    }
    let walsender = scene.walsender();
    let (planned, plan) = scene.lab_plan_by_client(" --allow-replication");
    assert_eq!(planned["verdict"], "pass", "{plan}");
    let report = scene.lab.server.cordon("start --for 10m --allow-replication");
    assert_complete(&report);
    assert_ne!(report["drain"]["sql"], "ok", "{report}");
    scene.client.wait_end(SOON).assert_farewell();
    scene.assert_streams(1);
    assert_eq!(scene.walsender(), walsender);
    scene.lab.server.cordon("lift");

    // Nobody can say whether commits wait for it.
    let report = scene.lab.server.cordon("start --for 10m");
    assert_complete(&report);
    assert!(warns(&report, &["standby", "203.0.113.11"]), "{report}");
    assert_eq!(scene.walsender(), "none");
    scene.assert_comes_back_after_the_window();
}

impl Scene {
    /// What `plan` says of the standby's connection where no row names it.
    fn lab_plan_by_client(&self, rest: &str) -> (Value, Value) {
        let report = self.lab.server.cordon(&format!("plan --for 1m{rest}"));
        let all = report["connections"].as_array().unwrap();
        let ours = |c: &&Value| {
            let client = c["client"].as_str().unwrap_or_default();
            client.starts_with("203.0.113.11:")
        };
        (all.iter().find(ours).unwrap().clone(), report.clone())
    }
}

#[test]
fn a_synchronous_standby_passes_so_that_local_commits_go_on() {
    for v6 in [false, true] {
        let scene = Scene::synchronous(v6);
        let (planned, plan) = scene.plan("");
        assert_eq!(planned["verdict"], "pass", "{plan}");
        let warning = ["synchronous standby replica", "passes", "--cut-standbys"];
        assert!(warns(&plan, &warning), "{plan}");
        let walsender = scene.walsender();

        let report = scene.start("");
        assert!(warns(&report, &warning), "{report}");
        assert_eq!(report["drain"]["backends"]["found"], 1, "{report}");
        assert_eq!(scene.walsender(), walsender);
        for number in 0..3 {
            scene.assert_streams(number);
        }
        // The same call again finds what it asks for.
        let again = scene.lab.server.cordon("start --for 10m");
        assert_eq!(again["result"], "already-cordoned", "{again}");
        scene.assert_comes_back_after_the_window();
    }
}

#[test]
fn a_synchronous_standby_passes_though_the_server_answers_late() {
    for farewell in ["2s", "0s"] {
        let scene = Scene::synchronous(false);
        let walsender = scene.walsender();
        let postmaster = scene.lab.cluster().postmaster();
        scene.lab.server.signal(postmaster, "STOP");
        let line = format!("start --for 10m -o json --farewell {farewell}");
        let start = scene.lab.server.spawn_pgcordon(line.split(' '));
        assert!(scene.client.wait_end(SOON).is_closed());
        std::thread::sleep(Duration::from_millis(200));
        scene.lab.server.signal(postmaster, "CONT");
        let report = start.wait(SOON).assert_status(0).json();
        assert!(warns(&report, &["synchronous standby replica", "passes"]), "{report}");
        assert_eq!(scene.walsender(), walsender);
        scene.assert_streams(1);
    }
}

#[test]
fn cut_standbys_cuts_a_synchronous_standby_after_all_others() {
    let scene = Scene::synchronous(false);
    let (planned, plan) = scene.plan(" --cut-standbys");
    assert_eq!(planned["verdict"], "cut", "{plan}");
    let warning = ["synchronous standby replica", "is cut", "local commits"];
    assert!(warns(&plan, &warning), "{plan}");
    // It ends a second after it was told: the standby is told after that.
    let stuck = scene.lab.clients[1].connect(scene.lab.server.at_v4(5432));
    let backend = stuck.backend_pid();
    stuck.send_query("select pg_sleep(600)");
    scene.local.wait_shown(backend, "wait_event = 'PgSleep'", SOON);
    scene.lab.server.signal(backend, "STOP");
    let walsender: i32 = scene.walsender().parse().unwrap();

    let line = "start --for 10m -o json --cut-standbys";
    let start = scene.lab.server.spawn_pgcordon(line.split(' '));
    scene.client.wait_end(SOON).assert_farewell();
    std::thread::sleep(Duration::from_millis(500));
    assert!(scene.lab.server.is_process(walsender), "cut too early");
    scene.lab.server.signal(backend, "CONT");
    stuck.wait_end(SOON).assert_farewell();
    let report = start.wait(SOON).assert_status(0).json();
    assert_complete(&report);
    assert!(warns(&report, &warning), "{report}");
    assert_eq!(report["drain"]["backends"]["ended"], 3, "{report}");
    assert_eq!(scene.walsender(), "none");

    // Commits wait now, and go on with the standby's return.
    let writer = scene.lab.cluster().connect_local();
    writer.send_query("insert into t values (7)");
    scene.local.wait_shown(writer.backend_pid(), "wait_event = 'SyncRep'", SOON);
    scene.lab.server.cordon("lift");
    writer.wait_answer(SOON).unwrap();
    scene.assert_comes_back_after_the_window();
}
