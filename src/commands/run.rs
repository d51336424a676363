//! `pgcordon run`: cordon, drain, run CMD, and lift when it has ended.

use super::raise::{self, Cordoned, Plan};
use super::supervise::{self, Ran};
use super::{CommandError, Context};
use crate::audit;
use crate::cli::Run;
use crate::cordon::{Window, show};
use crate::failure::{Exit, Failure};
use crate::firewall::{Detail, Firewall};
use crate::foreground::{Foreground, Over, Signals, one_is_over};
use crate::job::{self, End, Launch};
use crate::policy::Settings;
use crate::report::{Body, CommandRun, Outcome, Report, ReportFile, json};
use crate::window::{self, Ownership};
use std::ffi::OsString;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Raises, drains, runs CMD, and lifts.
pub fn run(context: &mut Context, args: &Run) -> Result<(Report, Exit), CommandError> {
    if context.json {
        return Err(CommandError::StdoutTaken);
    }
    if let Some(command) = args.command.first() {
        job::find(command, std::env::var_os("PATH"))?;
    }
    let file = match &args.report {
        None => None,
        Some(path) => Some(ReportFile::open(path).map_err(|source| {
            let path = path.clone();
            CommandError::ReportFile { path, source }
        })?),
    };
    let result = in_window(context, args);
    if let Some(file) = file {
        let json = match &result {
            Ok((report, _)) => json::report(report, &context.warnings),
            Err(error) => json::failure(context.command, &Failure::of(error)),
        };
        let path = file.path().to_owned();
        let written = file.write(&json);
        // A failure is told once, and the first one is the one to tell.
        match (&result, written) {
            (Ok(_), Err(source)) => return Err(CommandError::ReportFile { path, source }),
            (Err(_), Err(error)) => tracing::warn!(%error, "the report could not be written"),
            (_, Ok(())) => {}
        }
    }
    result
}

fn in_window(context: &mut Context, args: &Run) -> Result<(Report, Exit), CommandError> {
    let mut plan = Plan::of_run(&args.start, &args.run)?;
    context.firewall.stay_in_service();
    let mut foreground = Foreground::with_job().map_err(CommandError::Runtime)?;
    let exclusive = Ownership::Exclusive;
    let mut cordoned =
        raise::cordon_and_drain(context, &args.start, &mut plan, exclusive, &mut foreground)?;
    cordoned.tell(context);
    if !cordoned.is_drained() {
        context.warn("the drain is incomplete, or could not be verified to its end");
    }
    let Foreground { runtime, signals } = &mut foreground;
    let running = run_command(context, &args.command, &plan.settings, &cordoned, signals);
    let ran = runtime.block_on(running);
    let lifted = window::lift_own_to_ramp(&mut context.firewall, &cordoned.own);
    match (&lifted, &ran) {
        (Ok(lifted), Ok(Some((_, run)))) => {
            let why = format!("{} has ended with status {}", run.program, run.status);
            audit::lifted(lifted, &why);
        }
        (Ok(lifted), _) => audit::lifted(lifted, "CMD could not be run"),
        (Err(_), Ok(Some((_, run)))) => {
            tracing::warn!("CMD has ended with status {}", run.status);
        }
        (Err(_), _) => {}
    }
    let (ran, lifted) = (ran?, lifted?);
    Ok(conclude(context, &cordoned, ran, &lifted))
}

