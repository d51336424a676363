//! Flags of the commands about policies.

use super::Start;
use crate::policy::{self, Choice};
use clap::{Args, Subcommand};
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
A policy says once how a host is to be cordoned, in YAML; every key may be left out but version:

  version: 1
  description: The nightly load; our office may look on.
  window: 30m
  allow:
    addresses: [10.20.0.0/16]
  drain:
    cancel_first: 10s

By its name a policy is looked for in /etc/pgcordon/policies, then in
/usr/share/pgcordon/policies, as NAME.yaml. /etc/pgcordon/policies/default.yaml is used when
none is named. A flag wins over the policy, the policy over what is built in; --port replaces
the list, --allow and --spare add to it. lift, extend, drain, status and allow read no policy.

Examples:
  pgcordon policy check policies/*.yaml       valid? no root needed
  pgcordon policy show office-may-enter       every value, and where it comes from
  pgcordon start --policy office-may-enter
  pgcordon start --policy none --for 10m      not even the default policy";

const CHECK_EXAMPLES: &str = "\
Root is also told of files that root would not use: a policy, and the addresses_file that it
names, must belong to root, and so must every directory on the way; nobody else may write to
any of them. Everybody else is told of the content alone, and root with --content.

Exit status: 0 if every policy is valid, 2 if one is not.

Examples:
  pgcordon policy check ./nightly.yaml
  pgcordon policy check -o json policies/*.yaml";

const SHOW_EXAMPLES: &str = "\
What is printed is a policy itself, with the origin of each value in its comments: built-in,
file or flag.

Examples:
  pgcordon policy show                              what a call without --policy goes by
  pgcordon policy show gentle
  pgcordon policy show gentle --for 5m --port 5433  the same with these flags
  pgcordon policy show none                         what is built in";

const SCHEMA_EXAMPLES: &str = "\
Example, for an editor that knows YAML schemas:
  pgcordon policy schema > pgcordon-policy.schema.json
  # and on the first line of a policy:
  # yaml-language-server: $schema=./pgcordon-policy.schema.json";

/// What to do about policies.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Tell whether policies are valid, and what is wrong with them
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Print what a call would go by, with the origin of each value
    #[command(after_help = SHOW_EXAMPLES)]
    Show(Box<Show>),
    /// Print the JSON schema of policies
    #[command(after_help = SCHEMA_EXAMPLES)]
    Schema,
}

/// Flags of policy check.
#[derive(Debug, Args)]
pub struct Check {
    /// The policies
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Check the content alone, as root too
    #[arg(long)]
    pub content: bool,
}

/// Flags of policy show.
#[derive(Debug, Args)]
pub struct Show {
    /// The policy; `none` for what is built in [default: what a call without --policy goes by]
    #[arg(value_name = "NAME|FILE|none", conflicts_with = "policy")]
    pub name: Option<Choice>,
    /// Flags of run.
    #[command(flatten)]
    pub run: policy::Run,
    /// Flags of start, as if it were called with them.
    #[command(flatten)]
    pub start: Start,
}
