//! One entry of a pass list as a user gives it: an address, an interface, a file.

use super::{PassError, PassList};
use ipnet::IpNet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

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

impl fmt::Display for AllowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "{network}"),
            Self::Interface(name) => write!(f, "interface:{name}"),
            Self::File(path) => write!(f, "@{}", path.display()),
        }
    }
}
