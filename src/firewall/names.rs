//! The names of tables, sets and chains. State is read back from the kernel by these names, so
//! they stand here and nowhere else.

use std::ffi::CString;
use std::fmt;

/// An IP version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];
}

/// A set of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetName {
    /// The port, while it is closed.
    Window,
    /// The protocol family whose fragments are blocked while the port is closed.
    Armed,
    /// The port, while packets of existing connections may pass.
    Farewell,
    /// The port, until its ramp ends.
    Ramp,
    /// The pass list.
    Pass(Family),
    /// Existing connections that are spared, or may finish their close.
    Flows(Family),
    /// Source addresses of blocked packets, counted.
    Knocks(Family),
}

impl SetName {
    pub fn as_str(self) -> &'static str {
        use Family::{V4, V6};
        match self {
            Self::Window => "window",
            Self::Armed => "armed",
            Self::Farewell => "farewell",
            Self::Ramp => "ramp",
            Self::Pass(V4) => "pass4",
            Self::Pass(V6) => "pass6",
            Self::Flows(V4) => "flows4",
            Self::Flows(V6) => "flows6",
            Self::Knocks(V4) => "knocks4",
            Self::Knocks(V6) => "knocks6",
        }
    }
}

/// Whether a set that the kernel names is one of the pass list.
pub fn is_pass_set(name: &str) -> bool {
    let of_family = |family| SetName::Pass(family).as_str() == name;
    Family::BOTH.into_iter().any(of_family)
}

/// A chain of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainName {
    /// What a closed port does with a packet.
    Cordon,
    /// What a port in its ramp does with a new connection.
    Ramping,
    /// Sends packets from outside to one of the two above.
    Outer,
    /// Drops IPv6 fragments in which no port can be seen.
    Fragments,
    /// The hook before everything else.
    Gate,
    /// The hook after NAT.
    Inner,
}

impl ChainName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cordon => "cordon",
            Self::Ramping => "ramping",
            Self::Outer => "outer",
            Self::Fragments => "shards",
            Self::Gate => "gate",
            Self::Inner => "inner",
        }
    }
}

macro_rules! displayed {
    ($($name:ty),*) => {
        $(impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        })*
    };
}
displayed!(SetName, ChainName);

/// The name of a port's table.
pub fn table_name(port: u16) -> String {
    format!("pgcordon_{port}")
}

/// The name of the table that the guard of a port keeps.
pub fn twin_table_name(port: u16) -> String {
    format!("{}_guard", table_name(port))
}

/// The port of a table's name; `None` if it is not one of ours.
pub fn table_port(name: &str) -> Option<u16> {
    let port: u16 = name.strip_prefix("pgcordon_")?.parse().ok()?;
    (port != 0 && table_name(port) == name).then_some(port)
}

/// A name as libnftnl takes it. None of ours has a zero byte.
pub fn c_name(name: &str) -> CString {
    CString::new(name).unwrap_or_default()
}
