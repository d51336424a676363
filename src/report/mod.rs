//! What a command has to say, as JSON or for a human.

mod file;
pub mod human;
pub mod json;
mod policy;

pub use file::ReportFile;
pub use policy::{Check, CheckedFile, Show};

use crate::cordon::{Connection, Cordon, DrainReport, Window};
use crate::failure::Failure;
use crate::sys::terminal::Paint;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// All that a command reports of windows: what every such report has, and the rest.
#[derive(Debug, Clone)]
pub struct Report {
    pub command: &'static str,
    /// Whether this call changed anything.
    pub changed: bool,
    /// The policy that it went by.
    pub policy: Option<PathBuf>,
    /// The windows it is about.
    pub windows: Vec<Window>,
    /// What was drained, or would be.
    pub drain: Option<DrainReport>,
    /// From the start of `main` to the kernel's acknowledgement.
    pub blocked_after: Option<Duration>,
    pub body: Body,
}

/// What a report has beyond that.
#[derive(Debug, Clone)]
pub enum Body {
    /// What has become of the windows.
    Windows(Outcome),
    /// What a call would do.
    Plan {
        /// What is asked for, one for each port, those in a window already too.
        cordons: Vec<Cordon>,
        connections: Vec<Connection>,
    },
    /// What has become of the windows of `run`, and CMD, if it was started.
    Run(Outcome, Option<CommandRun>),
    /// What is the case, with the connections where they are known.
    Status(Option<Vec<Connection>>),
}

/// What has become of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A cordon was raised.
    Cordoned,
    /// It was there already.
    AlreadyCordoned,
    /// The cordon is in force and the drain is incomplete.
    Incomplete,
    /// Nobody remote is left.
    Drained,
    /// The end was moved.
    Extended,
    /// The pass list is as asked.
    Allowed,
    /// The window was ended.
    Lifted,
    /// The window was ended and its ramp begun.
    Ramping,
    /// There was none.
    NotCordoned,
}

/// CMD of `run`, after its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRun {
    /// CMD without its arguments, which may hold a password.
    pub program: String,
    pub pid: i32,
    /// Its exit status as a shell shows it.
    pub status: u8,
    /// The signal that ended it.
    pub signal: Option<i32>,
    pub started_at: SystemTime,
    pub ended_at: SystemTime,
    /// Whether it ended before the window did.
    pub in_time: bool,
}

/// What a command answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Windows, drains, connections.
    Report(Box<Report>),
    /// Whether policies are valid.
    Check(Check),
    /// What a policy comes to.
    Show(Box<Show>),
    /// A text that is the same for everybody.
    Text(String),
}

impl Answer {
    /// As one JSON object, with what the user was warned of.
    pub fn to_json(&self, warnings: &[String]) -> String {
        match self {
            Self::Report(report) => json::report(report, warnings),
            Self::Check(check) => check.to_json(),
            Self::Show(show) => show.to_json(warnings),
            Self::Text(text) => text.clone(),
        }
    }

    /// For a human.
    pub fn to_text(&self, paint: Paint) -> String {
        match self {
            Self::Report(report) => human::report(report, paint),
            Self::Check(check) => check.to_text(paint),
            Self::Show(show) => show.to_text(),
            Self::Text(text) => text.clone(),
        }
    }

    /// Why it is a failure all the same.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Check(check) => check.failure.as_ref(),
            _ => None,
        }
    }
}

impl Report {
    /// A report of windows that were not raised by this call.
    pub fn new(command: &'static str, changed: bool, windows: Vec<Window>, body: Body) -> Self {
        Self { command, changed, policy: None, windows, drain: None, blocked_after: None, body }
    }
}
