//! Values on the command line that are one of some words.

use crate::cordon::{OnExpiry, Ramp, Verdict, parse_duration};
use clap::ValueEnum;
use std::time::Duration;

/// How long a ramp lasts that is to begin now.
pub(super) fn ramp_length(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    Ramp::check_length(length).map_err(|error| error.to_string())
}

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

impl ValueEnum for OnExpiry {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Warn, Self::Extend, Self::Kill]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let value = clap::builder::PossibleValue::new(self.as_str());
        Some(match self {
            Self::Warn => value.help("Say so; CMD goes on with the port open"),
            Self::Extend => value.help(
                "Move the end on before it comes, by the length of the window each time, up to --max; then warn",
            ),
            Self::Kill => value.help("SIGTERM to CMD's process group, and SIGKILL 10 s later"),
        })
    }
}
