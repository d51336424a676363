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
pub(super) enum Tier {
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
    pub(super) fn guess(major: Option<u32>) -> Self {
        match major {
            Some(..14) => Self::Since12,
            Some(14..17) => Self::Since14,
            Some(17..) | None => Self::Since17,
        }
    }

    /// The tier to try after the server has refused this one with `sqlstate`.
    pub(super) fn below(self, sqlstate: &str) -> Option<Self> {
        match (self, sqlstate) {
            (Self::Since17, "42501") => Some(Self::Since17AsUser),
            (Self::Since17 | Self::Since17AsUser, "42704") => Some(Self::Since14),
            (Self::Since14, "42704") => Some(Self::Since12),
            _ => None,
        }
    }

    /// The value of the startup packet's `options`.
    pub(super) fn options(self, statement_timeout: Duration) -> String {
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
        let options: Vec<String> =
            settings.iter().map(|(name, value)| format!("-c {name}={}", escaped(value))).collect();
        options.join(" ")
    }
}

/// The server splits options at white space. A backslash protects the next character
/// (`pg_split_opts` in PostgreSQL's postinit.c).
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        if character.is_ascii_whitespace() || character == '\x0b' || character == '\\' {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(2500);

    #[test]
    fn each_version_gets_what_it_knows() {
        let has = |tier: Tier, name: &str| tier.options(TIMEOUT).contains(name);
        assert!(has(Tier::Since17, "-c event_triggers=off"));
        assert!(!has(Tier::Since17AsUser, "event_triggers"));
        assert!(has(Tier::Since17AsUser, "-c transaction_timeout=0"));
        assert!(!has(Tier::Since14, "transaction_timeout"));
        assert!(has(Tier::Since14, "-c idle_session_timeout=0"));
        assert!(!has(Tier::Since12, "idle_session_timeout"));
        assert!(has(Tier::Since12, "-c search_path=pg_catalog"));
        assert!(has(Tier::Since12, "-c role=none"));
        assert!(has(Tier::Since12, "-c statement_timeout=2500"));
    }

    #[test]
    fn the_way_down_ends() {
        for first in [Tier::Since17, Tier::Since17AsUser, Tier::Since14] {
            let mut tier = first;
            while let Some(next) = tier.below("42704") {
                assert_ne!(tier, next);
                tier = next;
            }
            assert_eq!(tier, Tier::Since12);
        }
        assert_eq!(Tier::Since17.below("42501"), Some(Tier::Since17AsUser));
        assert_eq!(Tier::Since14.below("42501"), None);
        assert_eq!(Tier::Since17.below("28000"), None);
    }

    #[test]
    fn the_guess_follows_the_data_directory() {
        let guesses = [Some(13), Some(14), Some(16), Some(18), None].map(Tier::guess);
        use Tier::{Since12, Since14, Since17};
        assert_eq!(guesses, [Since12, Since14, Since14, Since17, Since17]);
    }

    #[test]
    fn white_space_and_backslashes_are_protected() {
        assert_eq!(escaped("read committed"), "read\\ committed");
        assert_eq!(escaped("a\\b\tc"), "a\\\\b\\\tc");
    }
}
