//! What the commands about policies have to say.

use super::json::{SCHEMA, error};
use crate::failure::Failure;
use crate::policy::{Fault, Given, Setting, Shown, VERSION, in_file};
use crate::sys::terminal::{Paint, printable};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The column in which origins stand.
const ORIGINS: usize = 34;

/// What is wrong with a file, if anything is.
#[derive(Debug, Clone, Serialize)]
pub struct CheckedFile {
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
    pub files: Vec<CheckedFile>,
    /// What they come to, if one of them is bad.
    pub failure: Option<Failure>,
}

impl Check {
    pub(super) fn to_json(&self) -> String {
        let mut view = json!({
            "schema": SCHEMA,
            "command": "policy check",
            "changed": false,
            "result": "valid",
        });
        if let Some(failure) = &self.failure {
            view["result"] = json!("failed");
            view["error"] = error(failure);
        }
        view["files"] = json!(self.files);
        view["warnings"] = json!([]);
        view.to_string()
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
    /// The policy's file, if there is one.
    pub file: Option<PathBuf>,
    /// What the policy is for.
    pub description: Option<String>,
    /// Every setting with its origin.
    pub settings: Vec<Setting>,
}

impl Show {
    pub(super) fn to_json(&self, warnings: &[String]) -> String {
        let settings = self.settings.iter();
        let view = json!({
            "schema": SCHEMA,
            "command": "policy show",
            "changed": false,
            "result": "shown",
            "policy": {
                "file": self.file.as_ref().map(|path| path.display().to_string()),
                "description": self.description,
                "settings": settings
                    .map(|setting| (setting.key.clone(), json!(setting.shown)))
                    .collect::<Value>(),
            },
            "warnings": warnings,
        });
        view.to_string()
    }

    /// A policy whose comments tell where each value comes from.
    pub(super) fn to_text(&self) -> String {
        let mut lines = vec![match &self.file {
            Some(path) => format!("# {}", path.display()),
            None => "# no policy: flags, and what is built in".to_owned(),
        }];
        lines.extend(yaml("version", &json!(VERSION)));
        if let Some(description) = &self.description {
            lines.extend(yaml("description", &json!(description)));
        }
        let mut last = "";
        for setting in &self.settings {
            let (section, key) = setting.key.split_once('.').unwrap_or(("", &setting.key));
            if section != last && !section.is_empty() {
                let prefix = format!("{section}.");
                let mut keys = self.settings.iter();
                let has_value =
                    keys.any(|other| other.key.starts_with(&prefix) && !other.is_empty());
                let comment = if has_value { "" } else { "# " };
                lines.push(format!("{comment}{section}:"));
            }
            last = section;
            let indent = if section.is_empty() { "" } else { "  " };
            lines.extend(rows(setting, key, indent));
        }
        let lines: Vec<_> = lines.iter().map(|line| printable(line)).collect();
        lines.join("\n")
    }
}

/// The lines of one key.
fn rows(setting: &Setting, key: &str, indent: &str) -> Vec<String> {
    let with_origin = |given: &Given, lines: Vec<String>| {
        let origin = given.origin.as_str();
        let line = move |line: String| match line.ends_with(':') {
            true => format!("{indent}{line}"),
            false => format!("{:<ORIGINS$}  # {origin}", format!("{indent}{line}")),
        };
        lines.into_iter().map(line).collect::<Vec<_>>()
    };
    match &setting.shown {
        _ if setting.is_empty() => vec![format!("{indent}# {key}: {}", setting.default)],
        Shown::One(given) => with_origin(given, yaml(key, &given.value)),
        // A policy names one file; on the command line there may be more.
        Shown::List(list) if key == "addresses_file" => {
            let row = |(number, given): (usize, &Given)| {
                let key = if number == 0 { key } else { "# addresses_file" };
                with_origin(given, vec![format!("{key}: {}", inline(&given.value))])
            };
            list.iter().enumerate().flat_map(row).collect()
        }
        Shown::List(list) => {
            let element =
                |given: &Given| with_origin(given, vec![format!("- {}", inline(&given.value))]);
            let head = std::iter::once(format!("{indent}{key}:"));
            head.chain(list.iter().flat_map(element)).collect()
        }
    }
}

/// A key with its value, as a policy has them.
fn yaml(key: &str, value: &Value) -> Vec<String> {
    // JSON's values all have a form in YAML.
    let text = serde_yaml::to_string(&json!({ key: value })).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A value that stands on one line.
fn inline(value: &Value) -> String {
    let text = serde_yaml::to_string(value).unwrap_or_default();
    text.trim_end().to_owned()
}
