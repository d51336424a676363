//! One call of the program: the command line is read, one command runs, and what it has to say
//! is printed.

mod usage;

use crate::cli::{Cli, Command, Output};
use crate::commands::{
    self, CommandError, Context, allow, completions, drain, extend, hold, lift, man, plan, policy,
    start, status,
};
use crate::failure::{Exit, Failure};
use crate::guard::{self, GuardError, Guarded};
use crate::job;
use crate::report::Answer;
use crate::sys::terminal::{Paint, Stream};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

/// Parses, runs one command, prints what it has to say, and tells the exit status.
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
    let name = cli.command.name();
    let mut context = Context {
        began,
        firewall: Guarded::new(),
        quiet: cli.global.quiet,
        json: cli.global.output == Output::Json,
        open_files,
        paint: Paint::choose(cli.global.color, Stream::Stderr),
    };
    let result = run(&mut context, &cli.command);
    let exit = print(&context, &cli, name, result);
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
    // What is written down can be looked at by anybody; the rest is the kernel's firewall.
    let is_document = matches!(command, Command::Completions(_) | Command::Man(_));
    if !is_document && !matches!(command, Command::Policy(_)) {
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
        Command::Policy(command) => return policy::run(command),
        Command::Completions(args) => return Ok(document(completions::run(args))),
        Command::Man(args) => return Ok(document(man::run(args)?)),
    };
    Ok((Answer::Report(Box::new(report)), exit))
}

/// A text as it is, whatever `--output` says.
fn document(text: String) -> (Answer, Exit) {
    (Answer::Text(text.trim_end().to_owned()), Exit::Done)
}

/// Prints the result where it belongs, and tells the exit status.
fn print(
    context: &Context,
    cli: &Cli,
    name: &str,
    result: Result<(Answer, Exit), CommandError>,
) -> Exit {
    // Where stdout belongs to CMD, not a word of ours goes there.
    let results = match cli.command {
        Command::Run(_) => Stream::Stderr,
        _ => Stream::Stdout,
    };
    let say = |failure: &Failure| Stream::Stderr.line(&failure.to_text(context.paint));
    match result {
        Ok((mut answer, exit)) => {
            match &mut answer {
                Answer::Report(report) => context.tell_warnings(report),
                other => other
                    .warnings()
                    .iter()
                    .for_each(|text| context.tell_warning(text)),
            }
            // A text that was asked for is no report of success.
            let is_report = matches!(answer, Answer::Report(_) | Answer::Check(_));
            let quiet = match exit {
                Exit::Done | Exit::Command(_) | Exit::WindowOver => context.quiet && is_report,
                _ => false,
            };
            let paint = Paint::choose(cli.global.color, results);
            match cli.global.output {
                Output::Json => results.line(&answer.to_json()),
                Output::Human if quiet => {}
                Output::Human => results.line(&answer.to_text(paint)),
            }
            answer.failure().into_iter().for_each(say);
            exit
        }
        Err(error) => {
            let failure = Failure::of(&error);
            if context.json && results == Stream::Stdout {
                results.line(&failure.to_json(name));
            }
            say(&failure);
            failure.why.exit
        }
    }
}

/// A drain holds a descriptor for each backend: takes what the hard limit gives. Returns the
/// soft limit from before.
fn allow_many_descriptors() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::debug!(%error, "the limit of open files stays");
    }
    limit.current
}

/// What the rooms below have to say goes to stderr: warnings always, the rest on `--verbose`.
fn log_to_stderr(cli: &Cli) {
    let level = if cli.global.verbose {
        tracing::Level::DEBUG
    } else {
        tracing::Level::WARN
    };
    let ansi = Paint::choose(cli.global.color, Stream::Stderr) == Paint::Colours;
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // It would be told on stderr, and panic where that is a terminal that is gone.
        .log_internal_errors(false)
        .with_max_level(level)
        .with_target(false)
        .with_ansi(ansi)
        .without_time()
        .init();
}
