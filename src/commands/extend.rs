//! `pgcordon extend`: move the end of a window.

use super::{CommandError, Context, Exit, select};
use crate::cli::Extend;
use crate::cordon::{WindowEnd, show_duration};
use crate::report::{Outcome, Report};
use crate::window;
use std::time::Duration;

/// Moves the end of windows, to an earlier time only with `--shorten`.
///
/// # Errors
/// No window, a total beyond `--max`, or the firewall's word.
pub fn run(context: &mut Context, args: &Extend) -> Result<(Report, Exit), CommandError> {
    let end = match (args.by, args.length) {
        (Some(more), _) => WindowEnd::By(more),
        (None, length) => WindowEnd::In(length.unwrap_or(Duration::ZERO)),
    };
    let firewall = &mut context.firewall;
    let mut report = Report::new("extend", Outcome::Extended);
    for port in select::ports(firewall, &args.which)? {
        let outcome = window::extend(firewall, port, end, args.shorten, args.max)?;
        if !outcome.changed {
            report.warnings.push(format!(
                "the window on port {port} ends later than that already, in {}; --shorten moves the end to an earlier time",
                show_duration(outcome.window.remaining)
            ));
        }
        report.changed |= outcome.changed;
        report.windows.push(outcome.window);
    }
    Ok((report, Exit::Done))
}
