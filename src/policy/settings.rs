//! One value for each setting, and where it came from: a flag wins over the policy's file,
//! the file over what is built in. `--port` replaces the list of ports; `--allow` and
//! `--spare` add to theirs.

use super::find::Found;
use super::schema::{self, Policy};
use crate::cordon::{
    AllowEntry, DEFAULT_DRAIN_TIMEOUT, DEFAULT_FAREWELL, DEFAULT_MAX_WINDOW, DEFAULT_PORT,
    DEFAULT_RAMP_RATE, OnExpiry, Reason, Spare, Verdict,
};
use crate::postgres::Access;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nobody said anything.
    BuiltIn,
    /// The policy's file.
    File,
    /// The command line.
    Flag,
}

/// A value with its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
}

/// What one source says; what is empty it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partial {
    /// Ports to cordon.
    pub ports: Option<Vec<u16>>,
    /// Length of the window.
    pub window: Option<Duration>,
    /// The longest that is permitted.
    pub max_window: Option<Duration>,
    /// What remote packets meet.
    pub verdict: Option<Verdict>,
    /// Who passes.
    pub allow: Vec<AllowEntry>,
    /// Whether connected standbys pass.
    pub replication: Option<bool>,
    /// Whose existing connections stay.
    pub spare: Vec<Spare>,
    /// The farewell.
    pub farewell: Option<Duration>,
    /// When what is left are stragglers.
    pub timeout: Option<Duration>,
    /// How long cancelled statements may take; zero for no cancelling.
    pub cancel_first: Option<Duration>,
    /// Whether an incomplete drain lifts.
    pub strict: Option<bool>,
    /// Length of the ramp; zero for none.
    pub ramp_for: Option<Duration>,
    /// New connections a second in the ramp.
    pub ramp_rate: Option<u32>,
    /// What becomes of a command that outlasts the window.
    pub on_expiry: Option<OnExpiry>,
    /// How PostgreSQL is reached.
    pub postgres: Access,
    /// Why.
    pub reason: Option<Reason>,
}

/// Every setting, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The policy's file, if there is one.
    pub file: Option<PathBuf>,
    /// What the policy is for.
    pub description: Option<String>,
    /// Ports to cordon.
    pub ports: Given<Vec<u16>>,
    /// Length of the window, if anybody has said it.
    pub window: Option<Given<Duration>>,
    /// The longest that is permitted.
    pub max_window: Given<Duration>,
    /// What remote packets meet.
    pub verdict: Given<Verdict>,
    /// Who passes.
    pub allow: Vec<Given<AllowEntry>>,
    /// Whether connected standbys pass.
    pub replication: Given<bool>,
    /// Whose existing connections stay.
    pub spare: Vec<Given<Spare>>,
    /// The farewell.
    pub farewell: Given<Duration>,
    /// When what is left are stragglers.
    pub timeout: Given<Duration>,
    /// How long cancelled statements may take; zero for no cancelling.
    pub cancel_first: Given<Duration>,
    /// Whether an incomplete drain lifts.
    pub strict: Given<bool>,
    /// Length of the ramp; zero for none.
    pub ramp_for: Given<Duration>,
    /// New connections a second in the ramp.
    pub ramp_rate: Given<u32>,
    /// What becomes of a command that outlasts the window.
    pub on_expiry: Given<OnExpiry>,
    /// How PostgreSQL is reached.
    pub postgres: Postgres,
    /// Why.
    pub reason: Option<Given<Reason>>,
}

/// How PostgreSQL is reached; what nobody has said is found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Postgres {
    /// Directory of the Unix socket.
    pub socket_dir: Option<Given<PathBuf>>,
    /// Role.
    pub user: Option<Given<String>>,
    /// Database.
    pub database: Option<Given<String>>,
    /// An address of this host, instead of the Unix socket.
    pub host: Option<Given<IpAddr>>,
    /// Password file.
    pub passfile: Option<Given<PathBuf>>,
}

impl Settings {
    /// Decides every setting.
    #[must_use]
    pub fn merge(flags: Partial, found: Option<&Found>) -> Self {
        let file = found.map(|found| Partial::from(&found.policy));
        let file = file.unwrap_or_default();
        Self {
            file: found.map(|found| found.path.clone()),
            description: found.and_then(|found| found.policy.description.clone()),
            ports: or(flags.ports, file.ports, vec![DEFAULT_PORT]),
            window: either(flags.window, file.window),
            max_window: or(flags.max_window, file.max_window, DEFAULT_MAX_WINDOW),
            verdict: or(flags.verdict, file.verdict, Verdict::default()),
            allow: both(flags.allow, file.allow),
            replication: or(flags.replication, file.replication, false),
            spare: both(flags.spare, file.spare),
            farewell: or(flags.farewell, file.farewell, DEFAULT_FAREWELL),
            timeout: or(flags.timeout, file.timeout, DEFAULT_DRAIN_TIMEOUT),
            cancel_first: or(flags.cancel_first, file.cancel_first, Duration::ZERO),
            strict: or(flags.strict, file.strict, false),
            ramp_for: or(flags.ramp_for, file.ramp_for, Duration::ZERO),
            ramp_rate: or(flags.ramp_rate, file.ramp_rate, DEFAULT_RAMP_RATE),
            on_expiry: or(flags.on_expiry, file.on_expiry, OnExpiry::default()),
            postgres: Postgres::merge(flags.postgres, file.postgres),
            reason: either(flags.reason, file.reason),
        }
    }
}

