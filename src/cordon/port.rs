//! The TCP port of a setting.

use schemars::JsonSchema;
use serde_with::DeserializeFromStr;
use std::fmt;
use std::str::FromStr;

/// A TCP port, which is not 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DeserializeFromStr, serde::Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Port(#[schemars(range(min = 1, max = 65535))] pub u16);

/// Why a text is no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a port: a number from 1 to 65535 is")]
pub struct PortError(String);

impl FromStr for Port {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        match text.parse() {
            Ok(port @ 1..) => Ok(Self(port)),
            _ => Err(PortError(text.to_owned())),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
