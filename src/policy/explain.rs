//! Settings by the keys of a policy, each with its origin, for those who want to see them.

use super::schema::{Key, keys};
use super::sections::Policy;
use super::settings::Sources;
use crate::cordon::{AllowEntry, Spare};
use serde::Serialize;
use serde_json::{Value, json};

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    BuiltIn,
    /// The policy's file.
    File,
    /// The command line.
    Flag,
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::File => "file",
            Self::Flag => "flag",
        }
    }
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Given {
    /// Null where there is none.
    pub value: Value,
    pub origin: Origin,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Shown {
    /// One value, or none.
    One(Given),
    /// Elements that may come from several sources.
    List(Vec<Given>),
}

/// A key with what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The key, as `drain.farewell`.
    pub key: String,
    pub shown: Shown,
    /// What it means if it holds nothing.
    pub default: String,
}

impl Setting {
    /// Whether nobody has given it a value, and none is built in.
    pub fn is_empty(&self) -> bool {
        match &self.shown {
            Shown::One(given) => given.value.is_null(),
            Shown::List(list) => list.is_empty(),
        }
    }
}

/// The keys whose lists flags add to.
const ADDED: [&str; 6] = [
    "allow.addresses",
    "allow.addresses_file",
    "allow.interfaces",
    "spare.roles",
    "spare.databases",
    "spare.applications",
];

/// Keys that say what a policy is, and not what it does.
const ABOUT: [&str; 2] = ["version", "description"];

/// Every setting by its key, in the order of the schema.
pub fn explain(sources: &Sources) -> Vec<Setting> {
    let flags = (elements(&sources.flags), tree(&sources.flags));
    let file = (elements(&sources.file), tree(&sources.file));
    let decided = tree(&sources.settings());
    let shown = |key: &str| {
        let of = |origin, all: &[(&str, String)]| {
            let of_key = all.iter().filter(|(name, _)| *name == key);
            let given = |(_, value): &(&str, String)| Given { value: json!(value), origin };
            of_key.map(given).collect::<Vec<_>>()
        };
        if ADDED.contains(&key) {
            return Shown::List([of(Origin::File, &file.0), of(Origin::Flag, &flags.0)].concat());
        }
        let pointer = format!("/{}", key.replace('.', "/"));
        let is_said = |tree: &Value| tree.pointer(&pointer).is_some();
        Shown::One(Given {
            value: decided.pointer(&pointer).cloned().unwrap_or_default(),
            origin: match (is_said(&flags.1), is_said(&file.1)) {
                (true, _) => Origin::Flag,
                (false, true) => Origin::File,
                (false, false) => Origin::BuiltIn,
            },
        })
    };
    let keys = keys().into_iter();
    let keys = keys.filter(|key| !ABOUT.contains(&key.path.as_str()));
    keys.map(|Key { path, default }| Setting {
        shown: shown(&path),
        key: path,
        default: default.unwrap_or_else(|| "none".to_owned()),
    })
    .collect()
}

/// What somebody says, as a policy nests it.
fn tree(said: &impl Serialize) -> Value {
    // Every value of a policy has a form in JSON.
    serde_json::to_value(said).unwrap_or_default()
}

/// The elements of the lists that flags add to, each with its key.
fn elements(policy: &Policy) -> Vec<(&'static str, String)> {
    let allow = policy.allow.all().into_iter().map(|entry| match entry {
        AllowEntry::Network(network) => ("allow.addresses", network.to_string()),
        AllowEntry::File(path) => ("allow.addresses_file", path.display().to_string()),
        AllowEntry::Interface(name) => ("allow.interfaces", name),
    });
    let spare = policy.spare.all().into_iter().map(|rule| match rule {
        Spare::Role(name) => ("spare.roles", name),
        Spare::Database(name) => ("spare.databases", name),
        Spare::Application(name) => ("spare.applications", name),
    });
    allow.chain(spare).collect()
}
