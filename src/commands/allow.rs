//! `pgcordon allow`: let an address in during a window, or take it off the pass list.

use super::{CommandError, Context, raise, record, request, select};
use crate::cli::Allow;
use crate::cordon::PassList;
use crate::drain::{self, Order, Pace};
use crate::failure::Exit;
use crate::foreground::Foreground;
use crate::postgres::Access;
use crate::report::{Outcome, Report};
use crate::window;

/// Changes the pass list of windows. Whoever is taken off it is drained: a connection whose
/// packets are dropped would hang.
///
/// # Errors
/// No window, a bad entry, or the firewall's word.
pub fn run(context: &mut Context, args: &Allow) -> Result<(Report, Exit), CommandError> {
    let networks = request::networks(&args.entries)?;
    let firewall = &mut context.firewall;
    let mut report = Report::new("allow", Outcome::Allowed);
    let mut orders = Vec::new();
    let ports = select::ports(firewall, &args.which)?;
    select::settle(firewall, &ports)?;
    for outcome in window::allow(firewall, &ports, &networks, args.remove)? {
        if outcome.changed {
            record::allowed(&outcome.window, &networks, args.remove);
        }
        if outcome.changed && args.remove && outcome.window.cordon.farewell_lasts() {
            report.warnings.push(format!(
                "connections to port {} that exist go on, since the window was raised with --no-drain; cut them with pgcordon drain",
                outcome.window.cordon.port
            ));
        } else if outcome.changed && args.remove {
            // Nobody else is to be cut for it.
            orders.push(Order {
                only: Some(PassList::new(networks.iter().copied())?),
                ..Order::for_window(&outcome.window, Pace::default(), Access::default())?
            });
        }
        raise::add(&mut report, outcome);
    }
    let foreground = Foreground::without_signals().map_err(CommandError::Runtime)?;
    let drains = drain::drain_all(firewall, &orders);
    let drain = foreground.runtime.block_on(drains);
    record::drained(&orders, drain.as_ref());
    let report = raise::read_again(context, report, drain.as_ref());
    Ok(raise::conclude(report, drain))
}
