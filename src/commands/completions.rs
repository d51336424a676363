//! `pgcordon completions`: what a shell needs to complete this command line.

use crate::cli::{Cli, Completions, Shell};
use clap::CommandFactory;
use clap_complete::shells::{Bash, Fish, Zsh};

/// The completions of a shell, as a script that it reads.
pub fn run(args: &Completions) -> String {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => clap_complete::generate(Bash, &mut command, name, &mut script),
        Shell::Zsh => clap_complete::generate(Zsh, &mut command, name, &mut script),
        Shell::Fish => clap_complete::generate(Fish, &mut command, name, &mut script),
    }
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_learns_every_command() {
        for shell in Shell::value_variants() {
            let script = run(&Completions { shell: *shell });
            for command in Cli::command().get_subcommands() {
                let name = command.get_name();
                assert!(script.contains(name), "{name} is missing for {shell:?}");
            }
        }
    }
}
