//! What must hold after a command that has met a fault:
//!
//! | command | status | what is in force |
//! | --- | --- | --- |
//! | `start` | 0 | the cordon, nobody remote |
//! | | 1; 77 if the kernel says EPERM | nothing of it |
//! | | 3 | the cordon; the drain is incomplete or could not be verified, and it says why |
//! | | 3, kind `left` | perhaps the cordon, to its time: neither netlink nor the way back works |
//! | `extend` | 0 | the new end |
//! | | 1, 77 | the old end |
//! | | 3, kind `read-back` | the old end or the new one: it could not be read |
//! | `lift` | 0 | nothing |
//! | | 1, 77 | the window, as before |
//! | | 1, 77, kind `read-back` | nothing, or the window: it could not be read |
//! | `lift --ramp` | 0 | the ramp |
//! | | 1, 77 | the window, as before |
//! | | 1, 77, kind `read-back` | the ramp, or the window: it could not be read |
//! | `status` | 0, 1, 77 | what was in force |

use crate::lab::{Host, Outcome, Program, SOON, warns};
use serde_json::Value;

/// The window that is in force before `extend`, `lift` and `status`.
pub const WINDOW: &str = "start --for 10m --no-drain";

/// A command that meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Start,
    Extend,
    Lift,
    Ramp,
    Status,
}

impl Command {
    /// All of them.
    pub const ALL: [Command; 5] =
        [Command::Start, Command::Extend, Command::Lift, Command::Ramp, Command::Status];

    /// The command line.
    pub fn line(self) -> &'static str {
        match self {
            Command::Start => "start --for 10m --drain-timeout 2s",
            Command::Extend => "extend --by 5m",
            Command::Lift => "lift",
            Command::Ramp => "lift --ramp 30s",
            Command::Status => "status",
        }
    }

    /// Puts a host into the state in which it can do its work.
    pub fn prepare(self, server: &Host) {
        if self != Command::Start {
            server.cordon(WINDOW);
        }
    }

    /// The tool with its line.
    pub fn tool(self, server: &Host) -> Program {
        let words = self.line().split(' ').chain(["-o", "json"]);
        server.tool().args(words)
    }
}

/// What has come of a command.
pub struct Case {
    /// What fault it has met, in words.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Its exit status.
    pub status: i32,
    /// What it printed.
    pub report: Value,
    /// Whether the next try would have gone better.
    pub passes: bool,
    /// How many seconds the block has left.
    pub left: Option<u64>,
    /// Whether there is a table at all.
    table: bool,
    /// Whether `status` calls the cordon damaged.
    damaged: bool,
}

impl Case {
    /// Looks at a host after a command that has ended so.
    pub fn of(server: &Host, name: &str, outcome: Outcome) -> Case {
        server.assert_every_element_ends(5432);
        let left = left(server);
        let damaged = warns(&server.cordon("status"), &["damaged"]);
        Case {
            name: name.to_owned(),
            status: outcome.status.code().expect("an exit status"),
            report: outcome.json(),
            outcome,
            passes: false,
            left,
            table: server.ruleset().contains("pgcordon_"),
            damaged,
        }
    }

    /// Fails with all that is known unless it holds.
    #[track_caller]
    pub fn check(&self, holds: bool, what: &str) {
        assert!(
            holds,
            "{}: {what}: {:?} s left, table {}, {}",
            self.name, self.left, self.table, self.outcome
        );
    }

    /// Status, and kind of a failure.
    pub fn ending(&self) -> String {
        match self.report["error"]["kind"].as_str() {
            Some(kind) => format!("{} {kind}", self.status),
            None => self.status.to_string(),
        }
    }

    /// Fails unless the outcome is one of the table, and true.
    #[track_caller]
    pub fn judge(&self, command: Command) {
        let known = matches!(self.status, 0 | 1 | 3 | 77);
        self.check(known, "a status of the contract");
        self.check(self.left.is_none_or(|left| left <= 900), "it is bounded");
        let failed = self.report["result"] == "failed";
        let told = !failed || self.outcome.stderr.contains("hint: ");
        self.check(told, "a failure says what to do");
        let in_time = self.outcome.took < SOON;
        self.check(in_time, "in time");
        match command {
            Command::Start => self.judge_start(),
            Command::Extend => self.judge_extend(),
            Command::Lift => self.judge_lift(!self.table),
            Command::Ramp => {
                let ramps = self.left.is_none() && self.table && !self.damaged;
                self.judge_lift(ramps);
            }
            Command::Status => {
                self.check(self.is_as_before(), "nothing is changed");
                self.check(self.status != 3, "a status of the contract");
            }
        }
    }

    /// A window of ten minutes is in force, and whole.
    pub fn is_as_before(&self) -> bool {
        matches!(self.left, Some(400..=600)) && !self.damaged
    }

    fn has_failed_as(&self, kind: &str) -> bool {
        self.report["error"]["kind"] == kind
    }

    #[track_caller]
    fn judge_start(&self) {
        let drain = &self.report["drain"];
        match self.status {
            0 => {
                self.check(self.is_as_before(), "the cordon is in force");
                self.check(drain["unproven"].is_null(), "nobody is left");
            }
            3 if self.has_failed_as("left") => {
                self.check(!self.passes, "one fault is cleaned up");
                self.check(self.report["changed"] == true, "it says so");
            }
            3 => {
                self.check(self.is_as_before(), "the cordon is in force");
                let named = drain["stragglers"].as_array().is_some_and(|s| !s.is_empty());
                self.check(named || drain["unproven"].is_string(), "it says why");
            }
            _ => self.check(!self.table, "nothing of the call is in force"),
        }
    }

    #[track_caller]
    fn judge_extend(&self) {
        match self.status {
            0 => {
                let extended = matches!(self.left, Some(700..=900)) && !self.damaged;
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

    #[track_caller]
    fn judge_lift(&self, lifted: bool) {
        match self.status {
            0 => self.check(lifted, "the window has ended"),
            _ if self.has_failed_as("read-back") => self.check(!self.passes, "one fault is told"),
            _ => self.check(self.is_as_before(), "the window goes on"),
        }
    }
}

/// Seconds that the block has left.
pub fn left(server: &Host) -> Option<u64> {
    let elements = server.timed_elements(5432);
    let (_, window) = elements.iter().find(|(set, _)| *set == "window")?;
    let left = window["elem"]["expires"].as_u64();
    Some(left.expect("an element that ends"))
}
