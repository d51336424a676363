//! One file for each command: a straight pipeline that reads like DESIGN.md section 3.

mod allow;
mod drain;
mod error;
mod exit;
mod extend;
mod hold;
mod lift;
mod listeners;
mod plan;
mod policy;
mod raise;
mod request;
mod select;
mod settings;
mod signals;
mod start;
mod status;
mod usage;

pub use error::CommandError;
pub use exit::Exit;

use crate::cli::{Cli, Command, Output};
use crate::firewall::Nftables;
use crate::report::{Answer, Failure, Paint, Stream};
use std::process::ExitCode;
use std::time::Instant;

/// What every command has at hand.
pub struct Context {
    /// When `main` began.
    pub began: Instant,
    /// The kernel's firewall.
    pub firewall: Nftables,
    /// Whether nothing but warnings and errors is to be said.
    pub quiet: bool,
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
}

/// Parses, runs one command, prints what it has to say, and tells the exit status.
#[must_use]
pub fn main() -> ExitCode {
    let began = Instant::now();
    let cli = match usage::parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    log_to_stderr(&cli);
    allow_many_descriptors();
    let name = cli.command.name();
    let mut context = Context {
        began,
        firewall: Nftables::new(),
        quiet: cli.global.quiet,
        paint: Paint::choose(cli.global.color, Stream::Stderr),
    };
    let result = run(&mut context, &cli.command);
    print(&cli, name, result).into()
}

fn run(context: &mut Context, command: &Command) -> Result<(Answer, Exit), CommandError> {
    // What is written down can be looked at by anybody; the rest is the kernel's firewall.
    if !matches!(command, Command::Policy(_)) {
        error::check_privilege()?;
    }
    let (report, exit) = match command {
        Command::Start(start) => start::run(context, start)?,
        Command::Allow(allow) => allow::run(context, allow)?,
        Command::Extend(extend) => extend::run(context, extend)?,
        Command::Lift(lift) => lift::run(context, lift)?,
        Command::Status(status) => status::run(context, status)?,
        Command::Hold(start) => hold::run(context, start)?,
        Command::Drain(drain) => drain::run(context, drain)?,
        Command::Plan(start) => plan::run(context, start)?,
        Command::Policy(command) => return policy::run(command),
    };
    Ok((Answer::Report(Box::new(report)), exit))
}

/// Prints the result where it belongs, and tells the exit status.
fn print(cli: &Cli, name: &str, result: Result<(Answer, Exit), CommandError>) -> Exit {
    let paint = |stream| Paint::choose(cli.global.color, stream);
    let say = |failure: &Failure| Stream::Stderr.line(&failure.to_text(paint(Stream::Stderr)));
    match result {
        Ok((answer, exit)) => {
            for warning in answer.warnings() {
                let label = paint(Stream::Stderr).warning("warning:");
                let text = crate::report::printable(warning);
                Stream::Stderr.line(&format!("{label} {text}"));
            }
            let quiet = cli.global.quiet && exit == Exit::Done;
            match cli.global.output {
                Output::Json => Stream::Stdout.line(&answer.to_json()),
                Output::Human if quiet => {}
                Output::Human => Stream::Stdout.line(&answer.to_text(paint(Stream::Stdout))),
            }
            answer.failure().into_iter().for_each(say);
            exit
        }
        Err(error) => {
            let failure = error.failure();
            if cli.global.output == Output::Json {
                Stream::Stdout.line(&failure.to_json(name));
            }
            say(&failure);
            error.exit()
        }
    }
}

/// A drain holds a descriptor for each backend: takes what the hard limit gives.
fn allow_many_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::debug!(%error, "the limit of open files stays");
    }
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
        .with_max_level(level)
        .with_target(false)
        .with_ansi(ansi)
        .without_time()
        .init();
}
