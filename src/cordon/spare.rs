//! Which existing connections stay: `--spare role=…`, and standbys.

use std::fmt;
use std::str::FromStr;

/// One `--spare`: existing connections of a role, to a database or of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spare {
    Role(String),
    Database(String),
    Application(String),
}

/// Why a text is no `--spare`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not role=NAME, database=NAME or application=NAME")]
pub struct SpareError(String);

impl Spare {
    pub fn matches(&self, role: &str, database: &str, application: &str) -> bool {
        match self {
            Self::Role(name) => name == role,
            Self::Database(name) => name == database,
            Self::Application(name) => name == application,
        }
    }
}

impl FromStr for Spare {
    type Err = SpareError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=').filter(|(_, name)| !name.is_empty()) {
            Some(("role", name)) => Ok(Self::Role(name.to_owned())),
            Some(("database", name)) => Ok(Self::Database(name.to_owned())),
            Some(("application", name)) => Ok(Self::Application(name.to_owned())),
            _ => Err(SpareError(text.to_owned())),
        }
    }
}

impl fmt::Display for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(name) => write!(f, "role={name}"),
            Self::Database(name) => write!(f, "database={name}"),
            Self::Application(name) => write!(f, "application={name}"),
        }
    }
}

/// Which existing connections stay, besides those of the pass list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeepRules {
    pub spare: Vec<Spare>,
    /// Standbys that are connected now may stay and come back.
    pub replication: bool,
    /// Cut even synchronous standbys.
    pub cut_standbys: bool,
}

/// How many synchronous standbys a commit waits for, by `synchronous_standby_names`
/// (PostgreSQL's manual, section 20.6.1): `FIRST n (…)`, `ANY n (…)`, `n (…)` or a plain
/// list, which is `FIRST 1`. Empty: none.
pub fn synchronous_standbys_needed(names: &str) -> usize {
    let names = names.trim();
    if names.is_empty() {
        return 0;
    }
    let Some((before, _)) = names.split_once('(') else {
        return 1;
    };
    let number = before.split_whitespace().last().unwrap_or_default();
    number.parse().unwrap_or(1)
}
