//! What a command has to say, as JSON or for a human.

mod human;
mod json;
mod policy;
mod terminal;

pub use policy::{Check, CheckedFile, Show};
pub use terminal::{Paint, Stream, printable};

use crate::cordon::{Connection, DrainReport, Ramp, Window};
use std::path::PathBuf;
use std::time::Duration;

/// The result of a command; the words of DESIGN.md section 3.
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
    /// For plan: what would happen to whom.
    pub connections: Option<Vec<Connection>>,
    /// For plan: how new connections would be let in after the window.
    pub ramp: Option<Ramp>,
    /// From the start of `main` to the kernel's acknowledgement.
    pub blocked_after: Option<Duration>,
    /// What the user should know.
    pub warnings: Vec<String>,
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
            connections: None,
            ramp: None,
            blocked_after: None,
            warnings: Vec::new(),
        }
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

/// Why a command failed, as it is reported.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Failure {
    /// A fixed word for programs.
    pub kind: &'static str,
    /// What happened and why.
    pub message: String,
    /// What to do next.
    pub hint: String,
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
