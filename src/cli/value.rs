//! Values on the command line, and how they are read.

use crate::cordon::{PassError, PassList, Ramp, Verdict, parse_duration};
use clap::ValueEnum;
use ipnet::IpNet;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// One entry of a pass list as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowEntry {
    /// An address or a network.
    Network(IpNet),
    /// The networks connected to an interface.
    Interface(String),
    /// A file with one entry a line.
    File(PathBuf),
}

impl FromStr for AllowEntry {
    type Err = PassError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix('@') {
            return Ok(Self::File(path.into()));
        }
        if let Some(name) = text.strip_prefix("interface:") {
            return Ok(Self::Interface(name.to_owned()));
        }
        PassList::parse_network(text).map(Self::Network)
    }
}

/// A duration of a drain; a part of a millisecond would be no time at all.
pub(super) fn pace(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    if !length.is_zero() && length < Duration::from_millis(1) {
        return Err("a millisecond is the least; 0s cuts at once".to_owned());
    }
    if length > LONGEST {
        return Err("nothing here lasts longer than 10 years".to_owned());
    }
    Ok(length)
}

/// A duration that blocks something.
pub(super) fn window_length(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    if length < Duration::from_secs(1) {
        return Err("a window lasts at least 1s".to_owned());
    }
    if length > LONGEST {
        return Err("nothing here lasts longer than 10 years".to_owned());
    }
    Ok(length)
}

/// How long a ramp lasts.
pub(super) fn ramp_length(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    Ramp::check_length(length).map_err(|error| error.to_string())
}

/// The longest duration; the kernel takes it, and the clock can be asked for its end.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl ValueEnum for Verdict {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Drop, Self::Reset]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let value = clap::builder::PossibleValue::new(self.as_str());
        Some(match self {
            Self::Drop => value.help("No answer: clients wait and try again"),
            Self::Reset => value.help("A TCP reset: clients fail at once"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cordon::DEFAULT_MAX_WINDOW;

    #[test]
    fn the_default_of_max_is_the_designs() {
        assert_eq!(window_length("24h").unwrap(), DEFAULT_MAX_WINDOW);
    }
}
