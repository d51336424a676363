//! The startup options, which keep settings of a database or role from misleading, stalling or
//! ending the session.
//!
//! The owner of a database need not be a superuser and may attach settings to it with
//! `ALTER DATABASE … SET`. Options of the startup packet override them (PostgreSQL's manual,
//! "Parameter Interaction via the Configuration File" and "via SQL").

use std::time::Duration;

/// Settings that 12 and all later versions know and that every role may set.
const ALWAYS: [(&str, &str); 10] = [
    ("search_path", "pg_catalog"),
    ("role", "none"),
    // A lock on a catalog must not hold a statement after its client has given up on it.
    ("lock_timeout", "5s"),
    // If a database sets these three otherwise, each statement waits for a moment without
    // serializable transactions.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("default_transaction_read_only", "off"),
    // One refused statement must not end the session.
    ("exit_on_error", "off"),
    // pg_terminate_backend of a pid that is gone warns each time.
    ("client_min_messages", "error"),
    ("max_parallel_workers_per_gather", "0"),
    ("jit", "off"),
];

/// The settings that a server accepts. It refuses an unknown setting (SQLSTATE 42704), and one
/// that only a superuser may set (42501).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// 17 on, as a superuser: `transaction_timeout`, and no login event triggers.
    Since17,
    /// 17 on, for a role that may not turn event triggers off.
    Since17AsUser,
    /// 14 on: `idle_session_timeout`.
    Since14,
    /// 12 and 13.
    Since12,
}

impl Tier {
    /// The best first try for a data directory of this major version; the richest tier if the
    /// version is not known.
    pub fn guess(major: Option<u32>) -> Self {
        match major {
            Some(..14) => Self::Since12,
            Some(14..17) => Self::Since14,
            Some(17..) | None => Self::Since17,
        }
    }

    /// The tier to try after the server has refused this one with `sqlstate`.
    pub fn below(self, sqlstate: &str) -> Option<Self> {
        match (self, sqlstate) {
            (Self::Since17, "42501") => Some(Self::Since17AsUser),
            (Self::Since17 | Self::Since17AsUser, "42704") => Some(Self::Since14),
            (Self::Since14, "42704") => Some(Self::Since12),
            _ => None,
        }
    }

    /// The value of the startup packet's `options`.
    pub fn options(self, statement_timeout: Duration) -> String {
        let timeout = statement_timeout.as_millis().max(1).to_string();
        let mut settings = ALWAYS.to_vec();
        settings.push(("statement_timeout", &timeout));
        if self != Self::Since12 {
            settings.push(("idle_session_timeout", "0"));
        }
        if matches!(self, Self::Since17 | Self::Since17AsUser) {
            settings.push(("transaction_timeout", "0"));
        }
        if self == Self::Since17 {
            settings.push(("event_triggers", "off"));
        }
        // The server splits options at blanks, unless a backslash stands before them
        // (`pg_split_opts` in PostgreSQL's postinit.c).
        let option = |(name, value): &(_, &str)| format!("-c {name}={}", value.replace(' ', "\\ "));
        settings.iter().map(option).collect::<Vec<String>>().join(" ")
    }
}
