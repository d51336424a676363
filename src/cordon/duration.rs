//! Durations as systemd writes them: `90s`, `10m`, `1h30m`.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// `10` could be seconds or minutes; on a production port nobody should guess.
    #[error("`{0}` has no unit; write {0}s for seconds or {0}m for minutes")]
    NoUnit(String),
    /// Not a duration at all.
    #[error("`{text}` is not a duration: {why}; write it like 90s, 10m or 1h30m")]
    Malformed {
        /// What was given.
        text: String,
        /// What the parser says of it.
        why: String,
    },
}

/// Reads a duration that carries its unit.
///
/// # Errors
/// A bare number is an error of its own; `0s` is a valid duration here.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let bare = text.trim();
    if !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError::NoUnit(bare.to_owned()));
    }
    if bare.starts_with('-') {
        return Err(DurationError::Malformed {
            text: bare.to_owned(),
            why: "it is negative".to_owned(),
        });
    }
    humantime::parse_duration(bare).map_err(|error| DurationError::Malformed {
        text: bare.to_owned(),
        why: error.to_string(),
    })
}

/// Writes a duration for a human, whole seconds at most: `9m 59s`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{} ms", duration.as_millis());
    }
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_says_that_the_unit_is_missing() {
        assert_eq!(
            parse_duration("10").unwrap_err().to_string(),
            "`10` has no unit; write 10s for seconds or 10m for minutes"
        );
    }

    #[test]
    fn units_add_up() {
        assert_eq!(parse_duration("1h30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(parse_duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_duration("250ms").unwrap(), Duration::from_millis(250));
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["", "-5m", "soon", "5 parsecs", "999999999999999999999s"] {
            let message = parse_duration(text).unwrap_err().to_string();
            assert!(message.contains("write it like 90s"), "{text}: {message}");
        }
    }
}
