//! The ramp: the time after a window in which new connections are let in at a limited rate.

use schemars::JsonSchema;
use serde_with::{DeserializeFromStr, SerializeDisplay};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How many new connections a second a ramp lets in where nothing is said.
pub const DEFAULT_RAMP_RATE: u32 = 10;

/// The longest ramp: what limits a port for longer than a day is no way back to normal.
const LONGEST_RAMP: Duration = Duration::from_secs(24 * 60 * 60);

/// The highest rate: a million new connections a second are no limit.
const HIGHEST_RATE: u32 = 1_000_000;

/// How a port is given back: slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ramp {
    /// How long it lasts, from the end of the window on.
    pub length: Duration,
    /// New remote connections that are let in each second; as many at once at its beginning.
    pub per_second: u32,
}

/// Why a text is not a rate, or a length not a ramp's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RampError {
    /// `10` could be a second or a minute.
    #[error("`{0}` has no unit; write {0}/s for {0} new connections a second")]
    NoUnit(String),
    #[error("`{0}` is not a rate; write it like 10/s, for 10 new connections a second")]
    Malformed(String),
    #[error("`{0}` is no rate for a ramp: 1/s is the least, {HIGHEST_RATE}/s the most")]
    OutOfRange(String),
    /// Less than the kernel's clocks can be trusted with.
    #[error("a ramp lasts at least 1s")]
    TooShort,
    #[error("a ramp lasts a day (24h) at most")]
    TooLong,
}

impl Ramp {
    /// Whether a ramp may last so long; gives it in whole milliseconds, as the kernel counts.
    pub fn check_length(length: Duration) -> Result<Duration, RampError> {
        match length {
            short if short < Duration::from_secs(1) => Err(RampError::TooShort),
            long if long > LONGEST_RAMP => Err(RampError::TooLong),
            length => Ok(Duration::from_millis(length.as_millis() as u64)),
        }
    }
}

/// New connections a second: `10/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeserializeFromStr, SerializeDisplay, JsonSchema)]
#[schemars(inline)]
pub struct Rate(
    #[schemars(with = "String", regex(pattern = r"^\s*[0-9]+\s*/s\s*$"), extend("examples" = ["10/s"]))]
    pub u32,
);

impl FromStr for Rate {
    type Err = RampError;

    fn from_str(text: &str) -> Result<Self, RampError> {
        let bare = text.trim();
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = bare.strip_suffix("/s").map(str::trim_end);
        let Some(number) = number.filter(|number| is_number(number)) else {
            return Err(match is_number(bare) {
                true => RampError::NoUnit(bare.to_owned()),
                false => RampError::Malformed(bare.to_owned()),
            });
        };
        match number.parse() {
            Ok(rate @ 1..=HIGHEST_RATE) => Ok(Self(rate)),
            _ => Err(RampError::OutOfRange(bare.to_owned())),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}
