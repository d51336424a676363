//! Flags of the commands that raise a cordon.

use crate::policy::{Choice, Policy};
use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  pgcordon start --for 10m
  pgcordon start --for 1h30m --reason 'reindex orders' --allow 10.0.0.5
  pgcordon start --for 10m --ramp 2m --ramp-rate 20/s
  pgcordon start --for 10m --port 5432 --port 5433 -o json
  pgcordon start --policy office-may-enter
  pgcordon start --policy ./nightly.yaml --for 2h --verdict reset";

/// Flags of start, hold, run and plan.
#[derive(Debug, Args)]
pub struct Start {
    /// What a policy may say, too.
    #[command(flatten)]
    pub said: Policy,
    /// Go by this policy, a file if there is a / in it; none: not even by the default one. Flags win
    /// over it; see pgcordon policy --help
    #[arg(long, value_name = "NAME|FILE|none")]
    pub policy: Option<Choice>,
    /// Cut synchronous standbys too, after all others, although local commits will wait
    #[arg(long, conflicts_with_all = ["replication", "no_drain"])]
    pub cut_standbys: bool,
    /// Leave existing connections alone and block only new ones
    #[arg(long, conflicts_with_all = ["farewell", "timeout", "cancel_first", "replication", "rules"])]
    pub no_drain: bool,
    /// Lift the cordon again if the drain is incomplete (status 1)
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true", conflicts_with = "no_drain")]
    pub strict: Option<bool>,
    /// Leave no guard behind: the kernel's timer alone ends the window
    #[arg(long)]
    pub no_guard: bool,
    /// Cordon a port whose listener is not PostgreSQL; sockets alone are drained
    #[arg(long)]
    pub any_listener: bool,
}
