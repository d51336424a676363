//! `pgcordon hold`: cordon and drain in the foreground; Ctrl-C lifts.

use super::raise::Plan;
use super::{CommandError, Context, record, start};
use crate::cli::Start;
use crate::failure::Exit;
use crate::foreground::{
    Ends, Foreground, Over, Until, follow_for_service, show_countdown, until_over, until_swept,
};
use crate::report::{Outcome, Report};
use crate::window;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Raises, drains, waits for the end of the window and its ramp, and lifts.
///
/// # Errors
/// Then nothing of this call is in force.
pub fn run(context: &mut Context, args: &Start) -> Result<(Report, Exit), CommandError> {
    let mut plan = Plan::new(args)?;
    context.firewall.stay_in_service();
    let mut foreground = Foreground::new().map_err(CommandError::Runtime)?;
    let (report, exit) =
        start::cordon_and_drain(context, "hold", args, &mut plan, &mut foreground)?;
    hold(context, report, exit, &mut foreground)
}

/// Waits for the end of the windows and their ramps, for someone who lifts them, or for a
/// signal.
fn hold(
    context: &mut Context,
    mut report: Report,
    exit: Exit,
    foreground: &mut Foreground,
) -> Result<(Report, Exit), CommandError> {
    let own = report.own();
    if exit == Exit::Incomplete {
        // The port is open at the end: no status can say that somebody is still there.
        let text = "the drain was incomplete, or could not be verified to its end";
        report.warnings.push(text.to_owned());
    }
    context.tell(&mut report);
    let (ends, told) = watch::channel(Ends::of(&report.windows, Until::AllIsOver));
    let firewall = context.firewall.clone();
    let waited = foreground.wait(async {
        tokio::select! {
            over = until_over(firewall, &own, Until::AllIsOver, &ends) => over,
            never = follow_for_service(told.clone(), exit != Exit::Incomplete) => match never {},
            never = show_countdown(told, |text| context.progress(text)), if !context.quiet => match never {},
        }
    });
    let over = match waited {
        Ok(over) => over,
        Err(caught) => {
            start::lift(context, foreground, &own, "interrupted by a signal")?;
            return Err(start::interrupted(caught));
        }
    };
    foreground.runtime.block_on(until_swept(&own));
    // What is left are empty tables, unless someone has begun a new window meanwhile.
    let ports: Vec<u16> = own.iter().map(|own| own.port).collect();
    window::sweep(&mut context.firewall, &ports)?;
    report.outcome = Outcome::Lifted;
    for window in &mut report.windows {
        window.cordon.length = Duration::ZERO;
        window.ends_at = SystemTime::now();
        if over == Over::Expired && !context.firewall.leaves_guards() {
            record::ended(window);
        }
    }
    Ok((report, Exit::Done))
}
