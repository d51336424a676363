//! The cordon in the kernel: one nftables table for each port, written and read through
//! netlink. `nft` is never run.

mod attributes;
mod change;
mod compare;
mod decode;
mod element;
mod events;
mod expression;
mod ffi;
mod names;
mod nftables;
mod readback;
mod ruleset;
mod sets;
mod transaction;
mod twin;

pub use change::Change;
pub use events::{Event, Events};
pub use nftables::Nftables;
pub use twin::Twin;

use crate::cordon::{Cordon, Window};
use crate::failure::{AS_ROOT, Explain, Explanation, Kind, OPEN_BY_HAND};
use std::io;
use std::time::Instant;

/// What the rooms above need of a firewall.
pub trait Firewall {
    /// The ports that have a table.
    fn ports(&mut self) -> Result<Vec<u16>, FirewallError>;

    /// Reads one port's table; `None` if there is none.
    fn read(&mut self, port: u16, detail: Detail) -> Result<Option<TableState>, FirewallError>;

    /// Raises cordons and removes the tables of `leftovers`, all in one transaction. Returns the
    /// time of the kernel's acknowledgement. After an error none of the cordons is in force, unless it [is
    /// uncertain](FirewallError::is_uncertain).
    fn raise(&mut self, cordons: &[Cordon], leftovers: &[u16]) -> Result<Instant, FirewallError>;

    /// Changes the cordons of ports in one transaction. After an error they are what they were, unless it is uncertain.
    fn change(&mut self, changes: &[(u16, Change)]) -> Result<(), FirewallError>;

    /// Removes the tables of ports in one transaction. After an error they are all still there, unless it is uncertain.
    fn remove(&mut self, ports: &[u16]) -> Result<(), FirewallError>;
}

/// How much of a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Whole,
    /// Without the pass list: the kernel takes more than a second to list 100,000 networks, and
    /// nobody should wait for that to open a port.
    Block,
}

/// One port's table as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct TableState {
    pub port: u16,
    /// The window in force, or its ramp; `None` if both are over.
    pub window: Option<Window>,
    /// The differences from what pgcordon has written, in words.
    pub faults: Vec<String>,
}

impl TableState {
    /// The window that blocks the port; a ramp blocks nobody any more.
    pub fn closed(&self) -> Option<&Window> {
        self.window.as_ref().filter(|window| window.is_closed())
    }
}

/// Why the firewall could not be changed or read, one variant for each step.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    #[error("cannot open a netlink socket to nftables: {0}")]
    Open(#[source] io::Error),
    /// Nothing was changed.
    #[error("cannot send the transaction to nftables: {0}")]
    Send(#[source] io::Error),
    #[error("the kernel does not let this process change nftables ({step})")]
    Privilege { step: String },
    #[error("the kernel refused to {step}: another process may own this table (flags owner)")]
    Owned { step: String },
    #[error("another program created the table of this port at the same moment")]
    Exists,
    #[error("{step}: it is not there any more")]
    Missing { step: String },
    /// The kernel does not know a part of the table.
    #[error("the kernel refused {step}: {source}")]
    Refused { step: String, source: io::Error },
    #[error("the kernel did not answer within {} s", crate::sys::netlink::WAIT.as_secs())]
    NoAnswer,
    #[error("cannot receive the kernel's answer: {0}")]
    Receive(#[source] io::Error),
    #[error("cannot read nftables: {0}")]
    Read(#[source] io::Error),
    /// The guard would put back the cordon that is to be removed.
    #[error("the guard of port {port} cannot be ended: {source}")]
    Guard { port: u16, source: io::Error },
    #[error("port {port} was read back and is not what was written: {}", faults.join("; "))]
    Differs { port: u16, faults: Vec<String> },
}

impl FirewallError {
    /// Whether the transaction may be in force all the same: it was sent, and its answer was not
    /// received.
    pub fn is_uncertain(&self) -> bool {
        matches!(self, Self::NoAnswer | Self::Receive(_))
    }

    /// Whether the table was read and is not what was written.
    pub fn is_difference(&self) -> bool {
        matches!(self, Self::Differs { .. })
    }

    /// Whether reading again may help: an answer was lost, or a buffer was full.
    fn is_passing(&self) -> bool {
        match self {
            Self::Read(error) => {
                error.raw_os_error().is_some() || error.kind() == io::ErrorKind::TimedOut
            }
            _ => false,
        }
    }

    fn refused(step: &str, deletes_table: bool, source: io::Error) -> Self {
        let step = step.to_owned();
        match source.raw_os_error() {
            // A process without the privilege is refused the batch itself, not a step.
            Some(nix::libc::EPERM) if deletes_table => Self::Owned { step },
            Some(nix::libc::EPERM | nix::libc::EACCES) => Self::Privilege { step },
            Some(nix::libc::EEXIST) => Self::Exists,
            Some(nix::libc::ENOENT) => Self::Missing { step },
            _ => Self::Refused { step, source },
        }
    }

    fn read(source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(nix::libc::EPERM | nix::libc::EACCES) => {
                Self::Privilege { step: "list tables".to_owned() }
            }
            _ => Self::Read(source),
        }
    }
}

impl Explain for FirewallError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Open(_) | Self::Send(_) | Self::Read(_) => Kind::Netlink.hint(
                "nf_tables must be available to this process; in a container it needs CAP_NET_ADMIN",
            ),
            Self::Privilege { .. } => Kind::Privilege.hint(AS_ROOT),
            Self::Owned { .. } => Kind::Owned
                .hint("see who holds it with: nft list tables; it goes when that process ends"),
            Self::Exists => Kind::Race.hint("try again; see pgcordon status"),
            Self::Missing { .. } => Kind::Race.hint("see pgcordon status, and try again"),
            Self::Refused { .. } => Kind::Kernel.hint(
                "the kernel needs nf_tables with inet, fib, limit, counter and named sets (Linux 5.4 or later; --verdict reset needs 5.9)",
            ),
            Self::NoAnswer | Self::Receive(_) => Kind::NoAnswer.hint(by_hand()),
            Self::Guard { .. } => Kind::Guard.hint(
                "end it by hand: pkill -KILL -f '^pgcordon-guard PORT'; then: nft delete table inet pgcordon_PORT",
            ),
            Self::Differs { .. } => Kind::ReadBack.hint(by_hand()),
        }
    }
}

/// A hint for when nobody knows what is in force.
pub fn by_hand() -> String {
    format!("see what is there with: nft list ruleset; open a port by hand with: {OPEN_BY_HAND}")
}
