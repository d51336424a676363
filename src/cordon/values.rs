//! Values as a user writes them: on the command line, in a policy, in a file of a pass list.

use super::{PassError, PassList};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_with::{DeserializeFromStr, SerializeDisplay};
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::str::FromStr;

/// Choices that are one word: on the command line, in policies and in JSON.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

words! {
    /// What happens to a remote packet under a cordon.
    Verdict {
        /// Dropped without an answer: the client waits and tries again.
        #[default]
        Drop = "drop",
        /// Answered by a TCP reset (at most 1000 a second), so that the client fails at once.
        Reset = "reset",
    }

    /// What becomes of the command of `run` when the window ends before it does.
    OnExpiry {
        /// It goes on with the port open, and a warning says so.
        #[default]
        Warn = "warn",
        /// The window is extended while it runs, up to the longest that is permitted.
        Extend = "extend",
        /// It is ended: SIGTERM, and SIGKILL ten seconds later.
        Kill = "kill",
    }
}

/// A TCP port, which is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeserializeFromStr, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Port(#[schemars(range(min = 1, max = 65535))] pub u16);

/// An address or a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeserializeFromStr, SerializeDisplay, JsonSchema)]
#[schemars(inline)]
pub struct Network(
    #[schemars(with = "String", extend("examples" = ["10.0.0.5", "10.0.0.0/24", "2001:db8::/32"]))]
    pub IpNet,
);

/// The longest name of a network interface (`IFNAMSIZ` less one).
const LONGEST_INTERFACE: usize = 15;

/// The name of a network interface.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDisplay, JsonSchema)]
#[schemars(inline)]
pub struct Interface(
    #[schemars(length(min = 1, max = 15), extend("examples" = ["eth1"]))] pub String,
);

/// The longest name that PostgreSQL keeps, in bytes (`NAMEDATALEN` less one).
const LONGEST_NAME: usize = 63;

/// The name of a role, a database or an application.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDisplay, JsonSchema)]
#[schemars(inline)]
pub struct Name(#[schemars(length(min = 1, max = 63))] pub String);

/// The longest reason, in characters. A rule's comment holds 127 bytes
/// (libnftnl's `NFTNL_UDATA_COMMENT_MAXLEN`), `nft -f` takes 128.
const LONGEST_REASON: usize = 100;

/// A text of at most 100 printable ASCII characters without a quotation mark, for which `nft`
/// has no escape: a saved ruleset with one in a comment could not be loaded again.
#[derive(Debug, Clone, PartialEq, Eq, SerializeDisplay)]
pub struct Reason(String);

/// One entry of a pass list as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowEntry {
    Network(IpNet),
    /// The networks connected to an interface.
    Interface(String),
    /// A file with one entry a line.
    File(PathBuf),
}

/// Why a text is no such value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    #[error("`{0}` is not a port: a number from 1 to 65535 is")]
    Port(String),
    #[error(
        "`{0}` is not the name of an interface: 1 to {LONGEST_INTERFACE} letters without `/`, `:` and white space"
    )]
    Interface(String),
    #[error("the name is empty")]
    EmptyName,
    /// PostgreSQL cuts longer names off.
    #[error("the name has {0} bytes; PostgreSQL keeps {LONGEST_NAME}, so nothing would match")]
    LongName(usize),
    #[error("a name has no control characters")]
    ControlInName,
    #[error("the reason has {0} characters; {LONGEST_REASON} are the most that fit beside a rule")]
    LongReason(usize),
    #[error(
        "the reason holds {0:?}; only printable ASCII characters without a quotation mark can stand beside a rule"
    )]
    UnprintableReason(char),
}

impl FromStr for Port {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.parse() {
            Ok(port @ 1..) => Ok(Self(port)),
            _ => Err(ValueError::Port(text.to_owned())),
        }
    }
}

impl FromStr for Network {
    type Err = PassError;

    fn from_str(text: &str) -> Result<Self, PassError> {
        PassList::parse_network(text).map(Self)
    }
}

impl FromStr for Interface {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
        match text.is_empty() || text.len() > LONGEST_INTERFACE || text.contains(is_bad) {
            true => Err(ValueError::Interface(text.to_owned())),
            false => Ok(Self(text.to_owned())),
        }
    }
}

impl FromStr for Name {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "" => Err(ValueError::EmptyName),
            long if long.len() > LONGEST_NAME => Err(ValueError::LongName(long.len())),
            name if name.contains(char::is_control) => Err(ValueError::ControlInName),
            name => Ok(Self(name.to_owned())),
        }
    }
}

impl FromStr for Reason {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_bad = |c: &char| !(' '..='~').contains(c) || *c == '"';
        match text.chars().find(is_bad) {
            Some(bad) => Err(ValueError::UnprintableReason(bad)),
            None if text.len() > LONGEST_REASON => Err(ValueError::LongReason(text.len())),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl Reason {
    pub fn as_str(&self) -> &str {
        &self.0
    }
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

/// Values that are written as what they hold.
macro_rules! written_as_held {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )*};
}

written_as_held! { Port Network Interface Name Reason }

impl fmt::Display for AllowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "{network}"),
            Self::Interface(name) => write!(f, "interface:{name}"),
            Self::File(path) => write!(f, "@{}", path.display()),
        }
    }
}

/// A text that is one in YAML as well. serde_yaml would give any scalar as a text, so that `~`
/// became a role of that name, and `1.10` or `off` in place of a name went unnoticed.
struct Text<T>(T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct TextOnly<T>(PhantomData<T>);

        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for TextOnly<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            // What is refused here, and not later, has the place of the value.
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }
        }

        source.deserialize_any(TextOnly(PhantomData))
    }
}

/// Values that a number, a boolean or null cannot stand for.
macro_rules! read_from_text {
    ($($name:ident)*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
                Text::deserialize(source).map(|Text(value)| value)
            }
        }
    )*};
}

read_from_text! { Interface Name Reason }

/// What is said of a key that stands without a value.
pub const NO_VALUE: &str = "it has no value; give it one, or remove the key";

/// Reads the value of a key that may be left out, but not stand without a value.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(source: D) -> Result<T, D::Error> {
    Option::deserialize(source)?.ok_or_else(|| D::Error::custom(NO_VALUE))
}

/// The same for a field that is `None` where the key is left out.
pub fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    source: D,
) -> Result<Option<T>, D::Error> {
    given(source).map(Some)
}

/// The same for a field that holds a text or a path.
pub fn said_text<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    source: D,
) -> Result<Option<T>, D::Error> {
    given(source).map(|Text(value)| Some(value))
}
