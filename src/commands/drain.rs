//! `pgcordon drain`: drain again under a window in force.

use super::{CommandError, Context, in_force, raise, select, settings};
use crate::cli::Drain;
use crate::drain::Order;
use crate::failure::Exit;
use crate::report::{Body, Outcome, Report};
use crate::window;

/// Drains the ports of windows again.
pub fn run(context: &mut Context, args: &Drain) -> Result<(Report, Exit), CommandError> {
    let settings = settings::of_drain(args)?;
    raise::check_host(&settings)?;
    let firewall = &mut context.firewall;
    let ports = select::ports(firewall, &args.which)?;
    select::settle(firewall, &ports)?;
    let listeners = in_force::listeners(&ports)?;
    let outcomes = window::mended(firewall, &ports)?;
    let (mut windows, mended) = in_force::conclude(context, outcomes);
    let order = |(window, listeners)| {
        let access = settings.postgres.clone();
        Order::for_window(window, listeners, raise::pace(&settings), access)
    };
    let orders: Vec<Order> = windows.iter().zip(&listeners).map(order).collect();
    let (drain, exit) = in_force::drain(context, &orders, &mut windows)?;
    let has_cut = drain.as_ref().is_some_and(|drain| {
        drain.backends.ended > 0 || drain.sockets.destroyed > 0 || drain.signalled > 0
    });
    let body = Body::Windows(match exit {
        Exit::Incomplete => Outcome::Incomplete,
        _ => Outcome::Drained,
    });
    let report = Report { drain, ..Report::new(context.command, mended || has_cut, windows, body) };
    Ok((report, exit))
}
