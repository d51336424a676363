//! What the commands on windows in force have in common.

use super::{CommandError, Context};
use crate::audit;
use crate::cordon::{DrainReport, Window};
use crate::drain::{self, Listeners, Order};
use crate::failure::Exit;
use crate::firewall::{Detail, Firewall, TableState};
use crate::foreground::Foreground;
use crate::window::Outcome;

/// Who listens on the ports of windows, be it PostgreSQL or not.
pub fn listeners(ports: &[u16]) -> Result<Vec<Listeners>, CommandError> {
    let of = |port: &u16| Listeners::of(*port, true);
    Ok(ports.iter().map(of).collect::<Result<_, _>>()?)
}

/// Says which cordons were damaged and are put back. Gives the windows, and whether anything
/// of them was changed.
pub fn conclude(context: &mut Context, outcomes: Vec<Outcome>) -> (Vec<Window>, bool) {
    for outcome in &outcomes {
        mended(outcome).into_iter().for_each(|text| context.warn(text));
    }
    let changed = outcomes.iter().any(|outcome| outcome.changed);
    let windows = outcomes.into_iter().map(|outcome| outcome.window);
    (windows.collect(), changed)
}

/// Puts on record that a cordon was damaged and is put back, and says so.
pub fn mended(outcome: &Outcome) -> Option<String> {
    if outcome.mended.is_empty() {
        return None;
    }
    audit::healed(&outcome.window, &outcome.mended);
    Some(format!(
        "the cordon on port {} was damaged and is put back: {}",
        outcome.window.cordon.port,
        outcome.mended.join("; ")
    ))
}

/// Drains under windows in force, and reads these again.
pub fn drain(
    context: &mut Context,
    orders: &[Order],
    windows: &mut [Window],
) -> Result<(Option<DrainReport>, Exit), CommandError> {
    let foreground = Foreground::without_signals().map_err(CommandError::Runtime)?;
    let drains = drain::drain_all(&context.firewall, orders);
    let drain = foreground.runtime.block_on(drains);
    let Some(drain) = drain else {
        return Ok((None, Exit::Done));
    };
    audit::drained(orders.iter().map(|order| order.port), &drain);
    let warnings = read_again(context, windows, &drain);
    for warning in warnings.into_iter().chain(drain.warnings.clone()) {
        context.warn(warning);
    }
    let exit = exit_after(Some(&drain));
    Ok((Some(drain), exit))
}

/// The exit status of a command that has drained.
pub fn exit_after(drain: Option<&DrainReport>) -> Exit {
    match drain.is_none_or(DrainReport::is_complete) {
        true => Exit::Done,
        false => Exit::Incomplete,
    }
}

/// Reads windows again after a drain that has met somebody: it may have let some through.
/// Gives what the user should know.
pub fn read_again(
    context: &mut Context,
    windows: &mut [Window],
    drain: &DrainReport,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if drain.backends.found + drain.sockets.found == 0 {
        return warnings;
    }
    for window in windows {
        let port = window.cordon.port;
        match context.firewall.read(port, Detail::Whole) {
            Ok(Some(TableState { window: Some(now), .. })) => {
                if !now.is_closed() {
                    warnings
                        .push(format!("the window on port {port} is over, and its ramp has begun"));
                }
                *window = now;
            }
            Ok(_) => warnings.push(format!("the window on port {port} is not there any more")),
            Err(error) => warnings.push(error.to_string()),
        }
    }
    warnings
}