/// Runs CMD in its window; `None` where that was over before it could begin.
async fn run_command(
    context: &mut Context,
    command: &[OsString],
    settings: &Settings,
    cordoned: &Cordoned,
    signals: &mut Signals,
) -> Result<Option<(Ran, CommandRun)>, CommandError> {
    if one_is_over(&cordoned.own) {
        context.warn("the window was over before CMD could be started; it was not");
        return Ok(None);
    }
    let windows = &cordoned.windows;
    let first_end = windows.iter().map(|window| window.ends_at).min();
    let ports = windows.iter().map(|window| window.cordon.port);
    let launch = Launch {
        command,
        environment: vec![
            ("PGCORDON_ENDS_AT", show::timestamp(first_end.unwrap_or_else(SystemTime::now))),
            ("PGCORDON_PORTS", show::joined(ports, ",")),
        ],
        open_files: context.open_files,
    };
    let started_at = SystemTime::now();
    let mut job = launch.start().map_err(CommandError::Launch)?;
    let ran = supervise::to_its_end(context, settings, cordoned, &mut job, signals).await;
    job.take_terminal();
    let ran = ran?;
    let run = CommandRun {
        program: command[0].to_string_lossy().into_owned(),
        pid: job.pid(),
        status: ran.end.status(),
        signal: match ran.end {
            End::Signal(number) => Some(number),
            End::Status(_) => None,
        },
        started_at,
        ended_at: SystemTime::now(),
        in_time: ran.over.is_none(),
    };
    if let Some(kill_at) = ran.kill_at {
        supervise::clear_group(&job, kill_at).await;
    }
    Ok(Some((ran, run)))
}

/// The report after CMD's end, and the exit status.
fn conclude(
    context: &mut Context,
    cordoned: &Cordoned,
    ran: Option<(Ran, CommandRun)>,
    lifted: &[Window],
) -> (Report, Exit) {
    let (ran, mut run) = ran.unzip();
    let over = ran.as_ref().and_then(|ran| ran.over);
    let (over_at, how) = over.unwrap_or_else(|| {
        let is_due = |ran: &Ran| Instant::now() >= ran.window_end;
        let how = match ran.as_ref().is_none_or(is_due) {
            true => Over::Expired,
            false => Over::Lifted,
        };
        (SystemTime::now(), how)
    });
    let mut windows = cordoned.windows.clone();
    for window in &mut windows {
        let port = window.cordon.port;
        match lifted.iter().find(|lifted| lifted.cordon.port == port) {
            // With the figures of its end; the pass list is not read any more there.
            Some(last) => {
                window.blocked = last.blocked;
                window.knocks.clone_from(&last.knocks);
                window.cordon.length = last.cordon.length;
                window.ends_at = last.ends_at;
            }
            None => {
                window.cordon.length = Duration::ZERO;
                window.ends_at = over_at;
                if how == Over::Expired && !context.firewall.leaves_guards() {
                    audit::ended(window);
                }
            }
        }
    }
    // A window that someone has lifted just now may not have been noticed. One whose time
    // came after CMD's end was there until then.
    let was_lifted_by_another = lifted.len() != windows.len() && how == Over::Lifted;
    let in_time = over.is_none() && !was_lifted_by_another;
    let exit = match ran {
        Some(ran) if in_time => Exit::Command(ran.end.status()),
        _ => Exit::WindowOver,
    };
    if let Some(run) = &mut run {
        run.in_time = in_time;
    }
    let outcome = match show_ramps(context, &mut windows) {
        true => Outcome::Ramping,
        false => Outcome::Lifted,
    };
    let report = Report { windows, body: Body::Run(outcome, run), ..cordoned.report(context) };
    (report, exit)
}

/// Shows windows that were ended into their ramp as they are now. Says whether there are any.
fn show_ramps(context: &mut Context, windows: &mut [Window]) -> bool {
    let mut is_ramping = false;
    for window in windows.iter_mut().filter(|w| w.cordon.ramp.is_some()) {
        let standing = context.firewall.read(window.cordon.port, Detail::Block);
        let now = standing.ok().flatten().and_then(|standing| standing.window);
        if let Some(now) = now.filter(|now| now.id() == window.id()) {
            (window.cordon.phase, window.cordon.length) = (now.cordon.phase, now.cordon.length);
            window.ends_at = now.ends_at;
            is_ramping = true;
        }
    }
    is_ramping
}
