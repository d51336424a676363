//! `pgcordon lift`: end the window now, at once or with its ramp.

use super::{CommandError, Context, in_force, select};
use crate::audit;
use crate::cli::Lift;
use crate::failure::Exit;
use crate::report::{Body, Outcome, Report};
use crate::window::{self, Guards, RampWish};

/// Ends windows and ramps; that there is none is no failure.
pub fn run(context: &mut Context, args: &Lift) -> Result<(Report, Exit), CommandError> {
    let firewall = &mut context.firewall;
    let ports = match select::with_ramps(firewall, &args.which) {
        Err(CommandError::NoWindow { .. }) => Vec::new(),
        other => other?,
    };
    let (windows, changed, outcome) = match args.ramp {
        None => {
            let lifted = window::lift(firewall, &ports)?;
            audit::lifted(&lifted.windows, "");
            let changed = !lifted.windows.is_empty() || lifted.has_dismissed;
            (lifted.windows, changed, changed.then_some(Outcome::Lifted))
        }
        Some(length) => {
            let per_second = args.ramp_rate.map(|rate| rate.0);
            select::settle(firewall, &ports)?;
            let wish = RampWish { length, per_second };
            let outcomes = window::lift_to_ramp(firewall, &ports, wish)?;
            for outcome in outcomes.iter().filter(|outcome| outcome.changed) {
                audit::lifted(std::slice::from_ref(&outcome.window), "");
            }
            let (windows, changed) = in_force::conclude(context, outcomes);
            let ramping = (!windows.is_empty()).then_some(Outcome::Ramping);
            (windows, changed, ramping)
        }
    };
    // What is left of old windows blocks nobody, and must not make a failure of this.
    if args.which.ports.is_empty() {
        if let Err(error) = sweep(&mut context.firewall) {
            context.warn(format!("what old windows have left could not be removed: {error}"));
        }
    }
    let body = Body::Windows(outcome.unwrap_or(Outcome::NotCordoned));
    let report = Report::new(context.command, changed, windows, body);
    Ok((report, Exit::Done))
}

/// Removes the tables of windows that are over.
fn sweep(firewall: &mut impl Guards) -> Result<(), CommandError> {
    let leftovers = select::leftovers(firewall)?;
    Ok(window::sweep(firewall, &leftovers)?)
}
