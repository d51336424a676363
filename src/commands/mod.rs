//! One file for each command: a straight pipeline that reads like DESIGN.md section 3.

mod allow;
mod completions;
mod countdown;
mod drain;
mod error;
mod exit;
mod extend;
mod guard;
mod hold;
mod keep;
mod lift;
mod listeners;
mod man;
mod plan;
mod policy;
mod raise;
mod record;
mod request;
mod run;
mod select;
mod service;
mod settings;
mod signals;
mod start;
mod status;
mod supervise;
mod usage;

pub use error::CommandError;
pub use exit::Exit;

use crate::cli::{Cli, Command, Output};
use crate::guard::{self as guards, Guarded};
use crate::job;
use crate::report::{Answer, Failure, Paint, Report, Stream};
use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Instant;

/// What every command has at hand.
pub struct Context {
    /// When `main` began.
    pub began: Instant,
    /// The kernel's firewall.
    pub firewall: Guarded,
    /// Whether nothing but warnings and errors is to be said.
    pub quiet: bool,
    /// Whether the result is to be JSON on stdout.
    pub json: bool,
    /// The soft limit of open files that pgcordon was started with; `None` is no limit.
    pub open_files: Option<u64>,
    /// How text for a human is coloured.
    pub paint: Paint,
}

impl Context {
    /// Says what has been done so far, on stderr: stdout is for the result.
    pub fn progress(&self, text: &str) {
        if !self.quiet {
            Stream::Stderr.line(text);
        }
    }

    /// Says what a report has so far, its warnings too, where the command goes on.
    pub fn tell(&self, report: &mut Report) {
        self.progress(&report.to_text(self.paint));
        self.tell_warnings(report);
    }

    /// Adds a warning to a report, and says it at once.
    pub fn warn(&self, report: &mut Report, text: String) {
        report.warnings.push(text);
        self.tell_warnings(report);
    }

    /// Says those warnings that have not been said.
    fn tell_warnings(&self, report: &mut Report) {
        for warning in &report.warnings[report.warnings_told..] {
            let label = self.paint.warning("warning:");
            let text = crate::report::printable(warning);
            Stream::Stderr.line(&format!("{label} {text}"));
        }
        report.warnings_told = report.warnings.len();
    }
}

/// Parses, runs one command, prints what it has to say, and tells the exit status.
#[must_use]
pub fn main() -> ExitCode {
    let began = Instant::now();
    let args: Vec<OsString> = std::env::args_os().collect();
    if args.first().is_some_and(|program| program == guards::NAME) {
        return guard::main(args.into_iter().skip(1)).into();
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

fn run(context: &mut Context, command: &Command) -> Result<(Answer, Exit), CommandError> {
    // What is written down can be looked at by anybody; the rest is the kernel's firewall.
    let is_document = matches!(command, Command::Completions(_) | Command::Man(_));
    if !is_document && !matches!(command, Command::Policy(_)) {
        error::check_privilege()?;
    }
    let (report, exit) = match command {
        Command::Start(start) => start::run(context, start)?,
        Command::Allow(allow) => allow::run(context, allow)?,
        Command::Extend(extend) => extend::run(context, extend)?,
        Command::Lift(lift) => lift::run(context, lift)?,
        Command::Status(status) => status::run(context, status)?,
        Command::Hold(start) => hold::run(context, start)?,
        Command::Run(args) => run::run(context, args)?,
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
            if let Answer::Report(report) = &mut answer {
                context.tell_warnings(report);
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
            let failure = error.failure();
            if context.json && results == Stream::Stdout {
                results.line(&failure.to_json(name));
            }
            say(&failure);
            error.exit()
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
