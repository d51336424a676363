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
    let ports = match select::ports(firewall, &args.which) {
        Err(CommandError::NoWindow { .. }) => Vec::new(),
        other => other?,
    };
    let lifted = window::lift(firewall, &ports)?;
    if args.which.ports.is_empty() {
        let leftovers = select::leftovers(firewall)?;
        window::sweep(firewall, &leftovers)?;
    }
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
