//! What a command has to say, as JSON or for a human.

mod file;
mod human;
mod json;
mod policy;

pub use file::ReportFile;
pub use policy::{Check, CheckedFile, Show};

use crate::cordon::{Connection, Cordon, DrainReport, Ramp, Window, WindowId};
use crate::failure::Failure;
use crate::sys::terminal::Paint;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// What a command has come to: the word under `result` in the JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
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
    #[serde(rename = "lifted")]
    Ramping,
    /// There was none.
    NotCordoned,
    /// Nothing was done, on purpose.
    Planned,
    /// The state was read.
    Status,
}

/// All that a command reports.
#[derive(Debug, Clone)]
pub struct Report {
    /// The command's name.
    pub command: &'static str,
    /// Whether this call changed anything.
    pub changed: bool,
    /// What came of it.
    pub outcome: Outcome,
    /// The policy that it went by.
    pub policy: Option<PathBuf>,
    /// The windows it is about.
    pub windows: Vec<Window>,
    /// What was drained, if anything was.
    pub drain: Option<DrainReport>,
    /// For plan: what is asked for, one for each port, those in a window already too.
    pub planned: Vec<Cordon>,
    /// For plan: what would happen to whom.
    pub connections: Option<Vec<Connection>>,
    /// For plan: how new connections would be let in after the window.
    pub ramp: Option<Ramp>,
    /// From the start of `main` to the kernel's acknowledgement.
    pub blocked_after: Option<Duration>,
    /// For run: CMD, if it was started.
    pub command_run: Option<CommandRun>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// How many of the warnings have been printed already.
    pub warnings_told: usize,
}

/// CMD of `run`, after its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRun {
    /// CMD without its arguments, which may hold a password.
    pub program: String,
    /// Its process id.
    pub pid: i32,
    /// Its exit status as a shell shows it.
    pub status: u8,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// When it was started.
    pub started_at: SystemTime,
    /// When it ended.
    pub ended_at: SystemTime,
    /// Whether it ended before the window did.
    pub in_time: bool,
}

impl Report {
    /// A report that says nothing yet.
    #[must_use]
    pub fn new(command: &'static str, outcome: Outcome) -> Self {
        Self {
            command,
            changed: false,
            outcome,
            policy: None,
            windows: Vec::new(),
            drain: None,
            planned: Vec::new(),
            connections: None,
            ramp: None,
            blocked_after: None,
            command_run: None,
            warnings: Vec::new(),
            warnings_told: 0,
        }
    }

    /// Which windows it is about.
    #[must_use]
    pub fn own(&self) -> Vec<WindowId> {
        self.windows.iter().map(Window::id).collect()
    }

    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        json::report(self)
    }

    /// For a human.
    #[must_use]
    pub fn to_text(&self, paint: Paint) -> String {
        human::report(self, paint)
    }
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
    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            Self::Report(report) => report.to_json(),
            Self::Check(check) => check.to_json(),
            Self::Show(show) => show.to_json(),
            Self::Text(text) => text.clone(),
        }
    }

    /// For a human.
    #[must_use]
    pub fn to_text(&self, paint: Paint) -> String {
        match self {
            Self::Report(report) => report.to_text(paint),
            Self::Check(check) => check.to_text(paint),
            Self::Show(show) => show.to_text(),
            Self::Text(text) => text.clone(),
        }
    }

    /// What the user should know.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Report(report) => &report.warnings,
            Self::Show(show) => &show.warnings,
            Self::Check(_) | Self::Text(_) => &[],
        }
    }

    /// Why it is a failure all the same.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Check(check) => check.failure.as_ref(),
            _ => None,
        }
    }
}

impl Failure {
    /// As one JSON object.
    #[must_use]
    pub fn to_json(&self, command: &str) -> String {
        json::failure(command, self)
    }

    /// For a human: one line, and the hint below it.
    #[must_use]
    pub fn to_text(&self, paint: Paint) -> String {
        human::failure(self, paint)
    }
}
