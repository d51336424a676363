//! PostgreSQL fails while it is drained: at several points between the cordon and the end of
//! the drain, at which pgcordon stands still meanwhile.
//!
//! | what happens | status | |
//! | --- | --- | --- |
//! | the postmaster is stopped | 0 | backends are told directly, without SQL |
//! | a backend crashes, and the server restarts itself | 0 | its sessions end with it |
//! | the server is restarted | 0 | |
//! | the machine's OOM killer takes all of it, and it recovers | 0 | |
//! | the postmaster alone is killed | 0 | its sessions hear of it, and end |
//! | the same, and a session does not hear of it | 3 | it is named; nobody signals it |
//! | the server is a standby, in recovery all the time | 0 | |
//!
//! The cordon is in force each time, and local clients pass as soon as there is a server.

use std::time::Duration;

use super::case::{Case, Command};
use crate::lab::{Call, Cluster, Lab, Order, SOON, Session, TcpState};
use nix::libc;

/// So many system calls after the transaction that raises the cordon it happens: before
/// the first look at the sockets, while SQL is asked, and while backends end.
const MOMENTS: [usize; 5] = [40, 110, 180, 260, 400];

/// Which moments come before the backends have been told to end.
const EARLY: [usize; 2] = [40, 110];

/// A server with two remote clients and a local one.
struct Scene {
    lab: Lab,
    remote: [Session; 2],
    local: Session,
}

impl Scene {
    /// The second remote client runs this.
    fn set(statement: &str) -> Scene {
        let lab = Lab::new(1);
        let (server, client) = (&lab.server, &lab.clients[0]);
        let idle = client.connect(server.at_v4(5432));
        let busy = client.connect(server.at_v6(5432));
        busy.send_query(statement);
        let local = lab.cluster().connect_local();
        local.wait_shown(busy.backend_pid(), "state = 'active'", SOON);
        Scene { lab, remote: [idle, busy], local }
    }

    /// Starts a window, and lets something happen at this moment.
    fn start(&self, moment: usize, happens: impl Fn(&Scene) + Sync) -> Case {
        let mut raised = None;
        let mut happened = false;
        let watch = |call: &Call| {
            if call.result.is_none() {
                if call.number == libc::SYS_sendmsg && raised.is_none() {
                    raised = Some(call.count);
                }
                let is_due = raised.is_some_and(|raised| call.count >= raised + moment);
                if is_due && !happened {
                    happened = true;
                    happens(self);
                }
            }
            Order::GoOn
        };
        let tool = Command::Start.tool(&self.lab.server);
        let (outcome, _) = tool.run_traced(watch);
        assert!(happened, "the drain was over before: {outcome}");
        let case = Case::of(&self.lab.server, &format!("moment {moment}"), outcome);
        case.judge(Command::Start);
        case
    }

    /// Nobody remote is left, and everybody comes back after the window.
    fn assert_drained(&self, case: &Case) {
        let (server, cluster) = (&self.lab.server, self.lab.cluster());
        case.outcome.assert_status(0);
        for session in &self.remote {
            assert!(session.wait_end(SOON).is_closed(), "{}", case.outcome);
        }
        let sockets = server.remote_sockets(5432);
        assert!(!sockets.contains_key(&TcpState::Established), "{sockets:?}");
        cluster.assert_no_remote_row(&cluster.connect_local());
        for (way, session) in cluster.connect_every_local_way() {
            assert!(session.is_alive(), "{way}: {}", case.outcome);
        }
        server.cordon("drain");
        server.cordon("lift");
        assert!(self.lab.clients[0].connect(server.at_v4(5432)).is_alive());
    }

    fn cluster(&self) -> &Cluster {
        self.lab.cluster()
    }
}

/// A statement that waits, and hears of everything.
const WAITS: &str = "select pg_sleep(600)";

/// A statement that waits for nothing.
const WORKS: &str = "do $$ begin loop end loop; end $$";

