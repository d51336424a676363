//! Commands that write documents from these definitions, and need no privilege.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Flags of completions.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell that reads them
    #[arg(value_enum)]
    pub shell: Shell,
}

/// The shells that root has on a host of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash, with bash-completion
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
}

/// Flags of man.
#[derive(Debug, Args)]
pub struct Man {
    /// Where the pages go; made if it is missing
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  pgcordon completions bash > /usr/share/bash-completion/completions/pgcordon
  pgcordon completions zsh > /usr/local/share/zsh/site-functions/_pgcordon
  pgcordon completions fish > /etc/fish/completions/pgcordon.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  pgcordon man /usr/local/share/man/man8";
