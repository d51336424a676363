//! What every command has at hand.

use crate::guard::Guarded;
use crate::sys::terminal::{Paint, Stream, printable};
use std::time::Instant;

/// What every command has at hand.
pub struct Context {
    /// The command's name.
    pub command: &'static str,
    /// When `main` began.
    pub began: Instant,
    /// The kernel's firewall.
    pub firewall: Guarded,
    /// Whether nothing but warnings and errors is to be said.
    pub quiet: bool,
    /// Whether the result is to be JSON on stdout.
    pub json: bool,
    /// The soft limit of open files that pgcordon was started with; `None` is no limit.
    pub open_files: Option<u64>,
    /// How text for a human is coloured.
    pub paint: Paint,
    /// What the user was warned of.
    pub warnings: Vec<String>,
}

impl Context {
    /// Says what has been done so far, on stderr: stdout is for the result.
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
