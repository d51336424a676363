//! What every command has at hand.

use crate::guard::Guarded;
use crate::sys::terminal::{Paint, Stream, printable};
use std::time::Instant;

pub struct Context {
    /// The command's name.
    pub command: &'static str,
    /// When `main` began.
    pub began: Instant,
    pub firewall: Guarded,
    /// Only warnings and errors are written.
    pub quiet: bool,
    /// The result is JSON on stdout.
    pub json: bool,
    /// The soft limit of open files that pgcordon was started with; `None` is no limit.
    pub open_files: Option<u64>,
    /// For text on stderr.
    pub paint: Paint,
    /// What the user was warned of.
    pub warnings: Vec<String>,
}

impl Context {
    /// Writes what has been done so far to stderr: stdout is for the result.
    pub fn progress(&self, text: &str) {
        if !self.quiet {
            Stream::Stderr.line(text);
        }
    }

    /// Warns the user at once, and keeps the warning for the JSON.
    pub fn warn(&mut self, text: impl Into<String>) {
        let warning = text.into();
        let label = self.paint.warning("warning:");
        Stream::Stderr.line(&format!("{label} {}", printable(&warning)));
        self.warnings.push(warning);
    }
}
