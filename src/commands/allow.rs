//! `pgcordon allow`: let an address in during a window, or take it off the pass list.

use super::{CommandError, Context, Exit, request, select};
use crate::cli::Allow;
use crate::report::{Outcome, Report};
use crate::window;

/// Changes the pass list of windows.
///
/// # Errors
/// No window, a bad entry, or the firewall's word.
pub fn run(context: &mut Context, args: &Allow) -> Result<(Report, Exit), CommandError> {
    let networks = request::networks(&args.entries)?;
    let firewall = &mut context.firewall;
    let mut report = Report::new("allow", Outcome::Allowed);
    for port in select::ports(firewall, &args.which)? {
        let outcome = window::allow(firewall, port, &networks, args.remove)?;
        report.changed |= outcome.changed;
        report.windows.push(outcome.window);
    }
    Ok((report, Exit::Done))
}
