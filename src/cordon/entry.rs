//! One entry of a pass list as a user gives it: an address, an interface, a file.

use super::{PassError, PassList};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde_with::{DeserializeFromStr, SerializeDisplay};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// An address or a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeserializeFromStr, SerializeDisplay, JsonSchema)]
#[schemars(inline)]
pub struct Network(
    #[schemars(with = "String", extend("examples" = ["10.0.0.5", "10.0.0.0/24", "2001:db8::/32"]))]
    pub IpNet,
);

impl FromStr for Network {
    type Err = PassError;

    fn from_str(text: &str) -> Result<Self, PassError> {
        PassList::parse_network(text).map(Self)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The longest name of a network interface (`IFNAMSIZ` less one).
const LONGEST_INTERFACE: usize = 15;

/// The name of a network interface.
#[derive(Debug, Clone, PartialEq, Eq, DeserializeFromStr, SerializeDisplay, JsonSchema)]
#[schemars(inline)]
pub struct Interface(
    #[schemars(length(min = 1, max = 15), extend("examples" = ["eth1"]))] pub String,
);

/// Why a text is no name of an interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not the name of an interface: 1 to {LONGEST_INTERFACE} letters without `/`, `:` and white space"
)]
pub struct InterfaceError(String);

impl FromStr for Interface {
    type Err = InterfaceError;

    fn from_str(text: &str) -> Result<Self, InterfaceError> {
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
        match text.is_empty() || text.len() > LONGEST_INTERFACE || text.contains(is_bad) {
            true => Err(InterfaceError(text.to_owned())),
            false => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
