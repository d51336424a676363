//! One call of the program: reads the command line, runs one command and prints its result.

mod usage;

use crate::cli::{Cli, Command, Output};
use crate::commands::{
    self, CommandError, Context, allow, completions, drain, extend, hold, lift, man, plan, policy,
    start, status,
};
use crate::failure::{Exit, Failure};
use crate::guard::{self, GuardError, Guarded};
use crate::job;
use crate::report::{Answer, human, json};
use crate::sys::terminal::{Paint, Stream};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

/// Runs the program. It is a guard or the helper of a job if its arguments say so.
pub fn main() -> ExitCode {
    let began = Instant::now();
    let args: Vec<OsString> = std::env::args_os().collect();
    if args.first().is_some_and(|program| program == guard::NAME) {
        return guard_exit(guard::main(args.into_iter().skip(1))).into();
    }
    if let Some(status) = job::helper(&args) {
        return status.into();
    }
    let cli = match usage::parse(&args) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    log_to_stderr(&cli);
    let open_files = allow_many_descriptors();
    let mut context = Context {
        command: cli.command.name(),
        began,
        firewall: Guarded::new(),
        quiet: cli.global.quiet,
        json: cli.global.output == Output::Json,
        open_files,
        paint: Paint::choose(cli.global.color, Stream::Stderr),
        warnings: Vec::new(),
    };
    let result = run(&mut context, &cli.command);
    let exit = print(&context, &cli, result);
    match cli.command {
        Command::Run(_) => exit.of_run().into(),
        _ => exit.into(),
    }
}

fn guard_exit(ended: Result<(), GuardError>) -> Exit {
    match ended {
        Ok(()) => Exit::Done,
        Err(error) => {
            Stream::Stderr.line(&format!("error: {error}"));
            Exit::Failed
        }
    }
}

fn run(context: &mut Context, command: &Command) -> Result<(Answer, Exit), CommandError> {
    let reads_only_files =
        matches!(command, Command::Completions(_) | Command::Man(_) | Command::Policy(_));
    if !reads_only_files {
        commands::check_privilege()?;
    }
    let (report, exit) = match command {
        Command::Start(start) => start::run(context, start)?,
        Command::Allow(allow) => allow::run(context, allow)?,
        Command::Extend(extend) => extend::run(context, extend)?,
        Command::Lift(lift) => lift::run(context, lift)?,
        Command::Status(status) => status::run(context, status)?,
        Command::Hold(start) => hold::run(context, start)?,
        Command::Run(args) => commands::run::run(context, args)?,
        Command::Drain(drain) => drain::run(context, drain)?,
        Command::Plan(start) => plan::run(context, start)?,
        Command::Policy(command) => return policy::run(context, command),
        Command::Completions(args) => return Ok(document(completions::run(args))),
        Command::Man(args) => return Ok(document(man::run(args)?)),
    };
    Ok((Answer::Report(Box::new(report)), exit))
}

/// A text that `--output` does not change.
fn document(text: String) -> (Answer, Exit) {
    (Answer::Text(text.trim_end().to_owned()), Exit::Done)
}

/// Prints the result, and returns the exit status.
fn print(context: &Context, cli: &Cli, result: Result<(Answer, Exit), CommandError>) -> Exit {
    // The stdout of `run` is CMD's alone.
    let results = match cli.command {
        Command::Run(_) => Stream::Stderr,
        _ => Stream::Stdout,
    };
    let say = |failure: &Failure| Stream::Stderr.line(&human::failure(failure, context.paint));
    match result {
        Ok((answer, exit)) => {
            // --quiet leaves out reports of success, but not a text that was asked for.
            let is_report = matches!(answer, Answer::Report(_) | Answer::Check(_));
            let quiet = match exit {
                Exit::Done | Exit::Command(_) | Exit::WindowOver => context.quiet && is_report,
                _ => false,
            };
            let paint = Paint::choose(cli.global.color, results);
            match cli.global.output {
                Output::Json => results.line(&answer.to_json(&context.warnings)),
                Output::Human if quiet => {}
                Output::Human => results.line(&answer.to_text(paint)),
            }
            answer.failure().into_iter().for_each(say);
            exit
        }
        Err(error) => {
            let failure = Failure::of(&error);
            if context.json && results == Stream::Stdout {
                results.line(&json::failure(context.command, &failure));
            }
            say(&failure);
            failure.why.exit
        }
    }
}

/// Raises the soft limit of open files to the hard one, since a drain holds a descriptor for each
/// backend. Returns the soft limit from before.
fn allow_many_descriptors() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::debug!(%error, "the limit of open files stays");
    }
    limit.current
}

/// Sends what all modules log to stderr: warnings always, the rest with `--verbose`.
fn log_to_stderr(cli: &Cli) {
    let level = match cli.global.verbose {
        true => tracing::Level::DEBUG,
        false => tracing::Level::WARN,
    };
    let ansi = Paint::choose(cli.global.color, Stream::Stderr) == Paint::Colours;
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // They would go to stderr, and panic if that is a terminal that is gone.
        .log_internal_errors(false)
        .with_max_level(level)
        .with_target(false)
        .with_ansi(ansi)
        .without_time()
        .init();
}
