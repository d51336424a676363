//! The command line: clap types, nothing else. Help, completions and man pages come from
//! these definitions.

use crate::cordon::{
    DEFAULT_DRAIN_TIMEOUT, DEFAULT_FAREWELL, PassError, PassList, Reason, Spare, Verdict,
    parse_duration,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Keep every remote client off PostgreSQL for a stated time, and give the port back.
///
/// A cordon drops remote packets to the port in the kernel, cuts the remote clients that are
/// connected, and ends by itself when its time is over, whatever dies. Loopback and
/// Unix-socket clients pass throughout; PostgreSQL keeps running and no file of it is touched.
#[derive(Debug, Parser)]
#[command(name = "pgcordon", version, max_term_width = 100, after_help = EXIT_STATUSES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
}

const EXIT_STATUSES: &str = "\
Exit status:
  0  done, or already so          1  failed; nothing of this call is in force
  2  usage error                  3  the cordon is in force, the drain is incomplete
  4  no window                   77  a privilege is missing
  130, 143  interrupted, and lifted

To open a port by hand with no pgcordon at all: nft delete table inet pgcordon_PORT";

/// Flags of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Print for a human, or one JSON object on stdout
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value = "human",
        value_name = "FORMAT"
    )]
    pub output: Output,
    /// Print nothing on success; warnings and errors still go to stderr
    #[arg(long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say on stderr what is being done
    #[arg(long, global = true)]
    pub verbose: bool,
    /// When to use colours; NO_COLOR is respected
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    pub color: clap::ColorChoice,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text.
    Human,
    /// One JSON object.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Cordon the port, cut remote clients, and return; the kernel reopens it in time
    #[command(after_help = START_EXAMPLES)]
    Start(Start),
    /// The same in the foreground; Ctrl-C lifts
    Hold(Start),
    /// Drain again under a window in force
    Drain(Drain),
    /// Let an address in during a window, or take it off the pass list again
    Allow(Allow),
    /// Move the end of a window
    #[command(after_help = EXTEND_EXAMPLES)]
    Extend(Extend),
    /// End the window now
    Lift(Lift),
    /// Show windows, time left, knocks, and who is connected
    Status(Status),
    /// Show what start would block, cut and let pass; changes nothing
    Plan(Start),
}

impl Command {
    /// The word on the command line.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Hold(_) => "hold",
            Self::Drain(_) => "drain",
            Self::Allow(_) => "allow",
            Self::Extend(_) => "extend",
            Self::Lift(_) => "lift",
            Self::Status(_) => "status",
            Self::Plan(_) => "plan",
        }
    }
}

const START_EXAMPLES: &str = "\
Examples:
  pgcordon start --for 10m
  pgcordon start --for 1h30m --reason 'reindex orders' --allow 10.0.0.5
  pgcordon start --for 10m --port 5432 --port 5433 -o json";

const EXTEND_EXAMPLES: &str = "\
Examples:
  pgcordon extend --by 5m             five minutes more
  pgcordon extend --for 5m            ends five minutes from now, unless it ends later
  pgcordon extend --for 5m --shorten  ends five minutes from now";

/// Flags of start, hold and plan.
#[derive(Debug, Args)]
pub struct Start {
    /// How long the window lasts: 90s, 10m, 1h30m
    #[arg(long = "for", value_name = "DURATION", value_parser = window_length, allow_hyphen_values = true)]
    pub length: Duration,
    /// Permit a window longer than 24 h, up to this
    #[arg(long, value_name = "DURATION", value_parser = window_length, default_value = "24h", allow_hyphen_values = true)]
    pub max: Duration,
    /// TCP port to cordon; repeat it for several
    #[arg(long = "port", value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), default_values_t = [5432])]
    pub ports: Vec<u16>,
    /// Let an address, a network, an interface's networks or a file's networks through
    #[arg(long, value_name = "ADDR|CIDR|interface:NAME|@FILE")]
    pub allow: Vec<AllowEntry>,
    /// Let standbys that are connected now stay and come back: their addresses pass
    #[arg(long)]
    pub allow_replication: bool,
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
    /// What remote packets meet
    #[arg(long, value_enum, default_value = "drop")]
    pub verdict: Verdict,
    /// Why, for those who look: at most 100 printable characters, no quotation mark
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<Reason>,
    /// Leave existing connections alone and block only new ones
    #[arg(long, conflicts_with_all = ["farewell", "drain_timeout", "cancel_first", "allow_replication"])]
    pub no_drain: bool,
    /// Lift the cordon again if the drain is incomplete (status 1)
    #[arg(long, conflicts_with = "no_drain")]
    pub strict: bool,
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
    pub postgres: Postgres,
}

