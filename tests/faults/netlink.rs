//! Netlink failing at each request of each command, once or from there on: not sent, refused
//! by the kernel, done and not acknowledged. What must come of it:
//!
//! | command | status | what is in force |
//! | --- | --- | --- |
//! | `start` | 0 | the cordon, nobody remote; reading failed once, or where it does not matter |
//! | | 1; 77 if the kernel says EPERM | nothing of it |
//! | | 3 | the cordon; the drain is incomplete or could not be verified, and it says why |
//! | | 3, kind `left` | perhaps the cordon, to its time: neither netlink nor the way back works |
//! | `extend` | 0 | the new end, also where the acknowledgement was lost |
//! | | 1, 77 | the old end |
//! | | 3, kind `read-back` | the old end or the new one: it could not be read |
//! | `lift` | 0 | nothing, also where the acknowledgement was lost |
//! | | 1, 77 | the window, as before |
//! | | 1, 77, kind `read-back` | nothing, or the window: it could not be read |
//! | `status` | 0, 1, 77 | what was in force |
//!
//! One fault alone leaves nothing in doubt: `left` and `read-back` come only where netlink
//! goes on failing, or refuses for want of a privilege.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Helpers of tests are tests, too.

mod lab;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lab::{Fault, Host, Lab, Netlink, Outcome, SOON, warns};
use nix::errno::Errno;
use serde_json::Value;

/// Labs side by side.
const LABS: usize = 3;

/// What fails once at each request.
const ONCE: [Fault; 7] = [
    Fault::Send(Errno::ENOBUFS),
    Fault::Refused(Errno::EPERM),
    Fault::Refused(Errno::EINVAL),
    Fault::Refused(Errno::ENOBUFS),
    Fault::Refused(Errno::EBUSY),
    Fault::Receive(Errno::ENOBUFS),
    Fault::Lost,
];

/// What fails at each request and all later ones.
const FROM_THERE_ON: [Fault; 3] = [
    Fault::Refused(Errno::EPERM),
    Fault::Refused(Errno::ENOBUFS),
    Fault::Lost,
];

const WINDOW: &str = "start --for 10m --no-drain";

/// A command whose requests fail.
struct Row {
    line: &'static str,
    /// Whether a window is in force before.
    in_window: bool,
    /// What must hold afterwards.
    judge: fn(&Case),
}

const ROWS: [Row; 4] = [
    Row {
        line: "start --for 10m --drain-timeout 2s",
        in_window: false,
        judge: Case::judge_start,
    },
    Row {
        line: "extend --by 5m",
        in_window: true,
        judge: Case::judge_extend,
    },
    Row {
        line: "lift",
        in_window: true,
        judge: Case::judge_lift,
    },
    Row {
        line: "status",
        in_window: true,
        judge: Case::judge_status,
    },
];

/// One run with its fault.
struct Case {
    name: String,
    fault: Fault,
    /// Whether the next try would have gone better: only one request has failed, and not
    /// for want of a privilege.
    passes: bool,
    outcome: Outcome,
    status: i32,
    report: Value,
    /// How many seconds the block has left.
    left: Option<u64>,
    /// Whether there is a table at all.
    table: bool,
    /// Whether `status` calls the cordon damaged.
    damaged: bool,
}

impl Case {
    #[track_caller]
    fn check(&self, holds: bool, what: &str) {
        assert!(
            holds,
            "{}: {what}: {:?} s left, table {}, {}",
            self.name, self.left, self.table, self.outcome
        );
    }

    fn has_failed_as(&self, kind: &str) -> bool {
        self.report["error"]["kind"] == kind
    }

    /// It was in force before, and is as it was.
    fn is_as_before(&self) -> bool {
        matches!(self.left, Some(590..=600)) && !self.damaged
    }

    fn judge_start(&self) {
        let cordoned = matches!(self.left, Some(590..=600)) && !self.damaged;
        match self.status {
            0 => {
                self.check(cordoned, "the cordon is in force");
                let drain = &self.report["drain"];
                self.check(drain["unproven"].is_null(), "nobody is left");
            }
            3 if self.has_failed_as("left") => {
                self.check(!self.passes, "one fault is cleaned up");
                self.check(self.report["changed"] == true, "it says so");
            }
            3 => {
                self.check(cordoned, "the cordon is in force");
                let why = &self.report["drain"]["unproven"];
                self.check(why.is_string(), "it says why");
            }
            _ => self.check(!self.table, "nothing of the call is in force"),
        }
    }

    fn judge_extend(&self) {
        match self.status {
            0 => {
                let extended = matches!(self.left, Some(890..=900)) && !self.damaged;
                self.check(extended, "the new end is in force");
            }
            3 => {
                self.check(!self.passes, "one fault is told");
                self.check(self.has_failed_as("read-back"), "it could not be read");
                self.check(self.left.is_some(), "the window is in force");
            }
            _ => self.check(self.is_as_before(), "the old end is in force"),
        }
    }

    fn judge_lift(&self) {
        match self.status {
            0 => self.check(!self.table, "the table is gone"),
            _ if self.has_failed_as("read-back") => self.check(!self.passes, "one fault is told"),
            _ => self.check(self.is_as_before(), "the window goes on"),
        }
    }

    fn judge_status(&self) {
        self.check(self.is_as_before(), "nothing is changed");
        self.check(self.status != 3, "a status of the contract");
    }

