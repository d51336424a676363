//! The values of a policy that are text with a meaning: durations, networks, rates, names.
//! Each is read once, by the function that reads it on the command line too.

use crate::cordon::{
    PassList, Reason, duration_text, parse_patience, parse_ramp_length, parse_rate,
    parse_window_length, show_rate,
};
use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The longest name that PostgreSQL keeps, in bytes (`NAMEDATALEN` less one).
const LONGEST_NAME: usize = 63;

/// The longest name of a network interface (`IFNAMSIZ` less one).
const LONGEST_INTERFACE: usize = 15;

/// A value that is written as text.
trait Textual: Sized {
    /// What is wanted, in a message.
    const WANTED: &'static str;

    /// Reads it.
    fn read(text: &str) -> Result<Self, String>;

    /// Writes it as it is read.
    fn write(&self) -> String;

    /// What the JSON schema says of it.
    fn schema() -> Schema;
}

struct TextVisitor<T>(std::marker::PhantomData<T>);

impl<T: Textual> TextVisitor<T> {
    /// A number was written: either it lacks its unit, or quotation marks.
    fn number<E: Error>(number: &str) -> Result<T, E> {
        Self::unquoted(number, "a number")
    }

    fn unquoted<E: Error>(given: &str, what: &str) -> Result<T, E> {
        match T::read(given) {
            Ok(_) => Err(E::custom(format!(
                "`{given}` is {what}; text is wanted, so put it in quotation marks"
            ))),
            Err(message) => Err(E::custom(message)),
        }
    }
}

impl<T: Textual> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WANTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::read(text).map_err(E::custom)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<T, E> {
        Self::unquoted(&value.to_string(), "no text")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        Self::number(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        Self::number(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        Self::number(&format!("{number:?}"))
    }
}

macro_rules! textual {
    ($($(#[$doc:meta])* $name:ident($inner:ty), $wanted:literal, $read:expr, $write:expr, $schema:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub $inner);

        impl Textual for $name {
            const WANTED: &'static str = $wanted;

            fn read(text: &str) -> Result<Self, String> {
                let read: fn(&str) -> Result<$inner, String> = $read;
                read(text).map(Self)
            }

            fn write(&self) -> String {
                let write: fn(&$inner) -> String = $write;
                write(&self.0)
            }

            fn schema() -> Schema {
                json_schema!($schema)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(TextVisitor(std::marker::PhantomData))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.write())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                <Self as Textual>::schema()
            }
        }
    )*};
}

textual! {
    /// The length of a window: a second at least.
    WindowLength(Duration),
    "a duration such as 10m",
    |text| parse_window_length(text).map_err(|error| error.to_string()),
    |length| duration_text(*length),
    {"type": "string", "pattern": r"^\s*[0-9].*[A-Za-zµ]\s*$", "examples": ["90s", "10m", "1h30m"]};

    /// A time of the drain; `0s` is none.
    Patience(Duration),
    "a duration such as 10s",
    |text| parse_patience(text).map_err(|error| error.to_string()),
    |length| duration_text(*length),
    {"type": "string", "pattern": r"^\s*[0-9].*[A-Za-zµ]\s*$", "examples": ["0s", "500ms", "10s"]};

    /// The length of a ramp, a day at most; `0s` is none.
    RampLength(Duration),
    "a duration such as 2m",
    parse_ramp_length,
    |length| duration_text(*length),
    {"type": "string", "pattern": r"^\s*[0-9].*[A-Za-zµ]\s*$", "examples": ["0s", "2m"]};

    /// New connections a second.
    Rate(u32),
    "a rate such as 10/s",
    |text| parse_rate(text).map_err(|error| error.to_string()),
    |rate| show_rate(*rate),
    {"type": "string", "pattern": r"^\s*[0-9]+\s*/s\s*$", "examples": ["10/s"]};

    /// An address or a network.
    Network(IpNet),
    "an address or a network such as 10.0.0.0/24",
    |text| PassList::parse_network(text).map_err(|error| error.to_string()),
    |network| network.to_string(),
    {"type": "string", "examples": ["10.0.0.5", "10.0.0.0/24", "2001:db8::/32"]};

    /// An address of this host.
    Address(IpAddr),
    "an address such as 127.0.0.1",
    |text| text.parse().map_err(|_| {
        format!("`{}` is not an address; write it like 127.0.0.1 or ::1", super::meaning::shortened(text))
    }),
    |address| address.to_string(),
    {"type": "string", "examples": ["127.0.0.1", "::1"]};

    /// The name of a network interface.
    Interface(String),
    "the name of an interface such as eth1",
    interface,
    Clone::clone,
    {"type": "string", "minLength": 1, "maxLength": 15, "examples": ["eth1"]};

    /// The name of a role, a database or an application.
    Name(String),
    "a name",
    name,
    Clone::clone,
    {"type": "string", "minLength": 1, "maxLength": 63};

    /// A file or directory by its whole path.
    AbsolutePath(PathBuf),
    "a path such as /etc/pgcordon/office.txt",
    absolute_path,
    |path| path.display().to_string(),
    {"type": "string", "pattern": "^/"};

    /// Why, for those who look.
    Why(Reason),
    "text of at most 100 printable characters",
    |text| Reason::new(text).map_err(|error| error.to_string()),
    |reason| reason.as_str().to_owned(),
    {"type": "string", "maxLength": 100, "pattern": "^[ !#-~]*$"};
}

fn interface(text: &str) -> Result<String, String> {
    let is_bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
    if text.is_empty() || text.len() > LONGEST_INTERFACE || text.contains(is_bad) {
        return Err(format!(
            "`{}` is not the name of an interface: 1 to {LONGEST_INTERFACE} letters without `/`, `:` and white space",
            super::meaning::shortened(text)
        ));
    }
    Ok(text.to_owned())
}

fn name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("the name is empty".to_owned());
    }
    if text.len() > LONGEST_NAME {
        return Err(format!(
            "the name has {} bytes; PostgreSQL keeps {LONGEST_NAME}, so nothing would match",
            text.len()
        ));
    }
    if text.contains(char::is_control) {
        return Err("a name has no control characters".to_owned());
    }
    Ok(text.to_owned())
}

fn absolute_path(text: &str) -> Result<PathBuf, String> {
    if !text.starts_with('/') {
        return Err(format!(
            "`{}` does not begin with `/`; a policy is used from any directory, so write the whole path",
            super::meaning::shortened(text)
        ));
    }
    if text.contains(char::is_control) {
        return Err("a path here has no control characters".to_owned());
    }
    Ok(text.into())
}

/// A TCP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Port(pub u16);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PortVisitor;
        impl Visitor<'_> for PortVisitor {
            type Value = Port;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port, a number from 1 to 65535,")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Port, E> {
                match u16::try_from(number) {
                    Ok(port @ 1..) => Ok(Port(port)),
                    _ => Err(E::custom(format!(
                        "`{number}` is not a port: 1 to 65535 are"
                    ))),
                }
            }
        }
        deserializer.deserialize_u64(PortVisitor)
    }
}

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 1, "maximum": 65535})
    }
}