impl Postgres {
    /// The values alone.
    #[must_use]
    pub fn access(&self) -> Access {
        fn value<T: Clone>(given: &Option<Given<T>>) -> Option<T> {
            given.as_ref().map(|given| given.value.clone())
        }
        Access {
            socket_dir: value(&self.socket_dir),
            user: value(&self.user),
            database: value(&self.database),
            host: value(&self.host),
            passfile: value(&self.passfile),
        }
    }

    fn merge(flags: Access, file: Access) -> Self {
        // The way through the socket and the way through TCP exclude each other: who names
        // one on the command line does not want the file's other one.
        let (file_dir, file_host) = match (&flags.socket_dir, flags.host) {
            (Some(_), None) => (file.socket_dir, None),
            (None, Some(_)) => (None, file.host),
            _ => (file.socket_dir, file.host),
        };
        Self {
            socket_dir: either(flags.socket_dir, file_dir),
            user: either(flags.user, file.user),
            database: either(flags.database, file.database),
            host: either(flags.host, file_host),
            passfile: either(flags.passfile, file.passfile),
        }
    }
}

/// The flag, else the file's, if one of them says anything.
fn either<T>(flag: Option<T>, file: Option<T>) -> Option<Given<T>> {
    let given = |origin| move |value| Given { value, origin };
    flag.map(given(Origin::Flag))
        .or(file.map(given(Origin::File)))
}

/// The flag, else the file's, else what is built in.
fn or<T>(flag: Option<T>, file: Option<T>, value: T) -> Given<T> {
    either(flag, file).unwrap_or(Given {
        value,
        origin: Origin::BuiltIn,
    })
}

/// The file's elements, and then those of flags.
fn both<T: PartialEq>(flags: Vec<T>, file: Vec<T>) -> Vec<Given<T>> {
    let given = |origin| move |value| Given { value, origin };
    let file = file.into_iter().map(given(Origin::File));
    file.chain(flags.into_iter().map(given(Origin::Flag)))
        .collect()
}

impl From<&Policy> for Partial {
    fn from(policy: &Policy) -> Self {
        let Policy {
            version: _,
            description: _,
            ports,
            window,
            max_window,
            verdict,
            allow,
            spare,
            drain,
            ramp,
            run,
            postgres,
            reason,
        } = policy.clone();
        Self {
            ports: ports.map(|ports| ports.into_iter().map(|port| port.0).collect()),
            window: window.map(|length| length.0),
            max_window: max_window.map(|length| length.0),
            verdict,
            replication: allow.replication,
            allow: entries(allow),
            spare: rules(spare),
            farewell: drain.farewell.map(|length| length.0),
            timeout: drain.timeout.map(|length| length.0),
            cancel_first: drain.cancel_first.map(|length| length.0),
            strict: drain.strict,
            ramp_for: ramp.length.map(|length| length.0),
            ramp_rate: ramp.rate.map(|rate| rate.0),
            on_expiry: run.on_expiry,
            postgres: Access {
                socket_dir: postgres.socket_dir.map(|path| path.0),
                user: postgres.user.map(|name| name.0),
                database: postgres.database.map(|name| name.0),
                host: postgres.host.map(|address| address.0),
                passfile: postgres.passfile.map(|path| path.0),
            },
            reason: reason.map(|reason| reason.0),
        }
    }
}

fn entries(allow: schema::Allow) -> Vec<AllowEntry> {
    let addresses = allow.addresses.into_iter().flatten();
    let interfaces = allow.interfaces.into_iter().flatten();
    let file = allow.addresses_file.into_iter();
    addresses
        .map(|network| AllowEntry::Network(network.0))
        .chain(file.map(|path| AllowEntry::File(path.0)))
        .chain(interfaces.map(|name| AllowEntry::Interface(name.0)))
        .collect()
}

fn rules(spare: schema::Spare) -> Vec<Spare> {
    let list = |names: Option<Vec<super::value::Name>>, rule: fn(String) -> Spare| {
        names.into_iter().flatten().map(move |name| rule(name.0))
    };
    list(spare.roles, Spare::Role)
        .chain(list(spare.databases, Spare::Database))
        .chain(list(spare.applications, Spare::Application))
        .collect()
}
