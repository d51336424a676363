//! `pgcordon lift`: end the window now, at once or with its ramp.

use super::{CommandError, Context, Exit, select};
use crate::cli::Lift;
use crate::report::{Outcome, Report};
use crate::window::{self, RampWish};

/// Ends windows and ramps; that there is none is no failure.
///
/// # Errors
/// Several windows and none named, `--ramp` without a known length, or the firewall's word.
pub fn run(context: &mut Context, args: &Lift) -> Result<(Report, Exit), CommandError> {
    let firewall = &mut context.firewall;
    let ports = match select::with_ramps(firewall, &args.which) {
        Err(CommandError::NoWindow { .. }) => Vec::new(),
        other => other?,
    };
    let (changed, windows) = match args.ramp {
        None => {
            let lifted = window::lift(firewall, &ports)?;
            (!lifted.is_empty(), lifted)
        }
        Some(length) => {
            let per_second = args.ramp_rate;
            let wish = RampWish { length, per_second };
            let outcomes = window::lift_to_ramp(firewall, &ports, wish)?;
            let changed = outcomes.iter().any(|outcome| outcome.changed);
            (changed, outcomes.into_iter().map(|o| o.window).collect())
        }
    };
    if args.which.ports.is_empty() {
        let leftovers = select::leftovers(firewall)?;
        window::sweep(firewall, &leftovers)?;
    }
    let outcome = match args.ramp {
        _ if windows.is_empty() => Outcome::NotCordoned,
        None => Outcome::Lifted,
        Some(_) => Outcome::Ramping,
    };
    let mut report = Report::new("lift", outcome);
    report.changed = changed;
    report.windows = windows;
    Ok((report, Exit::Done))
}
