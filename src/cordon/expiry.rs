//! What `run` does when its window ends before its command.

use std::fmt;

/// What becomes of the command of `run` when the window ends before it does.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OnExpiry {
    /// It goes on with the port open, and a warning says so.
    #[default]
    Warn,
    /// The window is extended while it runs, up to the longest that is permitted.
    Extend,
    /// It is ended: SIGTERM, and SIGKILL ten seconds later.
    Kill,
}

impl OnExpiry {
    /// The word used on the command line and in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Extend => "extend",
            Self::Kill => "kill",
        }
    }
}

impl fmt::Display for OnExpiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
