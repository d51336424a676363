//! The comment in which a ramp's length is kept.

use crate::cordon::Ramp;
use std::time::Duration;

/// How a ramp's length is noted beside its rule: once the window is over nothing else in
/// the kernel tells it.
#[must_use]
pub fn ramp_comment(ramp: Ramp) -> String {
    format!("ramp of {} ms", ramp.length.as_millis())
}

/// The length in a comment that [`ramp_comment`] has written.
#[must_use]
pub fn ramp_length(comment: &str) -> Option<Duration> {
    let milliseconds = comment.strip_prefix("ramp of ")?.strip_suffix(" ms")?;
    Some(Duration::from_millis(milliseconds.parse().ok()?))
}