#[test]
fn a_server_that_stands_still_is_drained_without_sql() {
    for moment in MOMENTS {
        let scene = Scene::set(WAITS);
        let postmaster = scene.cluster().postmaster();
        let case = scene.start(moment, |scene| scene.lab.server.signal(postmaster, "STOP"));
        if EARLY.contains(&moment) {
            assert_eq!(case.report["drain"]["sql"], "PostgreSQL did not answer");
            assert_eq!(case.report["drain"]["signalled"], 2);
        }
        scene.lab.server.signal(postmaster, "CONT");
        scene.assert_drained(&case);
    }
}

#[test]
fn a_server_that_crashes_and_restarts_itself_is_drained() {
    for moment in MOMENTS {
        let scene = Scene::set(WAITS);
        let crashing = scene.local.backend_pid();
        let case = scene.start(moment, |scene| scene.lab.server.signal(crashing, "KILL"));
        // It takes connections again when the last of its old processes has ended.
        let deadline = std::time::Instant::now() + SOON * 2;
        while !scene.cluster().psql("select 1").status.success() {
            assert!(std::time::Instant::now() < deadline, "{}", case.outcome);
            std::thread::sleep(Duration::from_millis(20));
        }
        scene.assert_drained(&case);
    }
}

#[test]
fn a_server_that_is_restarted_is_drained() {
    for moment in MOMENTS {
        let scene = Scene::set(WAITS);
        let case = scene.start(moment, |scene| {
            scene.cluster().stop();
            scene.cluster().start();
        });
        scene.assert_drained(&case);
    }
}

#[test]
fn a_server_that_was_killed_and_recovers_is_drained() {
    for moment in MOMENTS {
        let scene = Scene::set(WORKS);
        let case = scene.start(moment, |scene| {
            let server = &scene.lab.server;
            let processes = server.pids_of("postgres");
            for pid in &processes {
                server.signal(*pid, "KILL");
            }
            for pid in processes {
                server.wait_gone(pid, SOON);
            }
            scene.cluster().start();
        });
        assert!(scene.cluster().log().contains("automatic recovery"));
        scene.assert_drained(&case);
    }
}

#[test]
fn sessions_that_hear_of_their_servers_death_are_no_stragglers() {
    for moment in MOMENTS {
        let scene = Scene::set(WAITS);
        let postmaster = scene.cluster().postmaster();
        let case = scene.start(moment, |scene| scene.lab.server.signal(postmaster, "KILL"));
        case.outcome.assert_status(0);
        scene.lab.server.wait_gone(postmaster, SOON);
        scene.cluster().start();
        scene.assert_drained(&case);
    }
}

#[test]
fn a_session_that_outlives_its_server_is_named_and_not_signalled() {
    for moment in EARLY {
        let scene = Scene::set(WORKS);
        let server = &scene.lab.server;
        let postmaster = scene.cluster().postmaster();
        let orphan = scene.remote[1].backend_pid();
        let case = scene.start(moment, |scene| scene.lab.server.signal(postmaster, "KILL"));
        case.outcome.assert_status(3);
        let stragglers = &case.report["drain"]["stragglers"];
        assert_eq!(stragglers[0]["pid"], orphan, "{}", case.outcome);
        assert_eq!(case.report["drain"]["signalled"], 0);
        assert!(server.is_process(orphan), "{}", case.outcome);
        // What nobody else can do, the administrator does.
        server.signal(orphan, "TERM");
        server.wait_gone(orphan, SOON);
        scene.cluster().start();
        let drained = server.try_cordon("drain");
        let again = Case::of(server, "drained again", drained);
        scene.assert_drained(&again);
    }
}

#[test]
fn a_standby_in_recovery_is_drained_by_sql() {
    let lab = Lab::new(1);
    let host = lab.add_host(2);
    let standby = host.start_standby(lab.cluster(), lab.server.at_v4(5432), "standby");
    let sessions = lab.clients[0].connect_many(host.at_v4(5432), 5);
    sessions[0].send_query(WAITS);
    let outcome = Command::Start.tool(&host).run();
    let case = Case::of(&host, "in recovery", outcome);
    case.judge(Command::Start);
    case.outcome.assert_status(0);
    assert_eq!(case.report["drain"]["sql"], "ok");
    for session in &sessions {
        session.wait_end(SOON).assert_farewell();
    }
    // The stream from its primary goes on: it is no client.
    assert_eq!(standby.value("select pg_is_in_recovery()"), "t");
    lab.cluster().wait_streaming("standby");
}
