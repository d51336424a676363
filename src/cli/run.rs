//! Flags of `run`.

use super::Start;
use crate::failure::Exit;
use crate::policy;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the help of `run` ends with.
pub(super) fn after_help() -> String {
    let of_run = |exit: Exit| (124..128).contains(&exit.status());
    format!(
        "{NOTES}\n\nExit status: CMD's own, 128 + N after signal N, or\n{}\n\n{EXAMPLES}",
        Exit::list(of_run)
    )
}

const NOTES: &str = "\
CMD has the terminal and a process group of its own: Ctrl-C ends CMD, and the port is opened
when it has ended. A pager or tee belongs inside: -- sh -c 'psql -f fix.sql | less'
CMD finds PGCORDON_ENDS_AT, the window's end when CMD was started (UTC, RFC 3339), and
PGCORDON_PORTS, the ports with commas between them, in its environment.";

const EXAMPLES: &str = "\
Examples:
  pgcordon run --for 30m -- psql -f fix.sql
  pgcordon run --for 30m --on-expiry kill --report /root/fix.json -- ./fix.sh --all
  pgcordon run --for 10m --on-expiry extend --max 2h -- su postgres -c 'vacuumdb --full orders'";

/// Flags of run.
#[derive(Debug, Args)]
pub struct Run {
    /// The window.
    #[command(flatten)]
    pub start: Start,
    /// What a policy says of run.
    #[command(flatten)]
    pub run: policy::Run,
    /// Write the JSON report to this file, since stdout belongs to CMD
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}
