//! The record of who did what to a window: in the journal with a field for each fact, else in
//! the system log, and with `--verbose` on stderr.
//!
//! A record is made after the fact, never delays it and never fails it: a log that is
//! missing, full or stopped is passed over. No descriptor stays open, and no runtime is
//! needed, so that a guard with nothing left but its own files can use it.

mod logs;
mod record;
mod who;

pub use record::{allowed, drained, ended, extended, healed, lifted, started};

use crate::cordon::show::{joined, timestamp};
use crate::cordon::{DrainReport, SqlOutcome, Window};
use std::fmt::Write;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Start,
    /// A damaged or missing cordon was put back.
    Heal,
    Extend,
    /// A window was ended before its time.
    Lift,
    /// A window's time was over.
    End,
    Drain,
    Allow,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Heal => "heal",
            Self::Extend => "extend",
            Self::Lift => "lift",
            Self::End => "end",
            Self::Drain => "drain",
            Self::Allow => "allow",
        }
    }
}

/// One record: names and values, in the order in which they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it is nowhere until it is recorded"]
pub struct Event {
    action: Action,
    fields: Vec<(&'static str, String)>,
}

impl Event {
    pub fn new(action: Action) -> Self {
        Self { action, fields: Vec::new() }
    }

    /// Adds a fact, unless its value is empty. Names are in lower case, and the words of the
    /// JSON where it has them.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        let value = value.to_string();
        if !value.is_empty() {
            self.fields.push((name, value));
        }
        self
    }

    pub fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Why it was done, or what caused it.
    pub fn why(self, why: impl ToString) -> Self {
        self.with("why", why)
    }

    pub fn window(self, window: &Window) -> Self {
        let identity = &window.cordon.identity;
        let length = window.ends_at.duration_since(identity.started_at);
        let reason = window.cordon.reason.as_ref().map(|reason| reason.as_str());
        self.with("port", window.cordon.port)
            .with("window", format!("{:016x}", identity.id))
            .with("started_at", timestamp(identity.started_at))
            .with("ends_at", timestamp(window.ends_at))
            // The kernel rounds: finer digits would not be what was asked for.
            .with("for_s", format!("{:.1}", length.unwrap_or_default().as_secs_f64()))
            .with("remaining_s", seconds(window.cordon.length))
            .with("by", &identity.by)
            .with("by_uid", identity.by_uid)
            .with_some("reason", reason)
            .with_some("ramp_s", window.cordon.ramp.map(|ramp| seconds(ramp.length)))
            .with_some("ramp_per_s", window.cordon.ramp.map(|ramp| ramp.per_second))
            .with("healed", identity.healed)
            .with("packets", window.blocked.packets)
            .with("bytes", window.blocked.bytes)
            .with("knocks", window.knocks.len())
    }

    pub fn drain(self, drain: &DrainReport) -> Self {
        let sql = match &drain.sql {
            SqlOutcome::Used => "ok",
            SqlOutcome::NotUsed(why) => why,
        };
        let stragglers = drain.stragglers.iter().filter_map(|peer| peer.pid);
        self.with("complete", drain.is_complete())
            .with("backends_found", drain.backends.found)
            .with("backends_ended", drain.backends.ended)
            .with("backends_left", drain.backends.left)
            .with("sockets_found", drain.sockets.found)
            .with("sockets_destroyed", drain.sockets.destroyed)
            .with("sockets_closing", drain.sockets.closing)
            .with("sockets_left", drain.sockets.left)
            .with("signalled", drain.signalled)
            .with("stragglers", joined(stragglers, ","))
            .with("took_s", seconds(drain.took))
            .with("sql", sql)
            .with_some("unproven", drain.unproven.as_deref())
    }

    /// Adds who did it, and writes it to the logs.
    pub fn record(mut self) {
        self.fields.extend(who::fields());
        let line = self.line();
        tell(self.action, &line);
        logs::send(self.action, &line, &self.fields);
    }

    /// One line of text, as `name=value` (logfmt).
    pub fn line(&self) -> String {
        let mut line = self.action.as_str().to_owned();
        for (name, value) in &self.fields {
            let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\');
            let _ = match value.chars().all(is_plain) {
                true => write!(line, " {name}={value}"),
                // Escapes what could upset a terminal, or forge a line.
                false => write!(line, " {name}={value:?}"),
            };
        }
        line
    }
}

/// Hands a line to the subscriber of this thread: stderr, or the journal for a moment.
fn tell(action: Action, line: &str) {
    match action {
        // Somebody opened a port that was meant to be closed.
        Action::Heal => tracing::warn!("{line}"),
        _ => tracing::info!("{line}"),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}
