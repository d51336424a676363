//! What the commands about policies have to say.

use super::json::{self, ErrorView};
use crate::failure::Failure;
use crate::policy::{Fault, Given, Origin, Setting, Settings, Shown, in_file};
use crate::sys::terminal::{Paint, printable};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The column in which origins stand.
const ORIGINS: usize = 34;

/// What is wrong with a file, if anything is.
#[derive(Debug, Clone, Serialize)]
pub struct CheckedFile {
    /// The file.
    #[serde(serialize_with = "shown")]
    pub file: PathBuf,
    /// Whether it can be used.
    pub valid: bool,
    /// What is wrong with its text.
    pub faults: Vec<Fault>,
    /// Why it cannot be used, whatever its text says.
    pub problem: Option<String>,
}

/// A path that is not UTF-8 is still a path to tell of.
fn shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// The result of `policy check`.
#[derive(Debug, Clone)]
pub struct Check {
    /// The files, in the order in which they were given.
    pub files: Vec<CheckedFile>,
    /// What they come to, if one of them is bad.
    pub failure: Option<Failure>,
}

#[derive(Serialize)]
struct CheckView<'a> {
    schema: u32,
    command: &'a str,
    changed: bool,
    result: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorView<'a>>,
    files: &'a [CheckedFile],
    warnings: [&'a str; 0],
}

impl Check {
    pub(super) fn to_json(&self) -> String {
        json::text(&CheckView {
            schema: json::SCHEMA,
            command: "policy check",
            changed: false,
            result: match self.failure {
                Some(_) => "failed",
                None => "valid",
            },
            error: self.failure.as_ref().map(ErrorView::from),
            files: &self.files,
            warnings: [],
        })
    }

    pub(super) fn to_text(&self, paint: Paint) -> String {
        let mut lines = Vec::new();
        for checked in &self.files {
            let file = printable(&checked.file.display().to_string());
            if checked.valid {
                lines.push(format!("{file}: valid"));
            }
            let faults = checked.faults.iter();
            lines.extend(faults.map(|fault| printable(&in_file(&checked.file, fault))));
            if let Some(problem) = &checked.problem {
                lines.push(paint.warning(&printable(problem)));
            }
        }
        lines.join("\n")
    }
}

/// The result of `policy show`.
#[derive(Debug, Clone)]
pub struct Show {
    /// Every setting with its origin.
    pub settings: Settings,
    /// What the user should know.
    pub warnings: Vec<String>,
}

#[derive(Serialize)]
struct ShowView<'a> {
    schema: u32,
    command: &'a str,
    changed: bool,
    result: &'a str,
    policy: PolicyView<'a>,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct PolicyView<'a> {
    file: Option<String>,
    description: Option<&'a str>,
    settings: Keys,
}

/// Keys in the order of the schema.
struct Keys(Vec<Setting>);

#[derive(Serialize)]
struct GivenView<'a> {
    value: Option<&'a Value>,
    origin: Origin,
}

impl<'a> From<&'a Given<Value>> for GivenView<'a> {
    fn from(given: &'a Given<Value>) -> Self {
        Self {
            value: Some(&given.value),
            origin: given.origin,
        }
    }
}

impl Serialize for Keys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for Setting { key, value } in &self.0 {
            match value {
                Shown::One(one) => map.serialize_entry(key, &GivenView::from(one))?,
                Shown::Unset(_) => map.serialize_entry(
                    key,
                    &GivenView {
                        value: None,
                        origin: Origin::BuiltIn,
                    },
                )?,
                Shown::List(list) => {
                    let list: Vec<_> = list.iter().map(GivenView::from).collect();
                    map.serialize_entry(key, &list)?;
                }
            }
        }
        map.end()
    }
}

impl Show {
    pub(super) fn to_json(&self) -> String {
        json::text(&ShowView {
            schema: json::SCHEMA,
            command: "policy show",
            changed: false,
            result: "shown",
            policy: PolicyView {
                file: self
                    .settings
                    .file
                    .as_ref()
                    .map(|path| path.display().to_string()),
                description: self.settings.description.as_deref(),
                settings: Keys(self.settings.by_key()),
            },
            warnings: &self.warnings,
        })
    }

    /// A policy whose comments tell where each value comes from.
    pub(super) fn to_text(&self) -> String {
        let mut lines = vec![match &self.settings.file {
            Some(path) => format!("# {}", printable(&path.display().to_string())),
            None => "# no policy: flags, and what is built in".to_owned(),
        }];
        lines.push("version: 1".to_owned());
        if let Some(description) = &self.settings.description {
            let text = yaml(&json!({"description": description}));
            lines.extend(text.lines().map(printable));
        }
        let settings = self.settings.by_key();
        let mut section = "";
        for setting in &settings {
            let (within, key) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if within != section && !within.is_empty() {
                let has_value = |other: &Setting| {
                    other
                        .key
                        .split_once('.')
                        .is_some_and(|(name, _)| name == within)
                        && !matches!(&other.value, Shown::Unset(_))
                        && !matches!(&other.value, Shown::List(list) if list.is_empty())
                };
                let comment = match settings.iter().any(has_value) {
                    true => "",
                    false => "# ",
                };
                lines.push(format!("{comment}{within}:"));
            }
            section = within;
            let indent = if within.is_empty() { "" } else { "  " };
            lines.extend(rows(indent, key, &setting.value));
        }
        lines.join("\n")
    }
}

/// The lines of one key.
fn rows(indent: &str, key: &str, value: &Shown) -> Vec<String> {
    match value {
        Shown::One(given) => vec![with_origin(
            format!("{indent}{key}: {}", inline(&given.value)),
            given,
        )],
        Shown::Unset(meaning) => vec![format!("{indent}# {key}: {meaning}")],
        Shown::List(list) if list.is_empty() => vec![format!("{indent}# {key}: none")],
        // A policy names one file; on the command line there may be more.
        Shown::List(list) if key == "addresses_file" => {
            let row = |(number, given): (usize, &Given<Value>)| {
                let comment = if number == 0 { "" } else { "# " };
                with_origin(
                    format!("{indent}{comment}{key}: {}", inline(&given.value)),
                    given,
                )
            };
            list.iter().enumerate().map(row).collect()
        }
        Shown::List(list) => {
            let elements = list
                .iter()
                .map(|given| with_origin(format!("{indent}  - {}", inline(&given.value)), given));
            std::iter::once(format!("{indent}{key}:"))
                .chain(elements)
                .collect()
        }
    }
}

fn with_origin(line: String, given: &Given<Value>) -> String {
    format!(
        "{:<ORIGINS$}  # {}",
        printable(&line),
        given.origin.as_str()
    )
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            let list: Vec<_> = list.iter().map(inline).collect();
            format!("[{}]", list.join(", "))
        }
        value => yaml(value),
    }
}

fn yaml(value: &Value) -> String {
    // JSON's values all have a form in YAML.
    let text = serde_yaml::to_string(value).unwrap_or_default();
    text.trim_end().to_owned()
}
