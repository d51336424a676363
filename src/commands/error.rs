//! Why a command failed; what another module has said is handed on.

use crate::clients::{self, InterfaceError};
use crate::cordon::{DrainReport, PassError, show};
use crate::drain::{ListenersError, SurveyError};
use crate::failure::{AS_ROOT, Exit, Explain, Explanation, Kind};
use crate::firewall::FirewallError;
use crate::job::FindError;
use crate::policy::PolicyError;
use crate::sys::privilege;
use crate::sys::trusted::{FileError, HOW_TO_TRUST};
use crate::window::{self, WindowError};
use caps::Capability;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error("{0} is missing: pgcordon changes the kernel's firewall")]
    Capability(Capability),
    #[error("a window of {asked} is longer than {most}")]
    TooLong { asked: String, most: String },
    #[error("{entry}: {source}")]
    Allow { entry: String, source: PassError },
    #[error(transparent)]
    AllowFile(#[from] FileError),
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("how long? There is no --for, and {}", no_window(policy.as_deref()))]
    NoLength { policy: Option<PathBuf> },
    /// `--ramp-rate` without a ramp.
    #[error("--ramp-rate says how fast, and nothing says for how long")]
    NoRamp,
    /// `--pg-host` without a password.
    #[error("PostgreSQL at {host} is reached through TCP, and no password file is named")]
    NoPassfile { host: IpAddr },
    #[error(transparent)]
    PassList(#[from] PassError),
    #[error("there are windows on ports {}; name one", show::joined(ports, ", "))]
    WhichWindow { ports: Vec<u16> },
    #[error("no window is in force{}", on(ports))]
    NoWindow { ports: Vec<u16> },
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    /// Signals could not be watched.
    #[error("cannot prepare the process: {0}")]
    Runtime(#[source] io::Error),
    #[error("cannot list the port's sockets: {0}")]
    Sockets(#[source] io::Error),
    #[error(transparent)]
    Survey(#[from] SurveyError),
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// `--pg-host` of another machine.
    #[error("--pg-host {host} is no address of this host")]
    ForeignHost { host: IpAddr },
    #[error(transparent)]
    Listeners(#[from] ListenersError),
    /// `--spare` without SQL.
    #[error(
        "{why}; the cordon is lifted again, and nobody but clients that were logging in was cut"
    )]
    Spare { why: String },
    /// With `--strict`: the drain was incomplete.
    #[error("the drain was incomplete{}; the cordon is lifted again", who(drain))]
    Strict { drain: Box<DrainReport> },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Find(#[from] FindError),
    /// CMD of `run` could not be started, or not waited for.
    #[error("cannot start CMD: {0}")]
    Launch(#[source] io::Error),
    /// `-o json` with `run`.
    #[error("-o json cannot be had with run: stdout belongs to CMD")]
    StdoutTaken,
    #[error("cannot write the report {}: {source}", path.display())]
    ReportFile { path: PathBuf, source: io::Error },
    /// SIGINT or SIGTERM; what this call raised is lifted.
    #[error("interrupted; what this call raised is lifted")]
    Interrupted(Exit),
}

fn who(drain: &DrainReport) -> String {
    let pids: Vec<i32> = drain.stragglers.iter().filter_map(|peer| peer.pid).collect();
    match (&drain.unproven, pids.as_slice()) {
        (Some(why), _) => format!(" ({why})"),
        (None, []) => String::new(),
        (None, pids) => format!(" (backends {} are still there)", show::joined(pids, ", ")),
    }
}

fn no_window(policy: Option<&Path>) -> String {
    match policy {
        Some(path) => format!("the policy {} has no window", path.display()),
        None => "no policy is in use that has a window".to_owned(),
    }
}

fn on(ports: &[u16]) -> String {
    match ports {
        [] => String::new(),
        [port] => format!(" on port {port}"),
        _ => format!(" on ports {}", show::joined(ports, ", ")),
    }
}

/// Whether this process may change nftables in its network namespace.
pub fn check_privilege() -> Result<(), CommandError> {
    match privilege::missing(&[Capability::CAP_NET_ADMIN]).first() {
        None => Ok(()),
        Some(missing) => Err(CommandError::Capability(*missing)),
    }
}

impl Explain for CommandError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Capability(_) => Kind::Privilege.hint(AS_ROOT),
            Self::TooLong { .. } => Kind::TooLong.hint(
                "permit it with --max, for example --max 48h, or with max_window in the policy",
            ),
            Self::Allow { source, .. } => source.explain(),
            Self::AllowFile(error) if error.is_mistrust() => Kind::PassList.hint(HOW_TO_TRUST),
            Self::AllowFile(_) => PassError::hint(),
            Self::Policy(error) => error.explain(),
            Self::NoLength { .. } => Kind::NoLength.hint(
                "say it with --for, for example --for 10m, or write it into the policy: window: 10m",
            ),
            Self::NoRamp => Kind::Usage.hint(
                "add --ramp, for example --ramp 2m, or write it into the policy: ramp: {for: 2m}",
            ),
            Self::NoPassfile { .. } => Kind::Usage
                .hint("name it with --pg-passfile, or in the policy: postgres: {passfile: /FILE}"),
            Self::PassList(error) => error.explain(),
            Self::WhichWindow { .. } => {
                Kind::WhichWindow.hint("name one with --port, or all with --all")
            }
            Self::NoWindow { .. } => Kind::NoWindow.hint(window::START_ONE),
            Self::Window(error) => error.explain(),
            Self::Firewall(error) => error.explain(),
            Self::Runtime(_) => Kind::Runtime.hint(SHELL_LIMITS),
            Self::Sockets(_) => clients::unlisted(),
            Self::Listeners(error) => error.explain(),
            Self::Survey(error) => error.explain(),
            Self::Interface(error) => error.explain(),
            Self::ForeignHost { .. } => Kind::PgHost
                .hint("name an address that PostgreSQL listens on here, for example 127.0.0.1"),
            Self::Spare { .. } => {
                Kind::Spare.hint("make SQL work (see the message), or leave --spare out")
            }
            Self::Strict { .. } => Kind::Incomplete.hint(
                "leave --strict out to keep the cordon, or give the drain more time with --drain-timeout",
            ),
            Self::Write { .. } => Kind::Write.hint("name a directory that you may write to"),
            Self::Find(error) => error.explain(),
            Self::Launch(_) => Kind::Command.hint(SHELL_LIMITS),
            Self::StdoutTaken => Kind::Usage.hint("take the JSON from a file: --report FILE"),
            Self::ReportFile { .. } => Kind::Report.hint(
                "name a file in a folder that root can write, for example --report /root/run.json",
            ),
            Self::Interrupted(exit) => Kind::Interrupted.hint("").exit(*exit),
        }
    }
}

/// What may be wrong where a process cannot do what every process can.
const SHELL_LIMITS: &str = "check the limits of this shell: ulimit -a";
