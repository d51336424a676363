//! `pgcordon start`: cordon the port, cut remote clients, and return.

use super::raise::{self, Plan};
use super::{CommandError, Context, record};
use crate::cli::Start;
use crate::cordon::WindowId;
use crate::drain::Order;
use crate::failure::Exit;
use crate::foreground::{Caught, Signals, block_on};
use crate::report::Report;
use crate::window;

/// Raises the cordons, then drains.
///
/// # Errors
/// Then nothing of this call is in force.
pub fn run(context: &mut Context, args: &Start) -> Result<(Report, Exit), CommandError> {
    let mut plan = Plan::new(args)?;
    block_on(async {
        let mut signals = Signals::watch().map_err(CommandError::Runtime)?;
        cordon_and_drain(context, "start", args, &mut plan, &mut signals).await
    })
    .map_err(CommandError::Runtime)?
}

/// Raises what was planned and drains it; on a signal, what was raised is lifted.
///
/// # Errors
/// Then nothing of this call is in force.
pub async fn cordon_and_drain(
    context: &mut Context,
    command: &'static str,
    args: &Start,
    plan: &mut Plan,
    signals: &mut Signals,
) -> Result<(Report, Exit), CommandError> {
    if !args.no_guard {
        context
            .firewall
            .leave_guards(plan.settings.postgres.access());
    }
    let report = raise::raise(context, command, plan)?;
    let fresh = raised_here(plan, &report);
    record::started(command, &report, &plan.cordons);
    let id = |number: &usize| plan.cordons[*number].id();
    let own: Vec<WindowId> = fresh.iter().map(id).collect();
    let order = |number: &usize| plan.order(*number, args);
    let orders: Vec<Order> = match args.no_drain {
        true => Vec::new(),
        false => fresh.iter().map(order).collect(),
    };
    let firewall = context.firewall.clone();
    let drained = tokio::select! {
        biased;
        caught = signals.next() => Err(caught),
        drain = raise::drain_all(&firewall, &orders) => Ok(drain),
    };
    let (report, exit) = match drained {
        Ok(drain) => {
            record::drained(&orders, drain.as_ref());
            raise::conclude(raise::read_again(context, report, drain.as_ref()), drain)
        }
        Err(caught) => {
            let lifted = window::lift_own(&mut context.firewall, &own)?;
            record::lifted(&lifted, "interrupted by a signal");
            return Err(interrupted(caught));
        }
    };
    if let Some(why) = report
        .drain
        .as_ref()
        .and_then(|drain| drain.refused.clone())
    {
        let lifted = window::lift_own(&mut context.firewall, &own)?;
        record::lifted(&lifted, "those to be spared could not be known");
        return Err(CommandError::Spare { why });
    }
    if plan.settings.strict.value && exit == Exit::Incomplete {
        let lifted = window::lift_own(&mut context.firewall, &own)?;
        record::lifted(&lifted, "the drain was incomplete (--strict)");
        let drain = report.drain.map(Box::new);
        return Err(CommandError::Strict { drain });
    }
    Ok((report, exit))
}

/// The numbers of the cordons that this call has raised.
fn raised_here(plan: &Plan, report: &Report) -> Vec<usize> {
    let ours = |number: &usize| {
        let id = plan.cordons[*number].identity.id;
        report
            .windows
            .iter()
            .any(|window| window.cordon.identity.id == id)
    };
    (0..plan.cordons.len()).filter(ours).collect()
}

/// What a command says that a signal has ended.
pub fn interrupted(caught: Caught) -> CommandError {
    CommandError::Interrupted(match caught {
        Caught::Interrupt => Exit::Interrupted,
        Caught::Terminate => Exit::Terminated,
        Caught::Hangup => Exit::HungUp,
        Caught::Quit => Exit::Quit,
    })
}
