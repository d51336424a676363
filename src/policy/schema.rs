//! The keys of a policy. What stands beside them here is what `pgcordon policy schema` says
//! of them; nothing of it is written down a second time.

use super::value::{
    AbsolutePath, Address, Interface, Name, Network, Patience, Port, RampLength, Rate, Why,
    WindowLength,
};
use crate::cordon::{OnExpiry, Verdict};
use schemars::JsonSchema;
use schemars::transform::{Transform, transform_subschemas};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of the format that is read here.
pub const VERSION: u64 = 1;

/// How a host is to be cordoned: what is not said keeps its built-in value, and every flag
/// of the command line wins over what is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping such as `version: 1`")]
#[schemars(title = "A policy of pgcordon")]
pub struct Policy {
    /// The version of the format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: u64,
    /// What the policy is for, for those who choose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The TCP ports to cordon (`--port` replaces the list). Built in: 5432.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub ports: Option<Vec<Port>>,
    /// How long a window lasts (`--for`). Built in: none, so that it has to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowLength>,
    /// The longest window that is permitted (`--max`). Built in: 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_window: Option<WindowLength>,
    /// What remote packets meet (`--verdict`). Built in: drop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Who is let through, and not drained.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow: Allow,
    /// Which existing connections live on, while no new one gets in.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spare: Spare,
    /// How existing connections are ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub drain: Drain,
    /// How the port is given back after the window.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ramp: Ramp,
    /// For `pgcordon run`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub run: Run,
    /// How PostgreSQL is reached; without it, as the owner of its Unix socket.
    #[serde(default, skip_serializing_if = "is_default")]
    pub postgres: Postgres,
    /// Why, for those who look at a window (`--reason`): at most 100 printable ASCII
    /// characters, no quotation mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Why>,
}

/// Who is let through, and not drained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with keys such as `addresses:`"
)]
pub struct Allow {
    /// Addresses and networks (`--allow` adds to them).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<Network>>,
    /// A file with one address or network a line; `#` begins a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addresses_file: Option<AbsolutePath>,
    /// Interfaces: the networks that are connected to them when a window begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfaces: Option<Vec<Interface>>,
    /// Whether standbys that are connected when a window begins may stay and come back
    /// (`--allow-replication`). Built in: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<bool>,
}

/// Which existing connections live on, while no new one gets in (`--spare` adds to them).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with keys such as `applications:`"
)]
pub struct Spare {
    /// Those of these roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<Name>>,
    /// Those to these databases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub databases: Option<Vec<Name>>,
    /// Those whose `application_name` is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<Vec<Name>>,
}

/// How existing connections are ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with keys such as `farewell:`"
)]
pub struct Drain {
    /// How long PostgreSQL's last message and the TCP close may take (`--farewell`); 0s cuts
    /// at once. Built in: 2s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub farewell: Option<Patience>,
    /// How long to wait until nobody remote is left (`--drain-timeout`). Built in: 10s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Patience>,
    /// Cancel running statements first, and give them so long to end (`--cancel-first`); 0s
    /// does not. Built in: 0s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_first: Option<Patience>,
    /// Whether an incomplete drain opens the port again, with status 1 (`--strict`). Built
    /// in: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// How the port is given back after the window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with keys such as `for:`")]
pub struct Ramp {
    /// For how long new connections are let in at a limited rate (`--ramp`), a day at most;
    /// 0s opens at once. Built in: 0s.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<RampLength>,
    /// How many of them a second (`--ramp-rate`). Built in: 10/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

/// For `pgcordon run`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with the key `on_expiry:`")]
pub struct Run {
    /// What becomes of the command when the window ends before it (`--on-expiry`). Built in:
    /// warn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_expiry: Option<OnExpiry>,
}

/// How PostgreSQL is reached; without it, as the owner of its Unix socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping with keys such as `user:`")]
pub struct Postgres {
    /// Directory of the Unix socket, where PostgreSQL has several (`--pg-socket-dir`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket_dir: Option<AbsolutePath>,
    /// Role to log in as (`--pg-user`). Built in: the name of the socket's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Name>,
    /// Database to log in to (`--pg-database`). Built in: postgres, then template1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Name>,
    /// An address of this host, to use TCP instead of the Unix socket (`--pg-host`); needs a
    /// passfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Address>,
    /// Password file in the format of .pgpass, owned by root with mode 0600
    /// (`--pg-passfile`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passfile: Option<AbsolutePath>,
}

fn is_default<T: Default + PartialEq>(section: &T) -> bool {
    *section == T::default()
}

/// The JSON schema (draft 2020-12) of a policy.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Policy);
    Tidy.transform(&mut schema);
    schema.to_value()
}

/// Every key that has a value of its own, as `drain.farewell`.
pub(super) fn keys() -> Vec<String> {
    fn walk(schema: &Value, part: &Value, path: &str, keys: &mut Vec<String>) {
        let definition = part["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
        let part = definition.and_then(|to| schema.pointer(to)).unwrap_or(part);
        let Some(properties) = part["properties"].as_object() else {
            keys.push(path.to_owned());
            return;
        };
        for (name, part) in properties {
            let dot = if path.is_empty() { "" } else { "." };
            walk(schema, part, &format!("{path}{dot}{name}"), keys);
        }
    }
    let schema = json_schema();
    let mut keys = Vec::new();
    walk(&schema, &schema, "", &mut keys);
    keys
}

/// A key may be left out, but not stand without a value; and lines of source code are not
/// lines of a description.
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ");
        }
        let is_null = |value: &Value| value == "null" || value["type"] == "null";
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|value| !is_null(value));
            if let [only] = types.as_slice() {
                let only = only.clone();
                schema.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
            choices.retain(|value| !is_null(value));
            if let [only] = choices.as_slice() {
                let only = only.clone();
                schema.remove("anyOf");
                if let Value::Object(only) = only {
                    for (key, value) in only {
                        schema.ensure_object().entry(key).or_insert(value);
                    }
                }
            }
        }
        transform_subschemas(self, schema);
    }
}
