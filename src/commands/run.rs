//! `pgcordon run`: cordon, drain, run CMD, and lift when it has ended.

use super::raise::Plan;
use super::supervise::{self, Ran};
use super::{CommandError, Context, record, start};
use crate::cli::Run;
use crate::cordon::Window;
use crate::failure::Exit;
use crate::failure::Failure;
use crate::firewall::{Detail, Firewall};
use crate::foreground::{Foreground, Over, Signals, one_is_over};
use crate::job::{self, End, Launch};
use crate::policy::Settings;
use crate::report::{CommandRun, Outcome, Report, ReportFile};
use crate::window;
use std::ffi::OsString;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Raises, drains, runs CMD, and lifts.
///
/// # Errors
/// Then nothing of this call is in force.
pub fn run(context: &mut Context, args: &Run) -> Result<(Report, Exit), CommandError> {
    if context.json {
        return Err(CommandError::StdoutTaken);
    }
    if let Some(command) = args.command.first() {
        job::find(command)?;
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
            Ok((report, _)) => report.to_json(),
            Err(error) => Failure::of(error).to_json("run"),
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
    let (mut report, drained) =
        start::cordon_and_drain(context, "run", &args.start, &mut plan, &mut foreground)?;
    let own = report.own();
    if drained == Exit::Incomplete {
        let text = "the drain is incomplete, or could not be verified to its end";
        report.warnings.push(text.to_owned());
    }
    context.tell(&mut report);
    let Foreground { runtime, signals } = &mut foreground;
    let running = run_command(context, &args.command, &plan.settings, &mut report, signals);
    let ran = runtime.block_on(running);
    let lifted = window::lift_own_to_ramp(&mut context.firewall, &own);
    if let Ok(lifted) = &lifted {
        record::lifted(lifted, &why_lifted(&report));
    }
    if let (Ok(Some(_)), Some(run), Err(_)) = (&ran, &report.command_run, &lifted) {
        tracing::warn!("CMD has ended with status {}", run.status);
    }
    let (ran, lifted) = (ran?, lifted?);
    let (mut report, exit) = conclude(report, ran, lifted, context.firewall.leaves_guards());
    show_ramps(context, &mut report);
    Ok((report, exit))
}

/// What the record says.
fn why_lifted(report: &Report) -> String {
    match &report.command_run {
        Some(run) => format!("{} has ended with status {}", run.program, run.status),
        None => "CMD could not be run".to_owned(),
    }
}

/// The report after CMD's end, and the exit status.
fn conclude(
    mut report: Report,
    ran: Option<Ran>,
    lifted: Vec<Window>,
    is_guarded: bool,
) -> (Report, Exit) {
    report.outcome = Outcome::Lifted;
    let over = ran.as_ref().and_then(|ran| ran.over);
    let (over_at, how) = over.unwrap_or_else(|| {
        let was_due = ran
            .as_ref()
            .is_none_or(|ran| Instant::now() >= ran.window_end);
        let how = if was_due { Over::Expired } else { Over::Lifted };
        (SystemTime::now(), how)
    });
    let was_lifted_by_us = lifted.len() == report.windows.len();
    for window in &mut report.windows {
        match lifted
            .iter()
            .find(|lifted| lifted.cordon.port == window.cordon.port)
        {
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
                if how == Over::Expired && !is_guarded {
                    record::ended(window);
                }
            }
        }
    }
    let Some(ran) = ran else {
        return (report, Exit::WindowOver);
    };
    // A window that someone has lifted just now may not have been noticed. One whose time
    // came after CMD's end was there until then.
    let was_lifted_by_another = !was_lifted_by_us && how == Over::Lifted;
    let in_time = ran.over.is_none() && !was_lifted_by_another;
    if let Some(run) = &mut report.command_run {
        run.in_time = in_time;
    }
    match in_time {
        true => (report, Exit::Command(ran.end.status())),
        false => (report, Exit::WindowOver),
    }
}

/// Windows that were ended into their ramp are shown so.
fn show_ramps(context: &mut Context, report: &mut Report) {
    for window in report
        .windows
        .iter_mut()
        .filter(|w| w.cordon.ramp.is_some())
    {
        let standing = context.firewall.read(window.cordon.port, Detail::Block);
        let now = standing.ok().flatten().and_then(|standing| standing.window);
        if let Some(now) = now.filter(|now| now.cordon.identity.id == window.cordon.identity.id) {
            (window.cordon.phase, window.cordon.length) = (now.cordon.phase, now.cordon.length);
            window.ends_at = now.ends_at;
            report.outcome = Outcome::Ramping;
        }
    }
}

/// Runs CMD in its window; `None` where that was over before it could begin.
async fn run_command(
    context: &mut Context,
    command: &[OsString],
    settings: &Settings,
    report: &mut Report,
    signals: &mut Signals,
) -> Result<Option<Ran>, CommandError> {
    if one_is_over(&report.own()) {
        let text = "the window was over before CMD could be started; it was not";
        report.warnings.push(text.to_owned());
        return Ok(None);
    }
    let first_end = report.windows.iter().map(|window| window.ends_at).min();
    let first_end = first_end.unwrap_or_else(SystemTime::now);
    let ports: Vec<String> = report
        .windows
        .iter()
        .map(|w| w.cordon.port.to_string())
        .collect();
    let ends_at = humantime::format_rfc3339_millis(first_end).to_string();
    let launch = Launch {
        command,
        environment: vec![
            ("PGCORDON_ENDS_AT", ends_at),
            ("PGCORDON_PORTS", ports.join(",")),
        ],
        open_files: context.open_files,
    };
    let started_at = SystemTime::now();
    let mut job = launch.start().map_err(CommandError::Launch)?;
    let ran = supervise::to_its_end(context, settings, report, &mut job, signals).await;
    job.take_terminal();
    let ran = ran?;
    report.command_run = Some(CommandRun {
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
    });
    if let Some(kill_at) = ran.kill_at {
        supervise::clear_group(&job, kill_at).await;
    }
    Ok(Some(ran))
}