    /// What holds of every command.
    fn judge(&self, row: &Row) {
        let known = matches!(self.status, 0 | 1 | 3 | 77);
        self.check(known, "a status of the contract");
        let refused = self.fault == Fault::Refused(Errno::EPERM);
        self.check(self.status != 77 || refused, "77 is a missing privilege");
        self.check(self.left.is_none_or(|left| left <= 900), "it is bounded");
        let failed = self.report["result"] == "failed";
        let told = !failed || self.outcome.stderr.contains("hint: ");
        self.check(told, "a failure says what to do");
        self.check(self.outcome.took < SOON * 2, "in time");
        (row.judge)(self);
    }
}

/// Seconds that the block has left.
fn left(server: &Host) -> Option<u64> {
    let elements = server.timed_elements(5432);
    let (_, window) = elements.iter().find(|(set, _)| *set == "window")?;
    let left = window["elem"]["expires"].as_u64();
    Some(left.expect("an element that ends"))
}

impl Row {
    /// Runs the command in a lab with a fault, and judges what came of it. Says how it
    /// ended, if it has come to the fault at all.
    fn run(&self, lab: &Lab, mut netlink: Netlink, fault: Fault, once: bool) -> Option<String> {
        let (server, client) = (&lab.server, &lab.clients[0]);
        let number = netlink.first();
        let session = client.connect(server.at_v4(5432));
        if self.in_window {
            server.cordon(WINDOW);
        }
        let (outcome, _) = server
            .tool()
            .args(self.line.split(' '))
            .args(["-o", "json"])
            .run_traced(|call| netlink.order(call));
        let left = left(server);
        let damaged = left.is_some() && warns(&server.cordon("status"), &["damaged"]);
        let request = netlink.requests.get(number).cloned().unwrap_or_default();
        let case = Case {
            name: format!(
                "{fault:?} {} request {number} of {} ({request})",
                if once { "at" } else { "from" },
                self.line
            ),
            fault,
            passes: once && fault != Fault::Refused(Errno::EPERM),
            status: outcome.status.code().expect("an exit status"),
            report: outcome.json(),
            outcome,
            left,
            table: server.ruleset().contains("pgcordon_"),
            damaged,
        };
        if netlink.has_failed() {
            case.judge(self);
        } else {
            case.outcome.assert_status(0);
        }
        assert!(lab.cluster().connect_local().is_alive(), "{}", case.name);
        server.cordon("lift");
        assert_eq!(server.ruleset(), "", "{}", case.name);
        drop(session);
        let kind = case.report["error"]["kind"].as_str();
        let kind = kind.map(|kind| format!(" {kind}")).unwrap_or_default();
        netlink
            .has_failed()
            .then(|| format!("{}{kind}", case.status))
    }

    /// Lets each request fail, and counts how that ended.
    fn run_all(&self, labs: &[Lab]) -> usize {
        let endings = Mutex::new(BTreeMap::<String, usize>::new());
        let once = ONCE.map(|fault| (fault, true));
        let on = FROM_THERE_ON.map(|fault| (fault, false));
        for (fault, once) in once.into_iter().chain(on) {
            let next = AtomicUsize::new(0);
            let run = |lab: &Lab| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let netlink = match once {
                    true => Netlink::fail(number, fault),
                    false => Netlink::fail_from(number, fault),
                };
                let ending = self.run(lab, netlink, fault, once);
                let is_failed = ending.is_some();
                let mut endings = endings.lock().unwrap();
                ending.map(|ending| *endings.entry(ending).or_default() += 1);
                is_failed
            };
            thread::scope(|scope| {
                for lab in labs {
                    scope.spawn(|| while run(lab) {});
                }
            });
        }
        let endings = endings.into_inner().unwrap();
        let count = endings.values().sum();
        let line = format!(
            "faults_netlink: {count} faults of `pgcordon {}` ended in {endings:?}\n",
            self.line
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        count
    }
}

#[test]
fn netlink_failing_at_any_request_ends_in_a_stated_outcome() {
    let labs: Vec<Lab> = (0..LABS).map(|_| Lab::new(1)).collect();
    let count: usize = ROWS.iter().map(|row| row.run_all(&labs)).sum();
    assert!(count > 1000, "only {count} faults");
}

/// The number of a command's request that changes the firewall.
fn transaction(server: &Host, line: &str) -> usize {
    let mut netlink = Netlink::watch();
    let tool = server.tool().args(line.split(' '));
    let (outcome, _) = tool.run_traced(|call| netlink.order(call));
    outcome.assert_status(0);
    // NFNL_MSG_BATCH_BEGIN
    let begins = |request: &String| request.contains("type 0x10,");
    netlink.requests.iter().position(begins).expect("one")
}

#[test]
fn an_acknowledgement_that_never_comes_is_waited_for_no_longer_than_is_said() {
    let lab = Lab::bare(1);
    let server = &lab.server;
    let lines = ["start --for 10m --no-drain", "extend --by 5m", "lift"];
    let numbers = lines.map(|line| transaction(server, line));
    for (before, line, number, status) in [
        (None, lines[0], numbers[0], 1),
        (Some(WINDOW), lines[1], numbers[1], 0),
        (None, lines[2], numbers[2], 0),
    ] {
        before.map(|before| server.cordon(before));
        let mut netlink = Netlink::fail(number, Fault::LostSlowly);
        let tool = server.tool().args(line.split(' ')).args(["-o", "json"]);
        let (outcome, _) = tool.run_traced(|call| netlink.order(call));
        outcome.assert_status(status);
        let patience = Duration::from_secs(5)..Duration::from_secs(8);
        assert!(patience.contains(&outcome.took), "{:?}", outcome.took);
        match line {
            "extend --by 5m" => assert!(left(server).unwrap() > 880, "{outcome}"),
            _ => assert_eq!(server.ruleset(), "", "{outcome}"),
        }
        if status == 1 {
            outcome.assert_failure(1, "no-answer");
        }
    }
}