/// How long a drain takes.
#[derive(Debug, Args)]
pub struct Pace {
    /// How long PostgreSQL's last message and the TCP close may take; 0s cuts at once
    #[arg(long, value_name = "DURATION", value_parser = pace, default_value = "2s", allow_hyphen_values = true)]
    pub farewell: Duration,
    /// How long to wait until nobody remote is left
    #[arg(long, value_name = "DURATION", value_parser = pace, default_value = "10s", allow_hyphen_values = true)]
    pub drain_timeout: Duration,
    /// Cancel running statements first, and give them so long to end
    #[arg(long, value_name = "DURATION", value_parser = window_length, allow_hyphen_values = true)]
    pub cancel_first: Option<Duration>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            farewell: DEFAULT_FAREWELL,
            drain_timeout: DEFAULT_DRAIN_TIMEOUT,
            cancel_first: None,
        }
    }
}

/// How PostgreSQL is reached; by default as the owner of its Unix socket.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Reaching PostgreSQL")]
pub struct Postgres {
    /// Directory of the Unix socket, where PostgreSQL has several
    #[arg(long = "pg-socket-dir", value_name = "DIR")]
    pub socket_dir: Option<PathBuf>,
    /// Role to log in as [default: the name of the socket's owner]
    #[arg(long = "pg-user", value_name = "ROLE")]
    pub user: Option<String>,
    /// Database to log in to [default: postgres, then template1]
    #[arg(long = "pg-database", value_name = "NAME")]
    pub database: Option<String>,
    /// Use TCP to this address of this host instead of the Unix socket
    #[arg(long = "pg-host", value_name = "ADDR", requires = "passfile")]
    pub host: Option<IpAddr>,
    /// Password file in the format of .pgpass, owned by root with mode 0600
    #[arg(long = "pg-passfile", value_name = "FILE")]
    pub passfile: Option<PathBuf>,
}

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
    pub pace: Pace,
    /// How PostgreSQL is reached.
    #[command(flatten)]
    pub postgres: Postgres,
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
    #[arg(long, value_name = "DURATION", value_parser = window_length, required_unless_present = "length", conflicts_with = "length", allow_hyphen_values = true)]
    pub by: Option<Duration>,
    /// Until so long from now
    #[arg(long = "for", value_name = "DURATION", value_parser = window_length, allow_hyphen_values = true)]
    pub length: Option<Duration>,
    /// With --for, also move the end to an earlier time
    #[arg(long, requires = "length", conflicts_with = "by")]
    pub shorten: bool,
    /// Permit a window longer than 24 h in total, up to this
    #[arg(long, value_name = "DURATION", value_parser = window_length, default_value = "24h", allow_hyphen_values = true)]
    pub max: Duration,
    /// Which windows.
    #[command(flatten)]
    pub which: Which,
}

/// Flags of lift.
#[derive(Debug, Args)]
pub struct Lift {
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

/// One entry of a pass list as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowEntry {
    /// An address or a network.
    Network(IpNet),
    /// The networks connected to an interface.
    Interface(String),
    /// A file with one entry a line.
    File(PathBuf),
}

impl FromStr for AllowEntry {
    type Err = PassError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix('@') {
            return Ok(Self::File(path.into()));
        }
        if let Some(name) = text.strip_prefix("interface:") {
            return Ok(Self::Interface(name.to_owned()));
        }
        PassList::parse_network(text).map(Self::Network)
    }
}

/// A duration of a drain; a part of a millisecond would be no time at all.
fn pace(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    if !length.is_zero() && length < Duration::from_millis(1) {
        return Err("a millisecond is the least; 0s cuts at once".to_owned());
    }
    if length > LONGEST {
        return Err("nothing here lasts longer than 10 years".to_owned());
    }
    Ok(length)
}

/// A duration that blocks something.
fn window_length(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text).map_err(|error| error.to_string())?;
    if length < Duration::from_secs(1) {
        return Err("a window lasts at least 1s".to_owned());
    }
    if length > LONGEST {
        return Err("nothing here lasts longer than 10 years".to_owned());
    }
    Ok(length)
}

/// The longest duration; the kernel takes it, and the clock can be asked for its end.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl ValueEnum for Verdict {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Drop, Self::Reset]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let value = clap::builder::PossibleValue::new(self.as_str());
        Some(match self {
            Self::Drop => value.help("No answer: clients wait and try again"),
            Self::Reset => value.help("A TCP reset: clients fail at once"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cordon::DEFAULT_MAX_WINDOW;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_default_of_max_is_the_designs() {
        assert_eq!(window_length("24h").unwrap(), DEFAULT_MAX_WINDOW);
    }

    #[test]
    fn the_pace_without_flags_is_the_default_pace() {
        let cli = Cli::try_parse_from(["pgcordon", "drain"]).unwrap();
        let Command::Drain(drain) = cli.command else {
            panic!("not drain")
        };
        assert_eq!(drain.pace.farewell, Pace::default().farewell);
        assert_eq!(drain.pace.drain_timeout, Pace::default().drain_timeout);
    }
}
