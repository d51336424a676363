//! Facts in the words of messages: every room writes them in the same way.

use humantime::format_duration;
use std::time::{Duration, SystemTime};

/// As a setting is read: `1h30m`.
pub fn exactly(duration: Duration) -> String {
    format_duration(duration).to_string().replace(' ', "")
}

/// For a human, whole seconds at most: `9m 59s`.
pub fn duration(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        return format!("{} ms", duration.as_millis());
    }
    format_duration(Duration::from_secs(duration.as_secs())).to_string()
}

/// Whole seconds, rounded: a window of ten minutes shows as `10m`, not as `9m 59s`.
pub fn rounded(time: Duration) -> String {
    if time < Duration::from_millis(500) {
        return "0s".to_owned();
    }
    duration(Duration::from_secs(time.as_secs_f64().round() as u64))
}

/// UTC to the second, for a person.
pub fn clock(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().replace('T', " ")
}

/// RFC 3339 in UTC with milliseconds, for a program.
pub fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// Names in one line: `5432, 5433`
pub fn joined<T: ToString>(names: impl IntoIterator<Item = T>, between: &str) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    names.join(between)
}
