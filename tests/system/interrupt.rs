//! SIGINT, SIGTERM and SIGHUP: what a call has raised is lifted, where that is asked.

use crate::lab::{Lab, Running, SOON, Session, Vitals};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// A server with a remote backend that is stopped, so that a drain waits.
struct Scene {
    lab: Lab,
    vitals: Vitals,
    stuck: Session,
}

impl Scene {
    fn set() -> Scene {
        let lab = Lab::new(1);
        let vitals = lab.cluster().vitals();
        let stuck = lab.clients[0].connect(lab.server.at_v4(5432));
        lab.server.signal(stuck.backend_pid(), "STOP");
        Scene { lab, vitals, stuck }
    }

    /// Starts a command, and returns when the port is blocked and the drain is at work:
    /// the other client has heard its farewell.
    fn begin(&self, line: &[&str]) -> Running {
        let other = self.lab.clients[0].connect(self.lab.server.at_v4(5432));
        let running = self.lab.server.spawn_pgcordon(line);
        other.wait_end(SOON).assert_farewell();
        assert!(self.is_blocked());
        running
    }

    fn is_blocked(&self) -> bool {
        !self.lab.server.set_elements("pgcordon_5432", "window").is_empty()
    }

    /// The port is open, and the server is the same.
    fn assert_open(&self) {
        assert_eq!(self.lab.server.ruleset(), "");
        let session = self.lab.clients[0].connect(self.lab.server.at_v4(5432));
        assert!(session.is_alive());
        self.lab.server.signal(self.stuck.backend_pid(), "CONT");
        assert_eq!(self.lab.cluster().vitals(), self.vitals);
    }
}

#[test]
fn start_is_interrupted_while_it_drains() {
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let scene = Scene::set();
        let line = ["start", "--for", "5m", "--drain-timeout", "1m", "-o", "json"];
        let start = scene.begin(&line);
        start.signal(signal);
        let outcome = start.wait(SOON);
        outcome.assert_status(status);
        assert_eq!(outcome.json()["error"]["kind"], "interrupted");
        scene.assert_open();
    }
}

#[test]
fn an_interrupted_start_leaves_the_window_of_another_alone() {
    let scene = Scene::set();
    let earlier = ["start", "--for", "5m", "--port", "6000"];
    scene.lab.server.pgcordon(earlier).assert_status(0);
    let line = ["start", "--for", "5m", "--port", "5432", "--port", "6000"];
    let start = scene.begin(&[&line[..], &["--drain-timeout", "1m"]].concat());
    start.signal(Signal::SIGINT);
    start.wait(SOON).assert_status(130);
    assert!(!scene.is_blocked());
    let other = scene.lab.server.set_elements("pgcordon_6000", "window");
    assert_eq!(other.len(), 1, "it was there before");
    scene.lab.server.pgcordon(["lift", "--all"]).assert_status(0);
    scene.assert_open();
}

#[test]
fn hold_is_lifted_by_sigint_and_sigterm() {
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let scene = Scene::set();
        let line = ["hold", "--for", "5m", "--drain-timeout", "1s"];
        let hold = scene.begin(&line);
        hold.signal(signal);
        hold.wait(SOON).assert_status(status);
        scene.assert_open();
    }
}

#[test]
fn hold_survives_the_loss_of_its_terminal() {
    let lab = Lab::new(1);
    let vitals = lab.cluster().vitals();
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    let mut hold = lab.server.spawn_pgcordon(["hold", "--for", "5m"]);
    client.wait_end(SOON).assert_farewell();
    hold.signal(Signal::SIGHUP);
    hold.signal(Signal::SIGHUP);
    // A later word is obeyed after it: the hangup was taken in and did not end it.
    assert!(hold.is_running());
    assert!(!lab.server.set_elements("pgcordon_5432", "window").is_empty());
    hold.signal(Signal::SIGTERM);
    hold.wait(SOON).assert_status(143);
    assert_eq!(lab.server.ruleset(), "");
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn hold_ends_with_its_window() {
    let lab = Lab::new(1);
    let vitals = lab.cluster().vitals();
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    let began = Instant::now();
    let outcome = lab.server.pgcordon(["hold", "--for", "6s", "-o", "json"]);
    outcome.assert_status(0);
    assert!(began.elapsed() >= Duration::from_secs(6));
    let report = outcome.json();
    assert_eq!(report["command"], "hold");
    assert_eq!(report["result"], "lifted");
    client.wait_end(SOON).assert_farewell();
    assert_eq!(lab.server.ruleset(), "");
    assert!(lab.clients[0].connect(lab.server.at_v4(5432)).is_alive());
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn hold_ends_when_another_lifts_its_window() {
    let lab = Lab::new(1);
    let vitals = lab.cluster().vitals();
    let client = lab.clients[0].connect(lab.server.at_v4(5432));
    let hold = lab.server.spawn_pgcordon(["hold", "--for", "5m"]);
    client.wait_end(SOON).assert_farewell();
    lab.server.pgcordon(["lift"]).assert_status(0);
    hold.wait(SOON).assert_status(0);
    assert_eq!(lab.server.ruleset(), "");
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn hold_refuses_a_port_that_is_in_a_window() {
    let lab = Lab::new(1);
    let vitals = lab.cluster().vitals();
    lab.server.pgcordon(["start", "--for", "5m"]).assert_status(0);
    let before = lab.server.set_elements("pgcordon_5432", "window").len();
    let outcome = lab.server.pgcordon(["hold", "--for", "1m", "-o", "json"]);
    outcome.assert_status(1);
    assert_eq!(outcome.json()["error"]["kind"], "occupied");
    assert_eq!(lab.server.set_elements("pgcordon_5432", "window").len(), before);
    assert_eq!(lab.cluster().vitals(), vitals);
}

#[test]
fn hold_never_lifts_the_window_of_another() {
    let lab = Lab::bare(0);
    let mut holds: Vec<_> =
        (0..4).map(|_| lab.server.spawn_pgcordon(["hold", "--for", "5m"])).collect();
    let deadline = Instant::now() + SOON;
    let mut running = holds.len();
    while running > 1 {
        assert!(Instant::now() < deadline, "{running} hold the port");
        running = holds.iter_mut().map(|hold| usize::from(hold.is_running())).sum();
    }
    assert_eq!(running, 1);
    lab.server.window();
}
