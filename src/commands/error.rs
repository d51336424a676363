//! Why a command failed: each with what the user can do, and the exit status it means.

use super::Exit;
use crate::cordon::PassError;
use crate::firewall::FirewallError;
use crate::lock::LockError;
use crate::report::Failure;
use crate::window::WindowError;
use std::io;
use std::path::PathBuf;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A capability is missing.
    #[error("{0} is missing: pgcordon changes the kernel's firewall")]
    Capability(&'static str),
    /// The window is longer than is allowed.
    #[error("a window of {asked} is longer than {most}")]
    TooLong {
        /// What was asked for.
        asked: String,
        /// The most.
        most: String,
    },
    /// An entry of the pass list.
    #[error("{entry}: {source}")]
    Allow {
        /// The entry, or file and line.
        entry: String,
        /// What is wrong.
        source: PassError,
    },
    /// A file of networks.
    #[error("cannot read {}: {source}", path.display())]
    AllowFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The pass list as a whole.
    #[error(transparent)]
    PassList(#[from] PassError),
    /// There are several windows and none was named.
    #[error("there are windows on ports {}; name one", show(ports))]
    WhichWindow {
        /// Their ports.
        ports: Vec<u16>,
    },
    /// There is no window.
    #[error("no window is in force{}", on(ports))]
    NoWindow {
        /// The ports that were named.
        ports: Vec<u16>,
    },
    /// A window could not be raised or changed.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// The firewall could not be read.
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// Signals could not be watched.
    #[error("cannot prepare the process: {0}")]
    Runtime(#[source] io::Error),
    /// SIGINT or SIGTERM; what this call raised is lifted.
    #[error("interrupted; what this call raised is lifted")]
    Interrupted(Exit),
}

fn show(ports: &[u16]) -> String {
    let names: Vec<_> = ports.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn on(ports: &[u16]) -> String {
    match ports {
        [] => String::new(),
        [port] => format!(" on port {port}"),
        _ => format!(" on ports {}", show(ports)),
    }
}

/// Whether this process may change nftables in its network namespace.
///
/// # Errors
/// The capability that is missing.
pub fn check_privilege() -> Result<(), CommandError> {
    use caps::{CapSet, Capability};
    match caps::has_cap(None, CapSet::Effective, Capability::CAP_NET_ADMIN) {
        Ok(true) => Ok(()),
        _ => Err(CommandError::Capability("CAP_NET_ADMIN")),
    }
}

impl CommandError {
    /// How it is reported.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (kind, hint) = self.kind_and_hint();
        Failure {
            kind,
            message: self.to_string(),
            hint: hint.to_owned(),
        }
    }

    fn kind_and_hint(&self) -> (&'static str, &'static str) {
        const BY_HAND: &str = "see what is there with: nft list ruleset; open a port by hand with: nft delete table inet pgcordon_PORT";
        match self {
            Self::Capability(_) | Self::Firewall(FirewallError::Privilege { .. }) => {
                ("privilege", "run it as root, for example with sudo")
            }
            Self::TooLong { .. } | Self::Window(WindowError::TooLong { .. }) => {
                ("too-long", "permit it with --max, for example --max 48h")
            }
            Self::Allow { .. } | Self::PassList(_) | Self::AllowFile { .. } => (
                "pass-list",
                "give addresses, networks, interface:NAME or @FILE with one of them a line",
            ),
            Self::WhichWindow { .. } => ("which-window", "name one with --port, or all with --all"),
            Self::NoWindow { .. } | Self::Window(WindowError::None { .. }) => (
                "no-window",
                "see pgcordon status; start one with pgcordon start --for 10m",
            ),
            Self::Interrupted(_) => ("interrupted", ""),
            Self::Runtime(_) => ("runtime", "check the limits of this shell: ulimit -a"),
            Self::Firewall(error) => Self::of_firewall(error, BY_HAND),
            Self::Window(WindowError::Firewall(error)) => Self::of_firewall(error, BY_HAND),
            Self::Window(WindowError::Lock(LockError::Taken { .. })) => (
                "locked",
                "wait for the other call, or end it; see pgcordon status",
            ),
            Self::Window(WindowError::Lock(_)) => (
                "lock",
                "/run must be writable for root; the directory /run/pgcordon must belong to root with mode 0700",
            ),
            Self::Window(WindowError::Differs { .. }) => (
                "window-differs",
                "change it with pgcordon allow or pgcordon extend, or lift it first: pgcordon lift",
            ),
            Self::Window(WindowError::Occupied { .. }) => {
                ("occupied", "end that window first: pgcordon lift")
            }
            Self::Window(WindowError::Pass(_)) => (
                "pass-list",
                "name the networks that may pass; see pgcordon status",
            ),
        }
    }

    fn of_firewall(error: &FirewallError, by_hand: &'static str) -> (&'static str, &'static str) {
        match error {
            FirewallError::Privilege { .. } => {
                ("privilege", "run it as root, for example with sudo")
            }
            FirewallError::Exists => ("race", "try again; see pgcordon status"),
            FirewallError::Missing { .. } => ("race", "see pgcordon status, and try again"),
            FirewallError::Refused { .. } => (
                "kernel",
                "the kernel needs nf_tables with inet, fib, limit, counter and named sets (Linux 5.4 or later; --verdict reset needs 5.9)",
            ),
            FirewallError::NoAnswer | FirewallError::Receive(_) => ("no-answer", by_hand),
            FirewallError::Differs { .. } => ("read-back", by_hand),
            FirewallError::Open(_) | FirewallError::Send(_) | FirewallError::Read(_) => (
                "netlink",
                "nf_tables must be available to this process; in a container it needs CAP_NET_ADMIN",
            ),
        }
    }

    /// The exit status it means.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Capability(_)
            | Self::Firewall(FirewallError::Privilege { .. })
            | Self::Window(WindowError::Firewall(FirewallError::Privilege { .. })) => {
                Exit::Privilege
            }
            Self::TooLong { .. }
            | Self::Window(WindowError::TooLong { .. } | WindowError::Pass(_))
            | Self::Allow { .. }
            | Self::AllowFile { .. }
            | Self::PassList(_)
            | Self::WhichWindow { .. } => Exit::Usage,
            Self::NoWindow { .. } | Self::Window(WindowError::None { .. }) => Exit::NoWindow,
            Self::Interrupted(exit) => *exit,
            Self::Window(_) | Self::Firewall(_) | Self::Runtime(_) => Exit::Failed,
        }
    }
}
