//! Reads the command line, and tells a mistake in it in one line with a hint.

use crate::cli::Cli;
use crate::failure::{Exit, Failure, Kind};
use crate::report::{human, json};
use crate::sys::terminal::{Paint, Stream};
use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;

/// Reads the command line. It prints help, version and mistakes; the error is the exit status
/// then.
pub fn parse(args: &[OsString]) -> Result<Cli, Exit> {
    let error = match Cli::try_parse_from(args) {
        Ok(cli) => return Ok(cli),
        Err(error) => error,
    };
    // Everything after -- is CMD's.
    let end = args.iter().position(|arg| arg == "--");
    let args = &args[..end.unwrap_or(args.len())];
    let command = command_word(args);
    let is_run = command == "run";
    let usage = match is_run {
        true => Exit::Usage.of_run(),
        false => Exit::Usage,
    };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render();
            let text = match Paint::choose(clap::ColorChoice::Auto, Stream::Stdout) {
                Paint::Colours => text.ansi().to_string(),
                Paint::Plain => text.to_string(),
            };
            Stream::Stdout.line(text.trim_end());
            Err(Exit::Done)
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Stream::Stderr.line(error.render().to_string().trim_end());
            Err(usage)
        }
        _ => {
            let failure = explain(&error.render().to_string(), &command);
            if wants_json(args) && !is_run {
                Stream::Stdout.line(&json::failure(&command, &failure));
            }
            let paint = Paint::choose(clap::ColorChoice::Auto, Stream::Stderr);
            Stream::Stderr.line(&human::failure(&failure, paint));
            Err(usage)
        }
    }
}

/// The first paragraph of clap's text is the mistake, `tip:` its proposal, and the rest is the
/// usage.
fn explain(rendered: &str, command: &str) -> Failure {
    let mut lines = rendered.lines().map(str::trim);
    let message: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    let tip = lines.find_map(|line| line.strip_prefix("tip: "));
    let help = match command {
        "" => "see pgcordon --help".to_owned(),
        "run" => "CMD stands behind --; see pgcordon run --help".to_owned(),
        _ => format!("see pgcordon {command} --help"),
    };
    let message = message.join(" ");
    Failure {
        message: message.trim_start_matches("error: ").to_owned(),
        why: Kind::Usage.hint(tip.map_or(help.clone(), |tip| format!("{tip}; {help}"))),
    }
}

/// The command on the command line; empty if there is none.
fn command_word(args: &[OsString]) -> String {
    use clap::CommandFactory;
    let known = |word: &str| Cli::command().get_subcommands().any(|known| known.get_name() == word);
    let mut words = args.iter().skip(1).filter_map(|arg| arg.to_str());
    words.find(|word| known(word)).unwrap_or_default().to_owned()
}

/// Whether a command line that could not be read asks for JSON.
fn wants_json(args: &[OsString]) -> bool {
    let words: Vec<_> = args.iter().filter_map(|arg| arg.to_str()).collect();
    let pair = |two: &[&str]| matches!(two, ["-o" | "--output", "json"]);
    words.windows(2).any(pair)
        || words.iter().any(|word| matches!(*word, "-ojson" | "-o=json" | "--output=json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(args: &[&str]) -> Failure {
        let error = Cli::try_parse_from(args).unwrap_err();
        explain(&error.render().to_string(), args.get(1).unwrap_or(&""))
    }

    #[test]
    fn a_mistake_is_one_line_and_a_hint() {
        let failure = explained(&["pgcordon", "start", "--for", "10"]);
        assert_eq!(
            failure.message,
            "invalid value '10' for '--for <DURATION>': `10` has no unit; write 10s for seconds or 10m for minutes"
        );
        assert_eq!(failure.why.hint, "see pgcordon start --help");
    }

    #[test]
    fn a_typo_names_what_was_meant() {
        let failure = explained(&["pgcordon", "start", "--for", "10m", "--prot", "1"]);
        assert!(failure.why.hint.contains("--port"), "{failure:?}");
        assert!(!failure.message.contains('\n'));
    }

    #[test]
    fn a_missing_flag_is_named_in_the_same_line() {
        let failure = explained(&["pgcordon", "extend"]);
        assert!(failure.message.contains("--by"), "{failure:?}");
    }
}
