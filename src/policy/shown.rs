//! Settings by the keys of a policy, for those who want to see them.

use super::settings::{Given, Origin, Settings};
use crate::cordon::{AllowEntry, Spare, duration_text, show_rate};
use serde_json::{Value, json};
use std::fmt::Display;

/// The values of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The key, as `drain.farewell`.
    pub key: &'static str,
    /// What it holds.
    pub value: Shown,
}

/// What a key holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// One value.
    One(Given<Value>),
    /// None; what that means.
    Unset(&'static str),
    /// Elements that may come from several sources.
    List(Vec<Given<Value>>),
}

impl Settings {
    /// Every key with what it holds, in the order of the schema.
    #[must_use]
    pub fn by_key(&self) -> Vec<Setting> {
        let postgres = &self.postgres;
        let row = |key, value| Setting { key, value };
        vec![
            row("ports", one(&self.ports, |ports| json!(ports))),
            row(
                "window",
                maybe(&self.window, duration, "none: it has to be said with --for"),
            ),
            row("max_window", one(&self.max_window, duration)),
            row("verdict", one(&self.verdict, text)),
            row(
                "allow.addresses",
                self.entries(|entry| match entry {
                    AllowEntry::Network(network) => Some(text(network)),
                    _ => None,
                }),
            ),
            row(
                "allow.addresses_file",
                self.entries(|entry| match entry {
                    AllowEntry::File(path) => Some(text(&path.display())),
                    _ => None,
                }),
            ),
            row(
                "allow.interfaces",
                self.entries(|entry| match entry {
                    AllowEntry::Interface(name) => Some(text(name)),
                    _ => None,
                }),
            ),
            row("allow.replication", one(&self.replication, |on| json!(on))),
            row(
                "spare.roles",
                self.rules(|rule| match rule {
                    Spare::Role(name) => Some(text(name)),
                    _ => None,
                }),
            ),
            row(
                "spare.databases",
                self.rules(|rule| match rule {
                    Spare::Database(name) => Some(text(name)),
                    _ => None,
                }),
            ),
            row(
                "spare.applications",
                self.rules(|rule| match rule {
                    Spare::Application(name) => Some(text(name)),
                    _ => None,
                }),
            ),
            row("drain.farewell", one(&self.farewell, duration)),
            row("drain.timeout", one(&self.timeout, duration)),
            row("drain.cancel_first", one(&self.cancel_first, duration)),
            row("drain.strict", one(&self.strict, |on| json!(on))),
            row("ramp.for", one(&self.ramp_for, duration)),
            row(
                "ramp.rate",
                one(&self.ramp_rate, |rate| json!(show_rate(*rate))),
            ),
            row("run.on_expiry", one(&self.on_expiry, text)),
            row(
                "postgres.socket_dir",
                maybe(
                    &postgres.socket_dir,
                    |path| text(&path.display()),
                    "found by itself",
                ),
            ),
            row(
                "postgres.user",
                maybe(&postgres.user, text, "the socket's owner"),
            ),
            row(
                "postgres.database",
                maybe(&postgres.database, text, "postgres, then template1"),
            ),
            row(
                "postgres.host",
                maybe(&postgres.host, text, "none: the Unix socket is used"),
            ),
            row(
                "postgres.passfile",
                maybe(&postgres.passfile, |path| text(&path.display()), "none"),
            ),
            row("reason", maybe(&self.reason, text, "none")),
        ]
    }

    fn entries(&self, show: impl Fn(&AllowEntry) -> Option<Value>) -> Shown {
        list(&self.allow, show)
    }

    fn rules(&self, show: impl Fn(&Spare) -> Option<Value>) -> Shown {
        list(&self.spare, show)
    }
}

fn text(value: &impl Display) -> Value {
    json!(value.to_string())
}

fn duration(length: &std::time::Duration) -> Value {
    json!(duration_text(*length))
}

fn one<T>(given: &Given<T>, show: impl Fn(&T) -> Value) -> Shown {
    Shown::One(Given {
        value: show(&given.value),
        origin: given.origin,
    })
}

fn maybe<T>(
    given: &Option<Given<T>>,
    show: impl Fn(&T) -> Value,
    otherwise: &'static str,
) -> Shown {
    match given {
        Some(given) => one(given, show),
        None => Shown::Unset(otherwise),
    }
}

fn list<T>(all: &[Given<T>], show: impl Fn(&T) -> Option<Value>) -> Shown {
    let element = |given: &Given<T>| {
        let value = show(&given.value)?;
        let origin = given.origin;
        Some(Given { value, origin })
    };
    Shown::List(all.iter().filter_map(element).collect())
}

impl Origin {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::File => "file",
            Self::Flag => "flag",
        }
    }
}
