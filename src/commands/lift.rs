//! `pgcordon lift`: end the window now.

use super::{CommandError, Context, Exit, select};
use crate::cli::Lift;
use crate::report::{Outcome, Report};
use crate::window;

/// Ends windows; that there is none is no failure.
///
/// # Errors
/// Several windows and none named, or the firewall's word.
pub fn run(context: &mut Context, args: &Lift) -> Result<(Report, Exit), CommandError> {
    let firewall = &mut context.firewall;
    let mut ports = match select::ports(firewall, &args.which) {
        Err(CommandError::NoWindow { .. }) => Vec::new(),
        other => other?,
    };
    if args.which.ports.is_empty() {
        ports.extend(select::leftovers(firewall)?);
    }
    let lifted = window::lift(firewall, &ports)?;
    let outcome = if lifted.is_empty() {
        Outcome::NotCordoned
    } else {
        Outcome::Lifted
    };
    let mut report = Report::new("lift", outcome);
    report.changed = !lifted.is_empty();
    report.windows = lifted;
    Ok((report, Exit::Done))
}
