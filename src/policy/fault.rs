//! What is wrong with a policy's text, and where.

use std::fmt;

/// One thing that is wrong with a policy.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// Where in the text.
    #[serde(flatten)]
    pub place: Place,
    /// The key it is about, such as `drain.farewell` or `ports[1]`; empty for the whole text.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

/// A place in a text; both numbers begin at 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The beginning of the text.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl From<serde_yaml::Location> for Place {
    fn from(location: serde_yaml::Location) -> Self {
        Self {
            line: location.line(),
            column: location.column(),
        }
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

/// One step from a node of the text to one below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// An entry of a mapping: its number, its key, and whether the key is meant, not the value.
    Entry(usize, String, bool),
    /// An element of a list.
    Element(usize),
}

/// Steps as a user writes them: `drain.farewell`, `ports[1]`.
pub(super) fn key_path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Entry(_, key, _) if path.is_empty() => path.push_str(key),
            Step::Entry(_, key, _) => path = format!("{path}.{key}"),
            Step::Element(number) => path = format!("{path}[{number}]"),
        }
    }
    path
}
