//! `pgcordon hold`: cordon and drain in the foreground; Ctrl-C lifts.

use super::raise::{self, Cordoned, Plan};
use super::{CommandError, Context};
use crate::audit;
use crate::cli::Start;
use crate::cordon::Window;
use crate::failure::Exit;
use crate::foreground::{
    Ends, Foreground, Over, Until, follow_for_service, show_countdown, until_over, until_swept,
};
use crate::report::{Body, Outcome, Report};
use crate::window::{self, Ownership};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Raises, drains, waits for the end of the window and its ramp, and lifts.
pub fn run(context: &mut Context, args: &Start) -> Result<(Report, Exit), CommandError> {
    let mut plan = Plan::new(args)?;
    context.firewall.stay_in_service();
    let mut foreground = Foreground::new().map_err(CommandError::Runtime)?;
    let exclusive = Ownership::Exclusive;
    let mut cordoned =
        raise::cordon_and_drain(context, args, &mut plan, exclusive, &mut foreground)?;
    cordoned.tell(context);
    if !cordoned.is_drained() {
        // The port is open at the end: no status can say that somebody is still there.
        context.warn("the drain was incomplete, or could not be verified to its end");
    }
    let windows = hold(context, &cordoned, &mut foreground)?;
    let report =
        Report { windows, body: Body::Windows(Outcome::Lifted), ..cordoned.report(context) };
    Ok((report, Exit::Done))
}

/// Waits for the end of the windows and their ramps, for someone who lifts them, or for a
/// signal. Gives the windows as they are at their end.
fn hold(
    context: &mut Context,
    cordoned: &Cordoned,
    foreground: &mut Foreground,
) -> Result<Vec<Window>, CommandError> {
    let own = &cordoned.own;
    let (ends, told) = watch::channel(Ends::of(&cordoned.windows, Until::AllIsOver));
    let firewall = context.firewall.clone();
    let waited = foreground.wait(async {
        tokio::select! {
            over = until_over(firewall, own, Until::AllIsOver, &ends) => over,
            never = follow_for_service(told.clone(), cordoned.is_drained()) => match never {},
            never = show_countdown(told, |text| context.progress(text)), if !context.quiet => match never {},
        }
    });
    let over = match waited {
        Ok(over) => over,
        Err(caught) => {
            raise::take_back(context, foreground, own, "interrupted by a signal")?;
            return Err(raise::interrupted(caught));
        }
    };
    foreground.runtime.block_on(until_swept(own));
    // What is left are empty tables, unless someone has begun a new window meanwhile.
    let ports: Vec<u16> = own.iter().map(|own| own.port).collect();
    window::sweep(&mut context.firewall, &ports)?;
    let mut windows = cordoned.windows.clone();
    for window in &mut windows {
        window.cordon.length = Duration::ZERO;
        window.ends_at = SystemTime::now();
        if over == Over::Expired && !context.firewall.leaves_guards() {
            audit::ended(window);
        }
    }
    Ok(windows)
}
