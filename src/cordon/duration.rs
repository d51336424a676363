//! Durations as systemd writes them: `90s`, `10m`, `1h30m`.

use super::{Ramp, RampError, show};
use schemars::JsonSchema;
use serde_with::{DeserializeFromStr, SerializeDisplay};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// `10` could be seconds or minutes; on a production port nobody should guess.
    #[error("`{0}` has no unit; write {0}s for seconds or {0}m for minutes")]
    NoUnit(String),
    #[error("`{text}` is not a duration: {why}; write it like 90s, 10m or 1h30m")]
    Malformed { text: String, why: String },
}

/// Reads a duration that carries its unit: a bare number is an error of its own, `0s` is none.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let bare = text.trim();
    if !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DurationError::NoUnit(bare.to_owned()));
    }
    let mut units = bare.split(|c: char| c.is_ascii_digit() || c.is_whitespace());
    let read = match () {
        () if bare.starts_with('-') => Err("it is negative".to_owned()),
        () if units.any(|unit| unit == "M") => Err("M is months, m is minutes".to_owned()),
        () => humantime::parse_duration(bare).map_err(|error| error.to_string()),
    };
    read.map_err(|why| DurationError::Malformed { text: bare.to_owned(), why })
}

/// The longest duration; the kernel takes it, and the clock can be asked for its end.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Why a duration is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LengthError {
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// What blocks something must be worth it.
    #[error("a window lasts at least 1s")]
    ShortWindow,
    /// A part of a millisecond would be no time at all.
    #[error("a millisecond is the least; 0s cuts at once")]
    ShortDrain,
    /// The same, where zero means that there is none.
    #[error("a millisecond is the least; 0s means not at all")]
    ShortCancel,
    #[error(transparent)]
    Ramp(#[from] RampError),
    #[error("nothing here lasts longer than 10 years")]
    TooLong,
}

/// Durations that are settings: each has its own bounds, and is written as it is read.
macro_rules! duration_settings {
    ($($(#[$doc:meta])* $name:ident, $check:ident $(($short:expr))?, $examples:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, DeserializeFromStr, SerializeDisplay, JsonSchema)]
        #[schemars(inline)]
        pub struct $name(
            #[schemars(with = "String", regex(pattern = r"^\s*[0-9].*[A-Za-zµ]\s*$"), extend("examples" = $examples))]
            pub Duration,
        );

        impl FromStr for $name {
            type Err = LengthError;

            fn from_str(text: &str) -> Result<Self, LengthError> {
                let length = parse_duration(text)?;
                $check(length $(, $short)?).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&show::exactly(self.0))
            }
        }
    )*};
}

duration_settings! {
    /// The length of a window: from a second to ten years.
    WindowLength, window, ["90s", "10m", "1h30m"];
    /// A time of the drain; `0s` cuts at once.
    DrainTime, zero_or_a_millisecond(LengthError::ShortDrain), ["0s", "500ms", "10s"];
    /// The time that cancelled statements are given; `0s` cancels none.
    CancelTime, zero_or_a_millisecond(LengthError::ShortCancel), ["0s", "10s"];
    /// The length of a ramp, a day at most; `0s` is none.
    RampLength, ramp, ["0s", "2m"];
}

fn window(length: Duration) -> Result<Duration, LengthError> {
    match length < Duration::from_secs(1) {
        true => Err(LengthError::ShortWindow),
        false => within(length),
    }
}

fn ramp(length: Duration) -> Result<Duration, LengthError> {
    match length {
        Duration::ZERO => Ok(length),
        length => Ok(Ramp::check_length(length)?),
    }
}

fn zero_or_a_millisecond(length: Duration, short: LengthError) -> Result<Duration, LengthError> {
    match !length.is_zero() && length < Duration::from_millis(1) {
        true => Err(short),
        false => within(length),
    }
}

fn within(length: Duration) -> Result<Duration, LengthError> {
    match length > LONGEST {
        true => Err(LengthError::TooLong),
        false => Ok(length),
    }
}
