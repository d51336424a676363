//! SIGKILL at every boundary between pgcordon and the kernel: before its first system call,
//! before each later one (which is after the one in front of it), and so on to its end.
//!
//! Whatever was killed: the port is free, or ends at its time; local clients pass; and the
//! next `lift` cleans up.

use std::io::Write;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::lab::{Host, Lab, Login, Order, SOON, Session, START};
use rustix::fs::{FlockOperation, flock};

/// What must be run in total; fewer would mean that boundaries were missed.
const LEAST: usize = 500;

/// Labs side by side: most of the time one of them waits for the kernel.
const LABS: usize = 4;

/// A command that is killed.
struct Row {
    line: &'static str,
    /// What is done before it.
    before: &'static [&'static str],
    /// Whether a remote client is connected, who has to be drained.
    connected: bool,
    /// How many seconds the block may have left afterwards, where there is one.
    left: RangeInclusive<u64>,
    /// How many seconds anything may have left: a ramp begins when the block ends.
    longest: u64,
    /// Whether the port may be free afterwards.
    may_be_free: bool,
}

const ROWS: [Row; 4] = [
    Row {
        line: "start --for 10m --drain-timeout 5s --allow 10.0.0.0/8 --ramp 30s --reason killed",
        before: &[],
        connected: true,
        left: 500..=600,
        longest: 630,
        may_be_free: true,
    },
    Row {
        line: "extend --by 5m",
        before: &[START],
        connected: false,
        left: 500..=900,
        longest: 900,
        may_be_free: false,
    },
    Row {
        line: "lift",
        before: &[START],
        connected: false,
        left: 500..=600,
        longest: 600,
        may_be_free: true,
    },
    Row {
        line: "lift --ramp 30s",
        before: &[START],
        connected: false,
        left: 500..=600,
        longest: 600,
        may_be_free: true,
    },
];

/// What a row has come to.
#[derive(Default)]
struct Tally {
    kills: AtomicUsize,
    /// After so many of them the port was free.
    free: AtomicUsize,
}

#[test]
fn a_kill_at_any_boundary_leaves_a_port_that_is_free_or_ends_at_its_time() {
    let labs: Vec<Lab> = (0..LABS).map(|_| Lab::new(1)).collect();
    let mut total = 0;
    for row in &ROWS {
        let began = Instant::now();
        let (tally, next) = (Tally::default(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for lab in &labs {
                scope
                    .spawn(|| while row.kill(lab, next.fetch_add(1, Ordering::Relaxed), &tally) {});
            }
        });
        let (kills, free) = (tally.kills.into_inner(), tally.free.into_inner());
        let took = began.elapsed().as_secs_f64();
        report(&format!(
            "{kills} kills of `pgcordon {}`: {free} times the port was free, {} times in its window ({took:.0} s)",
            row.line,
            kills - free
        ));
        assert!(free < kills, "no kill came while a window was in force");
        assert_eq!(row.may_be_free, free > 0, "`{}`", row.line);
        total += kills;
    }
    report(&format!(
        "{total} kills in total, at every system call boundary"
    ));
    assert!(total >= LEAST, "only {total} kills");
}

#[test]
fn a_guard_killed_at_any_boundary_of_a_heal_leaves_a_port_that_is_free_or_ends_at_its_time() {
    let labs: Vec<Lab> = (0..LABS).map(|_| Lab::new(1)).collect();
    let began = Instant::now();
    let (tally, next) = (Tally::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for lab in &labs {
            scope.spawn(|| while kill_guard(lab, next.fetch_add(1, Ordering::Relaxed), &tally) {});
        }
    });
    let (kills, free) = (tally.kills.into_inner(), tally.free.into_inner());
    let took = began.elapsed().as_secs_f64();
    report(&format!(
        "{kills} kills of a guard that heals: {free} times the port was free, {} times in its window ({took:.0} s)",
        kills - free
    ));
    assert!(free > 0 && free < kills, "{free} of {kills}");
}

/// Flushes the ruleset under a guard, and kills that at the boundary in front of its call of
/// this number from then on. Says whether it has come so far: to the end of the heal and of
/// its drain.
fn kill_guard(lab: &Lab, number: usize, tally: &Tally) -> bool {
    let (server, client) = (&lab.server, &lab.clients[0]);
    let window = crate::lab::only_window(&server.cordon("start --for 10m --allow 10.0.0.0/8"));
    let guard = i32::try_from(window["guard_pid"].as_i64().unwrap()).unwrap();
    let (was_killed, calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            server.trace(guard, SOON * 12, |call| {
                calls.fetch_add(1, Ordering::Relaxed);
                match call.result {
                    None if call.count == number => {
                        was_killed.store(1, Ordering::Relaxed);
                        Order::Kill
                    }
                    _ => Order::GoOn,
                }
            })
        });
        // When it is taken hold of it begins to wait anew, which is a call.
        while calls.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        server.nft("flush ruleset");
        wait_until_dead_or_idle(server, guard, &calls);
        let killed = was_killed.load(Ordering::Relaxed) == 1;
        if killed {
            server.wait_gone(guard, SOON);
            tally.kills.fetch_add(1, Ordering::Relaxed);
            let elements = server.timed_elements(5432);
            for (set, element) in &elements {
                let left = element["elem"]["expires"].as_u64();
                assert!(
                    left.is_some_and(|left| left <= 600),
                    "{number}: {set}: {element}"
                );
            }
            if !elements.iter().any(|(set, _)| *set == "window") {
                tally.free.fetch_add(1, Ordering::Relaxed);
                assert!(client.connect(server.at_v4(5432)).is_alive());
            }
            assert_local_clients_pass(lab);
        }
        server.cordon("lift");
        assert_eq!(server.ruleset(), "", "boundary {number}");
        assert_no_lock_is_held(server);
        assert!(client.connect(server.at_v4(5432)).is_alive());
        killed
    })
}

