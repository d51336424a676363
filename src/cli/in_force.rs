//! Flags of the commands that act on windows in force.

use super::value::ramp_length;
use crate::cordon::{AllowEntry, Rate, WindowLength};
use crate::policy;
use crate::postgres::Access;
use clap::Args;
use std::time::Duration;

pub(super) const EXTEND_EXAMPLES: &str = "\
Examples:
  pgcordon extend --by 5m             five minutes more
  pgcordon extend --for 5m            ends five minutes from now, unless it ends later
  pgcordon extend --for 5m --shorten  ends five minutes from now";

pub(super) const LIFT_EXAMPLES: &str = "\
Examples:
  pgcordon lift                                open the port now
  pgcordon lift --ramp                         begin the ramp that the window was raised with
  pgcordon lift --ramp 2m --ramp-rate 50/s     begin this one, or change one under way";

/// Which windows a command means.
#[derive(Debug, Args)]
pub struct Which {
    /// The port of the window; needed where there are several
    #[arg(long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub ports: Vec<u16>,
    /// Every window of this host
    #[arg(long, conflicts_with = "ports")]
    pub all: bool,
}

/// Flags of drain.
#[derive(Debug, Args)]
pub struct Drain {
    /// Which windows.
    #[command(flatten)]
    pub which: Which,
    /// How the drain goes.
    #[command(flatten)]
    pub drain: policy::Drain,
    /// How PostgreSQL is reached.
    #[command(flatten)]
    pub postgres: Access,
}

/// Flags of allow.
#[derive(Debug, Args)]
pub struct Allow {
    /// Addresses, networks, interfaces or files of networks
    #[arg(required = true, value_name = "ADDR|CIDR|interface:NAME|@FILE")]
    pub entries: Vec<AllowEntry>,
    /// Take them off the pass list; connections from there are drained
    #[arg(long)]
    pub remove: bool,
    /// Which windows.
    #[command(flatten)]
    pub which: Which,
}

/// Flags of extend.
#[derive(Debug, Args)]
pub struct Extend {
    /// So much longer
    #[arg(
        long,
        value_name = "DURATION",
        required_unless_present = "length",
        conflicts_with = "length",
        allow_hyphen_values = true
    )]
    pub by: Option<WindowLength>,
    /// Until so long from now
    #[arg(long = "for", value_name = "DURATION", allow_hyphen_values = true)]
    pub length: Option<WindowLength>,
    /// With --for, also move the end to an earlier time
    #[arg(long, requires = "length", conflicts_with = "by")]
    pub shorten: bool,
    /// Permit a window longer than 24 h in total, up to this
    #[arg(long, value_name = "DURATION", default_value = "24h", allow_hyphen_values = true)]
    pub max: WindowLength,
    /// Which windows.
    #[command(flatten)]
    pub which: Which,
}

/// Flags of lift.
#[derive(Debug, Args)]
pub struct Lift {
    /// Begin the window's ramp instead of opening at once, or one of this length
    #[arg(long, value_name = "DURATION", num_args = 0..=1, value_parser = ramp_length)]
    pub ramp: Option<Option<Duration>>,
    /// How many new connections a second in the ramp [default: as the window was raised with, or 10/s]
    #[arg(long, value_name = "N/s", requires = "ramp", allow_hyphen_values = true)]
    pub ramp_rate: Option<Rate>,
    /// Which windows.
    #[command(flatten)]
    pub which: Which,
}

/// Flags of status.
#[derive(Debug, Args)]
pub struct Status {
    /// Exit with 4 if no window is in force
    #[arg(long)]
    pub check: bool,
    /// Only this port
    #[arg(long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub ports: Vec<u16>,
}
