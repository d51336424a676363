//! `pgcordon extend`: move the end of a window.

use super::{CommandError, Context, raise, record, select};
use crate::cli::Extend;
use crate::cordon::{WindowEnd, show_duration};
use crate::failure::Exit;
use crate::report::{Outcome, Report};
use crate::window;
use std::time::Duration;

/// Moves the end of windows, to an earlier time only with `--shorten`.
///
/// # Errors
/// No window, a total beyond `--max`, or the firewall's word.
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
    let mut report = Report::new("extend", Outcome::Extended);
    for outcome in window::extend(firewall, &ports, end, args.shorten, args.max.0)? {
        if !outcome.changed {
            report.warnings.push(format!(
                "the window on port {} ends later than that already, in {}; --shorten moves the end to an earlier time",
                outcome.window.cordon.port,
                show_duration(outcome.window.cordon.length)
            ));
        }
        if outcome.changed {
            record::extended(&outcome.window, "");
        }
        raise::add(&mut report, outcome);
    }
    Ok((report, Exit::Done))
}
