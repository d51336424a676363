//! `pgcordon hold`: cordon and drain in the foreground; Ctrl-C lifts.

use super::raise::Plan;
use super::signals::{Signals, block_on};
use super::{CommandError, Context, Exit, start};
use crate::cli::Start;
use crate::cordon::show_duration;
use crate::firewall::{Detail, Firewall};
use crate::report::{Outcome, Report, Stream};
use crate::window;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Between two looks at the window: the live line shows whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// Raises, drains, waits for the end of the window and its ramp, and lifts.
///
/// # Errors
/// Then nothing of this call is in force.
pub fn run(context: &mut Context, args: &Start) -> Result<(Report, Exit), CommandError> {
    let mut plan = Plan::new(args)?;
    block_on(async {
        let mut signals = Signals::watch()?;
        // A lost terminal is nobody's wish to open the port: go on without it.
        let mut hangup = signal(SignalKind::hangup()).map_err(CommandError::Runtime)?;
        tokio::spawn(async move { while hangup.recv().await.is_some() {} });
        let (report, exit) =
            start::cordon_and_drain(context, "hold", args, &mut plan, &mut signals).await?;
        hold(context, report, exit, &mut signals).await
    })
}

/// Waits for the end of the windows and their ramps, for someone who lifts them, or for a signal.
async fn hold(
    context: &mut Context,
    report: Report,
    exit: Exit,
    signals: &mut Signals,
) -> Result<(Report, Exit), CommandError> {
    let own = report.windows.iter();
    let own: Vec<(u16, u64)> = own.map(|w| (w.port, w.identity.id)).collect();
    let ports: Vec<u16> = own.iter().map(|(port, _)| *port).collect();
    context.progress(&report.to_text(context.paint));
    let line = live_line(context);
    loop {
        let (mut blocked, mut whole) = (Duration::ZERO, Duration::ZERO);
        for port in &ports {
            let standing = context.firewall.read(*port, Detail::Block)?;
            let window = standing.and_then(|standing| standing.window);
            if let Some(window) = window.filter(|window| own.contains(&(*port, window.identity.id)))
            {
                whole = whole.max(window.whole_remaining());
                if window.is_closed() {
                    blocked = blocked.max(window.remaining);
                }
            }
        }
        if whole.is_zero() {
            line.finish_and_clear();
            break;
        }
        let (remaining, message) = match blocked {
            Duration::ZERO => (whole, "of the ramp left; Ctrl-C lets everybody in"),
            blocked => (blocked, "left; Ctrl-C opens the port"),
        };
        line.set_message(format!("{} {message}", show_duration(remaining)));
        tokio::select! {
            exit = signals.next() => {
                line.finish_and_clear();
                window::lift_own(&mut context.firewall, &own)?;
                return Err(CommandError::Interrupted(exit));
            }
            () = tokio::time::sleep(remaining.min(SECOND)) => {}
        }
    }
    // What is left are empty tables, unless someone has begun a new window meanwhile.
    window::sweep(&mut context.firewall, &ports)?;
    let mut ended = Report::new("hold", Outcome::Lifted);
    ended.changed = true;
    ended.windows = report.windows;
    for window in &mut ended.windows {
        window.remaining = Duration::ZERO;
    }
    ended.blocked_after = report.blocked_after;
    ended.drain = report.drain;
    ended.warnings = report.warnings;
    if exit == Exit::Incomplete {
        // The port is open again: no status can say that somebody is still there.
        let text = "the drain was incomplete, or could not be verified to its end";
        ended.warnings.push(text.to_owned());
    }
    Ok((ended, Exit::Done))
}

/// The line that counts down, on a terminal.
fn live_line(context: &Context) -> ProgressBar {
    let target = if Stream::Stderr.is_terminal() && !context.quiet {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("{msg}");
    let bar = ProgressBar::with_draw_target(None, target);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
