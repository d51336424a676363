//! What the sections say of themselves: the JSON schema, the keys, and the flags of the keys.

use super::sections::{Policy, Run};
use clap::Args;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value;

/// The JSON schema (draft 2020-12) of a policy.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Policy);
    Tidy(flags()).transform(&mut schema);
    schema.to_value()
}

/// A key that has a value of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// As `drain.farewell`.
    pub path: String,
    /// What holds where nobody says anything: the description's `[default: …]`.
    pub default: Option<String>,
}

/// Every key that has a value of its own, in the order of the schema.
pub(super) fn keys() -> Vec<Key> {
    fn walk(schema: &Value, part: &Value, path: &str, keys: &mut Vec<Key>) {
        let definition = part["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
        let definition = definition.and_then(|to| schema.pointer(to));
        let Some(properties) = definition.unwrap_or(part)["properties"].as_object() else {
            let description = part["description"].as_str().unwrap_or_default();
            let default = description.split_once("[default: ");
            let default = default.and_then(|(_, rest)| rest.split_once(']'));
            keys.push(Key {
                path: path.to_owned(),
                default: default.map(|(default, _)| default.to_owned()),
            });
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

/// The flags of keys: the last name of a key, and the flag that gives it a value.
pub(super) fn flags() -> Vec<(String, String)> {
    let command = Run::augment_args(Policy::augment_args(clap::Command::new("keys")));
    let flag = |argument: &clap::Arg| {
        let flag = argument.get_long()?.to_owned();
        Some((argument.get_id().to_string(), flag))
    };
    command.get_arguments().filter_map(flag).collect()
}

/// A key may be left out, but not stand without a value; it has a flag; and lines of source
/// code are not lines of a description.
struct Tidy(Vec<(String, String)>);

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut schemars::Schema) {
        if let Some(Value::String(text)) = schema.get_mut("description") {
            *text = text.replace('\n', " ");
        }
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            for (name, part) in properties {
                let flag = self.0.iter().find(|(key, _)| key == name);
                if let (Some((_, flag)), Some(Value::String(text))) =
                    (flag, part.get_mut("description"))
                {
                    *text = format!("{text} (`--{flag}`)");
                }
            }
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
            if let [Value::Object(only)] = choices.as_slice() {
                let only = only.clone();
                schema.remove("anyOf");
                for (key, value) in only {
                    schema.ensure_object().entry(key).or_insert(value);
                }
            }
        }
        transform_subschemas(self, schema);
    }
}
