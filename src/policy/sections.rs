//! Every setting, once: a section is what a policy nests and what the command line flattens.
//! One comment is the help of the flag and the description in the schema; what stands in its
//! `[default: …]` is what `policy show` says of a key that has no value.

use crate::cordon::{
    AllowEntry, CancelTime, DrainTime, Interface, Name, Network, OnExpiry, Port, RampLength, Rate,
    Reason, Spare as SpareRule, Verdict, WindowLength, given, said, said_text,
};
use crate::postgres::Access;
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use std::path::PathBuf;

/// The version of the format that is read here.
pub const VERSION: u64 = 1;

/// What is said of another version, or of none.
pub(super) const OTHER_VERSION: &str = "this pgcordon reads version 1; write `version: 1`";

/// How a host is to be cordoned: what is not said keeps its built-in value, and every flag
/// of the command line wins over what is said.
#[serde_with::apply(
    Option => #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize, JsonSchema)]
#[group(skip)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A policy of pgcordon")]
pub struct Policy {
    /// The version of the format: 1.
    #[arg(skip = VERSION)]
    #[serde(deserialize_with = "version")]
    #[schemars(range(min = 1, max = 1))]
    pub version: u64,
    /// What the policy is for, for those who choose one.
    #[arg(skip)]
    #[serde_with(skip_apply)]
    #[serde(default, deserialize_with = "said_text", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// TCP ports to cordon; those of flags replace the policy's [default: 5432]
    #[arg(long = "port", value_name = "PORT")]
    #[schemars(length(min = 1))]
    pub ports: Option<Vec<Port>>,
    /// How long the window lasts: 90s, 10m, 1h30m; required, unless the policy gives a
    /// length
    #[arg(long = "for", value_name = "DURATION", allow_hyphen_values = true, display_order = 0)]
    pub window: Option<WindowLength>,
    /// The longest window that is permitted; more than a day has to be said [default: 1day]
    #[arg(long = "max", value_name = "DURATION", allow_hyphen_values = true)]
    pub max_window: Option<WindowLength>,
    /// What remote packets meet [default: drop]
    #[arg(long, value_enum)]
    pub verdict: Option<Verdict>,
    #[command(flatten)]
    #[serde(default, deserialize_with = "given", skip_serializing_if = "is_default")]
    pub allow: Allow,
    #[command(flatten)]
    #[serde(default, deserialize_with = "given", skip_serializing_if = "is_default")]
    pub spare: Spare,
    #[command(flatten)]
    #[serde(default, deserialize_with = "given", skip_serializing_if = "is_default")]
    pub drain: Drain,
    #[command(flatten)]
    #[serde(default, deserialize_with = "given", skip_serializing_if = "is_default")]
    pub ramp: Ramp,
    #[arg(skip)]
    #[serde(default, deserialize_with = "given", skip_serializing_if = "is_default")]
    pub run: Run,
    #[command(flatten)]
    #[serde(default, deserialize_with = "given", skip_serializing_if = "is_default")]
    pub postgres: Access,
    /// Why, for those who look at a window: at most 100 printable ASCII characters, no
    /// quotation mark
    #[arg(long, value_name = "TEXT")]
    #[schemars(with = "String", length(max = 100), regex(pattern = "^[ !#-~]*$"))]
    pub reason: Option<Reason>,
    /// The file that says it.
    #[arg(skip)]
    #[serde(skip)]
    pub file: Option<PathBuf>,
}

/// Who is let through, and not drained.
#[serde_with::apply(
    Option => #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize, JsonSchema)]
#[group(skip)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// Addresses and networks; `--allow` adds to them.
    #[arg(skip)]
    pub addresses: Option<Vec<Network>>,
    /// A file with one address or network a line; `#` begins a comment.
    #[arg(skip)]
    #[serde_with(skip_apply)]
    #[serde(default, deserialize_with = "said_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", regex(pattern = "^/"))]
    pub addresses_file: Option<PathBuf>,
    /// Interfaces: the networks that are connected to them when a window begins.
    #[arg(skip)]
    pub interfaces: Option<Vec<Interface>>,
    /// Let standbys that are connected when the window begins stay and come back: their
    /// addresses pass [default: false]
    #[arg(long = "allow-replication", value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub replication: Option<bool>,
    /// Let an address, a network, an interface's networks or a file's networks through
    #[arg(long = "allow", value_name = "ADDR|CIDR|interface:NAME|@FILE")]
    #[serde(skip)]
    pub entries: Option<Vec<AllowEntry>>,
}

