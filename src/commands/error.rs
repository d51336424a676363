//! Why a command failed: each with what the user can do, and the exit status it means.

mod status;

use super::Exit;
use crate::clients::ProcessError;
use crate::cordon::{DrainReport, PassError};
use crate::firewall::FirewallError;
use crate::job::FindError;
use crate::policy::PolicyError;
use crate::report::Failure;
use crate::sys::lock::LockError;
use crate::sys::privilege;
use crate::sys::trusted::FileError;
use crate::window::WindowError;
use caps::Capability;
use std::io;
use std::path::{Path, PathBuf};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A capability is missing.
    #[error("{0} is missing: pgcordon changes the kernel's firewall")]
    Capability(Capability),
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
    #[error(transparent)]
    AllowFile(#[from] FileError),
    /// A policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Nobody has said how long the window lasts.
    #[error("how long? There is no --for, and {}", no_window(policy.as_deref()))]
    NoLength {
        /// The policy's file, if there is one.
        policy: Option<PathBuf>,
    },
    /// `--ramp-rate` without a ramp.
    #[error("--ramp-rate says how fast, and nothing says for how long")]
    NoRamp,
    /// `--pg-host` without a password.
    #[error("PostgreSQL at {host} is reached through TCP, and no password file is named")]
    NoPassfile {
        /// The address.
        host: std::net::IpAddr,
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
    /// Sockets could not be listed.
    #[error("cannot list the port's sockets: {0}")]
    Sockets(#[source] io::Error),
    /// Processes could not be looked at.
    #[error(transparent)]
    Processes(crate::clients::ProcessError),
    /// Nobody could be found out about.
    #[error(transparent)]
    Survey(crate::drain::SurveyError),
    /// An interface of the pass list.
    #[error(transparent)]
    Interface(#[from] crate::clients::InterfaceError),
    /// `--pg-host` of another machine.
    #[error("--pg-host {host} is no address of this host")]
    ForeignHost {
        /// The address.
        host: std::net::IpAddr,
    },
    /// The port belongs to another service.
    #[error("port {port} is held by {name}, not by PostgreSQL")]
    NotPostgres {
        /// The port.
        port: u16,
        /// The process.
        name: String,
    },
    /// `--spare` without SQL.
    #[error(
        "{why}; the cordon is lifted again, and nobody but clients that were logging in was cut"
    )]
    Spare {
        /// Why.
        why: String,
    },
    /// With `--strict`: the drain was incomplete.
    #[error("the drain was incomplete{}; the cordon is lifted again", who(drain.as_deref()))]
    Strict {
        /// What the drain has done.
        drain: Option<Box<DrainReport>>,
    },
    /// A file that was to be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// CMD of `run` cannot be run.
    #[error(transparent)]
    Find(#[from] FindError),
    /// CMD of `run` could not be started, or not waited for.
    #[error("cannot start CMD: {0}")]
    Launch(#[source] io::Error),
    /// `-o json` with `run`.
    #[error("-o json cannot be had with run: stdout belongs to CMD")]
    StdoutTaken,
    /// The file of `--report`.
    #[error("cannot write the report {}: {source}", path.display())]
    ReportFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SIGINT or SIGTERM; what this call raised is lifted.
    #[error("interrupted; what this call raised is lifted")]
    Interrupted(Exit),
}

fn who(drain: Option<&DrainReport>) -> String {
    let Some(drain) = drain else {
        return String::new();
    };
    let pids = drain.stragglers.iter().filter_map(|peer| peer.pid);
    let pids: Vec<String> = pids.map(|pid| pid.to_string()).collect();
    match (&drain.unproven, pids.is_empty()) {
        (Some(why), _) => format!(" ({why})"),
        (None, false) => format!(" (backends {} are still there)", pids.join(", ")),
        (None, true) => String::new(),
    }
}

fn no_window(policy: Option<&Path>) -> String {
    match policy {
        Some(path) => format!("the policy {} has no window", path.display()),
        None => "no policy is in use that has a window".to_owned(),
    }
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

/// What makes a file one that root trusts.
const TRUST: &str = "the file and every directory on the way must belong to root, and nobody else may write to them: keep it in /etc/pgcordon, for example, after chown root and chmod go-w";

/// What to do about a policy.
fn policy_hint(error: &PolicyError) -> String {
    match error {
        PolicyError::Unknown { there, nearest, .. } => {
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
        PolicyError::File(error) if error.is_mistrust() => {
            format!("{TRUST}; to go by no policy: --policy none")
        }
        PolicyError::File(_) => {
            "see the policies of this host with: ls /etc/pgcordon/policies; to go by no policy: --policy none".to_owned()
        }
        PolicyError::Faults { path, .. } => format!(
            "mend it, and look again with: pgcordon policy check {}; to go by no policy: --policy none",
            path.display()
        ),
    }
}

/// Whether this process may change nftables in its network namespace.
///
/// # Errors
/// The capability that is missing.
pub fn check_privilege() -> Result<(), CommandError> {
    match privilege::missing(&[Capability::CAP_NET_ADMIN]).first() {
        None => Ok(()),
        Some(missing) => Err(CommandError::Capability(*missing)),
    }
}

impl CommandError {
    /// How it is reported.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (kind, hint) = match (self.kind_and_hint(), self.is_out_of_descriptors()) {
            ((kind, _), true) => (kind, "raise the limit of open files, see ulimit -Hn"),
            (both, false) => both,
        };
        let hint = match self {
            Self::Policy(error) if !self.is_out_of_descriptors() => policy_hint(error),
            _ => hint.to_owned(),
        };
        Failure {
            kind,
            message: self.to_string(),
            hint,
            changed: self.exit() == Exit::Incomplete,
        }
    }

    /// Whether the process, or the machine, has no file descriptor left.
    fn is_out_of_descriptors(&self) -> bool {
        let mut cause: Option<&dyn std::error::Error> = Some(self);
        while let Some(error) = cause {
            let kernel = error.downcast_ref::<io::Error>();
            let number = kernel.and_then(io::Error::raw_os_error);
            if matches!(number, Some(nix::libc::EMFILE | nix::libc::ENFILE)) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    fn kind_and_hint(&self) -> (&'static str, &'static str) {
        const BY_HAND: &str = "see what is there with: nft list ruleset; open a port by hand with: pkill -KILL -f '^pgcordon-guard PORT'; nft delete table inet pgcordon_PORT";
        match self {
            Self::Capability(_) | Self::Firewall(FirewallError::Privilege { .. }) => {
                ("privilege", "run it as root, for example with sudo")
            }
            Self::TooLong { .. } => (
                "too-long",
                "permit it with --max, for example --max 48h, or with max_window in the policy",
            ),
            Self::Window(WindowError::TooLong { .. }) => {
                ("too-long", "permit it with --max, for example --max 48h")
            }
            Self::Policy(_) => ("policy", ""),
            Self::NoLength { .. } => (
                "no-length",
                "say it with --for, for example --for 10m, or write it into the policy: window: 10m",
            ),
            Self::NoRamp => (
                "usage",
                "add --ramp, for example --ramp 2m, or write it into the policy: ramp: {for: 2m}",
            ),
            Self::NoPassfile { .. } => (
                "usage",
                "name it with --pg-passfile, or in the policy: postgres: {passfile: /FILE}",
            ),
            Self::AllowFile(error) if error.is_mistrust() => ("pass-list", TRUST),
            Self::Allow { .. } | Self::PassList(_) | Self::AllowFile(_) => (
                "pass-list",
                "give addresses, networks, interface:NAME or @FILE with one of them a line",
            ),
            Self::WhichWindow { .. } => ("which-window", "name one with --port, or all with --all"),
            Self::NoWindow { .. } | Self::Window(WindowError::None { .. }) => (
                "no-window",
                "see pgcordon status; start one with pgcordon start --for 10m",
            ),
            Self::Window(WindowError::Ramp { .. }) => (
                "no-window",
                "end the ramp with pgcordon lift; close the port again with pgcordon start --for 10m",
            ),
            Self::Window(WindowError::NoRamp { .. }) => (
                "no-ramp",
                "say how long the ramp is to be: pgcordon lift --ramp 30s; pgcordon lift opens the port at once",
            ),
            Self::Interrupted(_) => ("interrupted", ""),
            Self::Processes(ProcessError::Privilege(_)) => {
                ("privilege", "run it as root, for example with sudo")
            }
            Self::Sockets(_) | Self::Processes(_) | Self::Survey(_) => (
                "clients",
                "the kernel needs sock_diag for TCP (CONFIG_INET_DIAG), and /proc must be mounted",
            ),
            Self::Interface(_) => ("pass-list", "see the names of interfaces with: ip address"),
            Self::ForeignHost { .. } => (
                "pg-host",
                "name an address that PostgreSQL listens on here, for example 127.0.0.1",
            ),
            Self::NotPostgres { .. } => (
                "not-postgresql",
                "check --port; to cordon it all the same, and drain it by sockets only, add --any-listener",
            ),
            Self::Spare { .. } => (
                "spare",
                "make SQL work (see the message), or leave --spare out",
            ),
            Self::Strict { .. } => (
                "incomplete",
                "leave --strict out to keep the cordon, or give the drain more time with --drain-timeout",
            ),
            Self::Find(_) => (
                "command",
                "check its name and mode; what stands behind -- is run without a shell, so for one write -- sh -c '...'",
            ),
            Self::Launch(_) => ("command", "check the limits of this shell: ulimit -a"),
            Self::StdoutTaken => ("usage", "take the JSON from a file: --report FILE"),
            Self::ReportFile { .. } => (
                "report",
                "name a file in a folder that root can write, for example --report /root/run.json",
            ),
            Self::Write { .. } => ("write", "name a directory that you may write to"),
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
                "lift it first: pgcordon lift; a pass list can also be changed with pgcordon allow",
            ),
            Self::Window(WindowError::Left { .. }) => ("left", BY_HAND),
            Self::Window(WindowError::Unverified { .. } | WindowError::LiftUnverified { .. }) => {
                ("read-back", BY_HAND)
            }
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
            FirewallError::Owned { .. } => (
                "owned",
                "see who holds it with: nft list tables; it goes when that process ends",
            ),
            FirewallError::Guard { .. } => (
                "guard",
                "end it by hand: pkill -KILL -f '^pgcordon-guard PORT'; then: nft delete table inet pgcordon_PORT",
            ),
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
}
