//! `pgcordon extend`: move the end of a window.

use super::{CommandError, Context, in_force, select};
use crate::audit;
use crate::cli::Extend;
use crate::cordon::{WindowEnd, show};
use crate::failure::Exit;
use crate::report::{Body, Outcome, Report};
use crate::window;
use std::time::Duration;

/// Moves the end of windows, to an earlier time only with `--shorten`.
pub fn run(context: &mut Context, args: &Extend) -> Result<(Report, Exit), CommandError> {
    let end = match (args.by.map(|by| by.0), args.length.map(|length| length.0)) {
        (Some(more), _) => WindowEnd::By(more),
        (None, length) => WindowEnd::In(length.unwrap_or(Duration::ZERO)),
    };
    let firewall = &mut context.firewall;
    let ports = match select::ports(firewall, &args.which) {
        Err(error @ CommandError::NoWindow { .. }) => {
            let leftovers = select::leftovers(firewall)?;
            window::sweep(firewall, &leftovers)?;
            return Err(error);
        }
        other => other?,
    };
    select::settle(firewall, &ports)?;
    let outcomes = window::extend(firewall, &ports, end, args.shorten, args.max.0)?;
    for outcome in &outcomes {
        match outcome.changed {
            true => audit::extended(&outcome.window, ""),
            false => context.warn(format!(
                "the window on port {} ends later than that already, in {}; --shorten moves the end to an earlier time",
                outcome.window.cordon.port,
                show::duration(outcome.window.cordon.length)
            )),
        }
    }
    let (windows, changed) = in_force::conclude(context, outcomes);
    let body = Body::Windows(Outcome::Extended);
    let report = Report::new(context.command, changed, windows, body);
    Ok((report, Exit::Done))
}
