//! `pgcordon lift`: end the window now, at once or with its ramp.

use super::{CommandError, Context, raise, record, select};
use crate::cli::Lift;
use crate::failure::Exit;
use crate::report::{Outcome, Report};
use crate::window::{self, Guards, RampWish};

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
    let mut report = Report::new("lift", Outcome::NotCordoned);
    // A cordon that another program has flushed just now is a window all the same: lifting
    // ends its guard before that puts it back.
    let guarded = |port: &u16| firewall.guard(*port).is_some();
    let is_guarded = ports.iter().any(guarded);
    match args.ramp {
        None => {
            report.windows = window::lift(firewall, &ports)?;
            record::lifted(&report.windows, "");
        }
        Some(length) => {
            let per_second = args.ramp_rate.map(|rate| rate.0);
            select::settle(firewall, &ports)?;
            let wish = RampWish { length, per_second };
            for outcome in window::lift_to_ramp(firewall, &ports, wish)? {
                if outcome.changed {
                    record::lifted(std::slice::from_ref(&outcome.window), "");
                }
                raise::add(&mut report, outcome);
            }
        }
    }
    // What is left of old windows blocks nobody, and must not make a failure of this.
    let swept = match args.which.ports.is_empty() {
        true => sweep(firewall),
        false => Ok(()),
    };
    if let Err(error) = swept {
        let text = format!("what old windows have left could not be removed: {error}");
        report.warnings.push(text);
    }
    if !report.windows.is_empty() || is_guarded && args.ramp.is_none() {
        (report.outcome, report.changed) = match args.ramp {
            None => (Outcome::Lifted, true),
            Some(_) => (Outcome::Ramping, report.changed),
        };
    }
    Ok((report, Exit::Done))
}

/// Removes the tables of windows that are over.
fn sweep(firewall: &mut impl Guards) -> Result<(), CommandError> {
    let leftovers = select::leftovers(firewall)?;
    Ok(window::sweep(firewall, &leftovers)?)
}