/// Which existing connections live on, while no new one gets in; `--spare` adds to them.
#[serde_with::apply(
    Option => #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize, JsonSchema)]
#[group(skip)]
#[serde(deny_unknown_fields)]
pub struct Spare {
    /// Those of these roles.
    #[arg(skip)]
    pub roles: Option<Vec<Name>>,
    /// Those to these databases.
    #[arg(skip)]
    pub databases: Option<Vec<Name>>,
    /// Those whose `application_name` is one of these.
    #[arg(skip)]
    pub applications: Option<Vec<Name>>,
    /// Let existing connections stay that match; new ones are blocked
    #[arg(long = "spare", value_name = "role=R|database=D|application=A")]
    #[serde(skip)]
    pub rules: Option<Vec<SpareRule>>,
}

/// How existing connections are ended.
#[serde_with::apply(
    Option => #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize, JsonSchema)]
#[group(skip)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// How long PostgreSQL's last message and the TCP close may take; 0s cuts at once
    /// [default: 2s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub farewell: Option<DrainTime>,
    /// How long to wait until nobody remote is left [default: 10s]
    #[arg(long = "drain-timeout", value_name = "DURATION", allow_hyphen_values = true)]
    pub timeout: Option<DrainTime>,
    /// Cancel running statements first, and give them so long to end; 0s does not
    /// [default: 0s]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub cancel_first: Option<CancelTime>,
    /// Open the port again, with status 1, if the drain is incomplete [default: false]
    // `pgcordon drain`, which takes this section's flags, has no cordon of its own to lift.
    #[arg(skip)]
    pub strict: Option<bool>,
}

/// How the port is given back after the window.
#[serde_with::apply(
    Option => #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize, JsonSchema)]
#[group(skip)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// After the window let new connections in slowly for so long, a day at most; 0s does not
    /// [default: 0s]
    #[arg(id = "for", long = "ramp", value_name = "DURATION", allow_hyphen_values = true)]
    #[serde(rename = "for")]
    pub length: Option<RampLength>,
    /// How many new remote connections a second in the ramp [default: 10/s]
    #[arg(long = "ramp-rate", value_name = "N/s", allow_hyphen_values = true)]
    pub rate: Option<Rate>,
}

/// For `pgcordon run`.
#[serde_with::apply(
    Option => #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize, JsonSchema)]
#[group(skip)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What becomes of the command when the window ends before it [default: warn]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub on_expiry: Option<OnExpiry>,
}

impl Allow {
    /// Who passes, whether a policy or the command line says it.
    pub fn all(&self) -> Vec<AllowEntry> {
        let addresses = self.addresses.iter().flatten();
        let interfaces = self.interfaces.iter().flatten();
        addresses
            .map(|network| AllowEntry::Network(network.0))
            .chain(self.addresses_file.clone().map(AllowEntry::File))
            .chain(interfaces.map(|name| AllowEntry::Interface(name.0.clone())))
            .chain(self.entries.iter().flatten().cloned())
            .collect()
    }
}

impl Spare {
    /// Who stays, whether a policy or the command line says it.
    pub fn all(&self) -> Vec<SpareRule> {
        let rules = |names: &Option<Vec<Name>>, rule: fn(String) -> SpareRule| {
            let names = names.clone().into_iter().flatten();
            names.map(move |name| rule(name.0)).collect::<Vec<_>>()
        };
        [
            rules(&self.roles, SpareRule::Role),
            rules(&self.databases, SpareRule::Database),
            rules(&self.applications, SpareRule::Application),
            self.rules.clone().unwrap_or_default(),
        ]
        .concat()
    }
}

fn version<'de, D: Deserializer<'de>>(source: D) -> Result<u64, D::Error> {
    match u64::deserialize(source) {
        Ok(VERSION) => Ok(VERSION),
        _ => Err(D::Error::custom(OTHER_VERSION)),
    }
}

fn is_default<T: Default + PartialEq>(section: &T) -> bool {
    *section == T::default()
}
