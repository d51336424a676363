//! Which policy is meant, and where it is.

use super::fault::Fault;
use super::parse::parse;
use super::sections::Policy;
use super::suggest::nearest;
use crate::failure::{Exit, Explain, Explanation, Kind, lacks_descriptors};
use crate::sys::trusted::{self, FileError, HOW_TO_TRUST, Trust};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where policies stand by their names: first what the administrator wrote, then what came
/// with pgcordon.
pub const PLACES: [&str; 2] = ["/etc/pgcordon/policies", "/usr/share/pgcordon/policies"];

/// The most that is read of a file, in bytes. That a policy is too long is told of its text.
const LONGEST_FILE: u64 = 1 << 20;

/// The policy that is used when none is named, if it is in the first place.
const DEFAULT_NAME: &str = "default";

/// What `--policy` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// No policy, not even the default one.
    None,
    /// One of the policies of this host.
    Name(String),
    File(PathBuf),
}

/// Why a text names no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    #[error(
        "a policy's name has letters, digits, `-`, `_` and `.`; a file is given with a `/`, such as ./office.yaml"
    )]
    Malformed,
    /// A file's name without its directory.
    #[error("a policy is named without .yaml; for a file write a `/`, such as ./{0}")]
    FileName(String),
}

impl FromStr for Choice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_ordinary = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        match text {
            "none" => Ok(Self::None),
            file if file.contains('/') => Ok(Self::File(file.into())),
            file if file.ends_with(".yaml") || file.ends_with(".yml") => {
                Err(ChoiceError::FileName(file.to_owned()))
            }
            name if name.is_empty() || name.starts_with('.') || !name.chars().all(is_ordinary) => {
                Err(ChoiceError::Malformed)
            }
            name => Ok(Self::Name(name.to_owned())),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Name(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Why there is no policy to go by.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Nobody has written one of this name.
    #[error("there is no policy {name} in {} or {}", PLACES[0], PLACES[1])]
    Unknown {
        name: String,
        /// The names there are.
        there: Vec<String>,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    #[error(transparent)]
    File(#[from] FileError),
    /// What it says.
    #[error("policy {}", in_file(path, fault))]
    Fault { path: PathBuf, fault: Fault },
}

/// A fault with its file, as compilers write it.
pub fn in_file(path: &Path, fault: &Fault) -> String {
    format!("{}:{fault}", path.display())
}

/// The policy that is meant: the one that was chosen, or else the administrator's default, if
/// there is one. One that is bad is never passed over for one of the same name in the second
/// place.
pub fn find(choice: Option<&Choice>, trust: Trust) -> Result<Option<Policy>, PolicyError> {
    match choice {
        Some(Choice::None) => Ok(None),
        Some(Choice::File(path)) => load(path, trust).map(Some),
        Some(Choice::Name(name)) => match in_places(name, &PLACES, trust)? {
            None => Err(unknown(name)),
            found => Ok(found),
        },
        None => in_places(DEFAULT_NAME, &PLACES[..1], trust),
    }
}

/// Reads one policy.
pub fn load(path: &Path, trust: Trust) -> Result<Policy, PolicyError> {
    let text = trusted::read(path, LONGEST_FILE, trust)?;
    let path = path.to_owned();
    match parse(&text) {
        Ok(policy) => Ok(Policy { file: Some(path), ..policy }),
        Err(fault) => Err(PolicyError::Fault { path, fault }),
    }
}

fn in_places(name: &str, places: &[&str], trust: Trust) -> Result<Option<Policy>, PolicyError> {
    for place in places {
        let path = Path::new(place).join(format!("{name}.yaml"));
        match load(&path, trust) {
            // A link that leads nowhere is there, and not what was meant.
            Err(PolicyError::File(error))
                if error.is_missing() && path.symlink_metadata().is_err() => {}
            other => return other.map(Some),
        }
    }
    Ok(None)
}

fn unknown(name: &str) -> PolicyError {
    let files = PLACES.iter().filter_map(|place| std::fs::read_dir(place).ok());
    let names = files.flatten().flatten().filter_map(|entry| {
        let file = entry.file_name().into_string().ok()?;
        file.strip_suffix(".yaml").map(str::to_owned)
    });
    let mut there: Vec<String> = names.collect();
    there.sort();
    there.dedup();
    PolicyError::Unknown {
        name: name.to_owned(),
        nearest: nearest(name, there.iter().map(String::as_str)).map(str::to_owned),
        there,
    }
}

impl Explain for PolicyError {
    fn explain(&self) -> Explanation {
        const NONE: &str = "to go by no policy: --policy none";
        let hint = match self {
            Self::Unknown { there, nearest, .. } => {
                let meant = nearest.as_ref().map(|name| format!("is {name} meant? "));
                let there = match there.as_slice() {
                    [] => "there is none yet".to_owned(),
                    names => format!("there are: {}", names.join(", ")),
                };
                format!(
                    "{}{there}; a file is given with a /, such as ./office.yaml",
                    meant.unwrap_or_default()
                )
            }
            Self::File(error) if error.is_mistrust() => format!("{HOW_TO_TRUST}; {NONE}"),
            Self::File(_) => {
                format!("see the policies of this host with: ls {}; {NONE}", PLACES[0])
            }
            Self::Fault { path, .. } => {
                let path = path.display();
                format!("mend it, and look again with: pgcordon policy check {path}; {NONE}")
            }
        };
        match lacks_descriptors(self) {
            // Nothing is wrong with the policy.
            true => Kind::Policy.hint(hint).exit(Exit::Failed),
            false => Kind::Policy.hint(hint),
        }
    }
}
