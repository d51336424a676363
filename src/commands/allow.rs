//! `pgcordon allow`: let an address in during a window, or take it off the pass list.

use super::{CommandError, Context, in_force, request, select};
use crate::audit;
use crate::cli::Allow;
use crate::cordon::PassList;
use crate::drain::{Order, Pace};
use crate::failure::Exit;
use crate::postgres::Access;
use crate::report::{Body, Outcome, Report};
use crate::window;

/// Changes the pass list of windows. Whoever is taken off it is drained: a connection whose
/// packets are dropped would hang.
pub fn run(context: &mut Context, args: &Allow) -> Result<(Report, Exit), CommandError> {
    let networks = request::networks(&args.entries)?;
    let firewall = &mut context.firewall;
    let ports = select::ports(firewall, &args.which)?;
    select::settle(firewall, &ports)?;
    // Nobody else is to be cut for those that are taken off.
    let (only, listeners) = match args.remove {
        true => (Some(PassList::new(networks.iter().copied())?), in_force::listeners(&ports)?),
        false => (None, Vec::new()),
    };
    let outcomes = window::allow(firewall, &ports, &networks, args.remove)?;
    for outcome in outcomes.iter().filter(|outcome| outcome.changed) {
        audit::allowed(&outcome.window, &networks, args.remove);
    }
    let mut orders = Vec::new();
    for (outcome, listeners) in outcomes.iter().zip(&listeners) {
        let cordon = &outcome.window.cordon;
        if outcome.changed && cordon.farewell_lasts() {
            context.warn(format!(
                "connections to port {} that exist go on, since the window was raised with --no-drain; cut them with pgcordon drain",
                cordon.port
            ));
        } else if outcome.changed {
            let (pace, access) = (Pace::default(), Access::default());
            orders.push(Order {
                only: only.clone(),
                ..Order::for_window(&outcome.window, listeners, pace, access)
            });
        }
    }
    let (mut windows, changed) = in_force::conclude(context, outcomes);
    let (drain, exit) = in_force::drain(context, &orders, &mut windows)?;
    let body = Body::Windows(match exit {
        Exit::Incomplete => Outcome::Incomplete,
        _ => Outcome::Allowed,
    });
    let report = Report { drain, ..Report::new(context.command, changed, windows, body) };
    Ok((report, exit))
}
