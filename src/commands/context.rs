//! What every command has at hand.

use crate::guard::Guarded;
use crate::report::Report;
use crate::sys::terminal::{Paint, Stream, printable};
use std::time::Instant;

/// What every command has at hand.
pub struct Context {
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
}

impl Context {
    /// Says what has been done so far, on stderr: stdout is for the result.
    pub fn progress(&self, text: &str) {
        if !self.quiet {
            Stream::Stderr.line(text);
        }
    }

    /// Says what a report has so far, its warnings too, where the command goes on.
    pub fn tell(&self, report: &mut Report) {
        self.progress(&report.to_text(self.paint));
        self.tell_warnings(report);
    }

    /// Adds a warning to a report, and says it at once.
    pub fn warn(&self, report: &mut Report, text: String) {
        report.warnings.push(text);
        self.tell_warnings(report);
    }

    /// Says those warnings that have not been said.
    pub fn tell_warnings(&self, report: &mut Report) {
        for warning in &report.warnings[report.warnings_told..] {
            self.tell_warning(warning);
        }
        report.warnings_told = report.warnings.len();
    }

    /// Says a warning.
    pub fn tell_warning(&self, warning: &str) {
        let label = self.paint.warning("warning:");
        let text = printable(warning);
        Stream::Stderr.line(&format!("{label} {text}"));
    }
}
