//! `pgcordon drain`: drain again under a window in force.

use super::{CommandError, Context, raise, record, select, settings};
use crate::cli::Drain;
use crate::drain;
use crate::failure::Exit;
use crate::foreground::Foreground;
use crate::report::{Outcome, Report};
use crate::window;

/// Drains the ports of windows again.
///
/// # Errors
/// No window, or a missing privilege.
pub fn run(context: &mut Context, args: &Drain) -> Result<(Report, Exit), CommandError> {
    let settings = settings::of_drain(args)?;
    let firewall = &mut context.firewall;
    let mut report = Report::new("drain", Outcome::Drained);
    let mut orders = Vec::new();
    let ports = select::ports(firewall, &args.which)?;
    select::settle(firewall, &ports)?;
    for outcome in window::mended(firewall, &ports)? {
        orders.push(raise::order_under(&outcome.window, &settings)?);
        raise::add(&mut report, outcome);
    }
    let foreground = Foreground::without_signals().map_err(CommandError::Runtime)?;
    let drains = drain::drain_all(firewall, &orders);
    let drain = foreground.runtime.block_on(drains);
    record::drained(&orders, drain.as_ref());
    report.changed |= drain.as_ref().is_some_and(|drain| {
        drain.backends.ended > 0 || drain.sockets.destroyed > 0 || drain.signalled > 0
    });
    let report = raise::read_again(context, report, drain.as_ref());
    Ok(raise::conclude(report, drain))
}
