//! Flags of the commands that raise a cordon.

use crate::cordon::{
    AllowEntry, Reason, Spare, Verdict, parse_pace, parse_patience, parse_ramp_length, parse_rate,
    parse_window_length,
};
use crate::policy::Choice;
use crate::postgres::Access;
use clap::Args;
use std::time::Duration;

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
    /// How long the window lasts: 90s, 10m, 1h30m; needed unless the policy says it
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_window_length, allow_hyphen_values = true)]
    pub length: Option<Duration>,
    /// Permit a window longer than 24 h, up to this [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = parse_window_length, allow_hyphen_values = true)]
    pub max: Option<Duration>,
    /// Go by this policy, a file if there is a / in it; none: not even by the default one. Flags win
    /// over it; see pgcordon policy --help
    #[arg(long, value_name = "NAME|FILE|none")]
    pub policy: Option<Choice>,
    /// TCP port to cordon; repeat it for several [default: 5432]
    #[arg(long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub ports: Vec<u16>,
    /// Let an address, a network, an interface's networks or a file's networks through
    #[arg(long, value_name = "ADDR|CIDR|interface:NAME|@FILE")]
    pub allow: Vec<AllowEntry>,
    /// Let standbys that are connected now stay and come back: their addresses pass
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_replication: Option<bool>,
    /// Cut synchronous standbys too, after all others, although local commits will wait
    #[arg(long, conflicts_with_all = ["allow_replication", "no_drain"])]
    pub cut_standbys: bool,
    /// Let existing connections stay that match; new ones are blocked
    #[arg(
        long,
        value_name = "role=R|database=D|application=A",
        conflicts_with = "no_drain"
    )]
    pub spare: Vec<Spare>,
    /// What remote packets meet [default: drop]
    #[arg(long, value_enum)]
    pub verdict: Option<Verdict>,
    /// After the window let new connections in slowly for so long, a day at most; 0s does not
    #[arg(long, value_name = "DURATION", value_parser = parse_ramp_length, allow_hyphen_values = true)]
    pub ramp: Option<Duration>,
    /// How many new remote connections a second in the ramp [default: 10/s]
    #[arg(long, value_name = "N/s", value_parser = parse_rate, allow_hyphen_values = true)]
    pub ramp_rate: Option<u32>,
    /// Why, for those who look: at most 100 printable characters, no quotation mark
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<Reason>,
    /// Leave existing connections alone and block only new ones
    #[arg(long, conflicts_with_all = ["farewell", "drain_timeout", "cancel_first", "allow_replication"])]
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
    /// How the drain goes.
    #[command(flatten)]
    pub pace: Pace,
    /// How PostgreSQL is reached.
    #[command(flatten)]
    pub postgres: Access,
}

/// How long a drain takes.
#[derive(Debug, Args)]
pub struct Pace {
    /// How long PostgreSQL's last message and the TCP close may take; 0s cuts at once [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = parse_pace, allow_hyphen_values = true)]
    pub farewell: Option<Duration>,
    /// How long to wait until nobody remote is left [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = parse_pace, allow_hyphen_values = true)]
    pub drain_timeout: Option<Duration>,
    /// Cancel running statements first, and give them so long to end; 0s does not
    #[arg(long, value_name = "DURATION", value_parser = parse_patience, allow_hyphen_values = true)]
    pub cancel_first: Option<Duration>,
}