/// Waits until a guard is dead, or has put the table back and makes no call any more. That it
/// does nothing is no event: it is looked at for half a second.
fn wait_until_dead_or_idle(server: &Host, guard: i32, calls: &AtomicUsize) {
    let deadline = Instant::now() + SOON * 6;
    let (mut before, mut quiet) = (usize::MAX, 0);
    while server.is_process(guard) && quiet < 10 {
        assert!(Instant::now() < deadline, "the guard does not come to rest");
        thread::sleep(Duration::from_millis(50));
        let now = calls.load(Ordering::Relaxed);
        let table = ["nft", "list", "table", "inet", "pgcordon_5432"];
        let rests = now == before && server.run(table).status.success();
        quiet = if rests { quiet + 1 } else { 0 };
        before = now;
    }
}

/// Says something that is seen although the test passes: what eprintln says is kept back.
fn report(text: &str) {
    let line = format!("kills: {text}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

impl Row {
    /// Kills the command at the boundary in front of its call of this number. Says whether
    /// it has come so far.
    fn kill(&self, lab: &Lab, number: usize, tally: &Tally) -> bool {
        let (server, client) = (&lab.server, &lab.clients[0]);
        for line in self.before {
            server.cordon(line);
        }
        let session = self.connected.then(|| client.connect(server.at_v4(5432)));
        let (outcome, _) = server
            .tool()
            .args(self.line.split(' '))
            .args(["-o", "json"])
            .run_traced(|call| match call.result {
                None if call.count == number => Order::Kill,
                _ => Order::GoOn,
            });
        let was_killed = outcome.status.code().is_none();
        if was_killed {
            outcome.assert_killed_by(9);
            tally.kills.fetch_add(1, Ordering::Relaxed);
            if self.assert_bounded(server, number) {
                tally.free.fetch_add(1, Ordering::Relaxed);
                assert!(client.connect(server.at_v4(5432)).is_alive());
            }
            assert_local_clients_pass(lab);
        } else {
            outcome.assert_status(0);
        }
        let lifted = server.try_cordon("lift");
        lifted.assert_status(0);
        assert!(lifted.took < SOON, "it waited for a lock: {lifted}");
        assert_eq!(server.ruleset(), "", "boundary {number} of {}", self.line);
        assert_no_lock_is_held(server);
        assert!(client.connect(server.at_v4(5432)).is_alive());
        drop(session);
        was_killed
    }

    /// Fails unless the port is free, where that is right, or blocked for no longer than was
    /// asked for. Says whether it is free.
    #[track_caller]
    fn assert_bounded(&self, server: &Host, number: usize) -> bool {
        let at = format!("killed at boundary {number} of {}", self.line);
        let elements = server.timed_elements(5432);
        for (set, element) in &elements {
            let left = element["elem"]["expires"].as_u64();
            let left = left.unwrap_or_else(|| panic!("{at}: {set}: {element} has no end"));
            assert!(left <= self.longest, "{at}: {set}: {element}");
        }
        let mut window = elements.iter().filter(|(set, _)| *set == "window");
        let Some((_, window)) = window.next() else {
            assert!(self.may_be_free, "{at}: the port is free");
            return true;
        };
        let left = window["elem"]["expires"].as_u64().unwrap();
        assert!(self.left.contains(&left), "{at}: {window}");
        false
    }
}

fn assert_local_clients_pass(lab: &Lab) {
    let ways = [
        Login::unix(lab.cluster().socket()),
        Login::to(([127, 0, 0, 1], 5432).into()),
        Login::to(lab.server.at_v6(5432)),
    ];
    let sessions: Vec<Session> = ways.iter().map(|way| lab.server.login(way)).collect();
    for session in &sessions {
        assert!(session.is_alive());
    }
}

/// A lock file may stay; a lock may not.
fn assert_no_lock_is_held(server: &Host) {
    server.inside(|| {
        let Ok(locks) = std::fs::read_dir("/run/pgcordon") else {
            return; // It was killed before it has made one.
        };
        for lock in locks.map(|entry| entry.unwrap().path()) {
            let file = std::fs::File::open(&lock).unwrap();
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
            assert!(locked.is_ok(), "{} is held", lock.display());
        }
    });
}
