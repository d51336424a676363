//! What is wrong with a policy's text, and where.

use std::fmt;

/// What is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    #[serde(flatten)]
    pub place: Place,
    /// The key it is about, such as `drain.farewell` or `ports[1]`; empty for the whole text.
    pub key: String,
    /// What is wrong, what is allowed, and what was probably meant.
    pub message: String,
}

/// A place in a text; both numbers begin at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// The beginning of the text.
    pub const START: Self = Self { line: 1, column: 1 };

    /// Where an error was found; the beginning, if it does not say.
    pub(super) fn of(error: &serde_yaml::Error) -> Self {
        error.location().map_or(Self::START, |location| Self {
            line: location.line(),
            column: location.column(),
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.place;
        write!(f, "{line}:{column}: ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}
