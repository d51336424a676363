//! The command line: clap types, nothing else. Help, completions and man pages come from
//! these definitions.

mod documents;
mod in_force;
mod policy;
mod run;
mod start;
mod value;

pub use documents::{Completions, Man, Shell};
pub use in_force::{Allow, Drain, Extend, Lift, Status, Which};
pub use policy::{Check, Policy, Show};
pub use run::Run;
pub use start::Start;

use crate::failure::{Exit, OPEN_BY_HAND};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keep every remote client off PostgreSQL for a stated time, and give the port back.
///
/// A cordon drops remote packets to the port in the kernel, cuts the remote clients that are
/// connected, and ends by itself when its time is over, whatever dies. Loopback and
/// Unix-socket clients pass throughout; PostgreSQL keeps running and no file of it is touched.
#[derive(Debug, Parser)]
#[command(name = "pgcordon", version, max_term_width = 100, after_help = after_help())]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Flags of every command.
    #[command(flatten)]
    pub global: Global,
}

/// What the help of the whole ends with.
fn after_help() -> String {
    let lifted = "130, 143  interrupted, and lifted";
    let statuses = Exit::list(|exit| exit.status() < 100);
    format!(
        "Exit status:
{statuses}
  {lifted}
  run has CMD's own status; see pgcordon run --help

To open a port by hand with no pgcordon at all:
  {OPEN_BY_HAND}"
    )
}

/// Flags of every command, below its own in the help.
#[derive(Debug, Args)]
#[command(next_display_order = 900)]
pub struct Global {
    /// Print for a human, or one JSON object on stdout
    #[arg(short, long, global = true, value_enum, default_value = "human", value_name = "FORMAT")]
    pub output: Output,
    /// Print nothing on success; warnings and errors still go to stderr
    #[arg(long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say on stderr what is being done
    #[arg(long, global = true)]
    pub verbose: bool,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
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
    #[command(after_help = start::EXAMPLES)]
    Start(Start),
    /// The same in the foreground; Ctrl-C lifts
    Hold(Start),
    /// Cordon, cut, run a command, and open the port when it has ended
    #[command(after_help = run::after_help())]
    Run(Run),
    /// Drain again under a window in force
    Drain(Drain),
    /// Let an address in during a window, or take it off the pass list again
    Allow(Allow),
    /// Move the end of a window
    #[command(after_help = in_force::EXTEND_EXAMPLES)]
    Extend(Extend),
    /// End the window now, or its ramp
    #[command(after_help = in_force::LIFT_EXAMPLES)]
    Lift(Lift),
    /// Show windows, time left, knocks, and who is connected
    Status(Status),
    /// Show what start would block, cut and let pass; changes nothing
    Plan(Start),
    /// Check and show policies: how a host is to be cordoned, written down once
    #[command(subcommand, after_help = policy::EXAMPLES)]
    Policy(Policy),
    /// Print what a shell needs to complete this command line
    #[command(after_help = documents::COMPLETIONS_EXAMPLES)]
    Completions(Completions),
    /// Write the manual, a page for each command
    #[command(after_help = documents::MAN_EXAMPLES)]
    Man(Man),
}

impl Command {
    /// The word on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start(_) => "start",
            Self::Hold(_) => "hold",
            Self::Run(_) => "run",
            Self::Drain(_) => "drain",
            Self::Allow(_) => "allow",
            Self::Extend(_) => "extend",
            Self::Lift(_) => "lift",
            Self::Status(_) => "status",
            Self::Plan(_) => "plan",
            Self::Policy(Policy::Check(_)) => "policy check",
            Self::Policy(Policy::Show(_)) => "policy show",
            Self::Policy(Policy::Schema) => "policy schema",
            Self::Completions(_) => "completions",
            Self::Man(_) => "man",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }
}
