//! `pgcordon start`: cordon the port, cut remote clients, and return.

use super::raise::{self, Plan};
use super::signals::{Signals, block_on};
use super::{CommandError, Context, Exit};
use crate::cli::Start;
use crate::drain::Order;
use crate::report::Report;
use crate::window;

/// Raises the cordons, then drains.
///
/// # Errors
/// Then nothing of this call is in force.
pub fn run(context: &mut Context, args: &Start) -> Result<(Report, Exit), CommandError> {
    let mut plan = Plan::new(args)?;
    block_on(async {
        let mut signals = Signals::watch()?;
        cordon_and_drain(context, "start", args, &mut plan, &mut signals).await
    })
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
    let report = raise::raise(context, command, plan)?;
    let fresh = raised_here(plan, &report);
    let own: Vec<(u16, u64)> = fresh
        .iter()
        .map(|number| &plan.cordons[*number])
        .map(|cordon| (cordon.port, cordon.identity.id))
        .collect();
    let order = |number: &usize| plan.order(*number, args);
    let orders: Vec<Order> = match args.no_drain {
        true => Vec::new(),
        false => fresh.iter().map(order).collect(),
    };
    let drained = tokio::select! {
        biased;
        exit = signals.next() => Err(exit),
        drain = raise::drain_all(&orders) => Ok(drain),
    };
    let (report, exit) = match drained {
        Ok(drain) => raise::conclude(raise::read_again(context, report, drain.as_ref()), drain),
        Err(exit) => {
            window::lift_own(&mut context.firewall, &own)?;
            return Err(CommandError::Interrupted(exit));
        }
    };
    if let Some(why) = report
        .drain
        .as_ref()
        .and_then(|drain| drain.refused.clone())
    {
        window::lift_own(&mut context.firewall, &own)?;
        return Err(CommandError::Spare { why });
    }
    if plan.settings.strict.value && exit == Exit::Incomplete {
        window::lift_own(&mut context.firewall, &own)?;
        let drain = report.drain.map(Box::new);
        return Err(CommandError::Strict { drain });
    }
    Ok((report, exit))
}

/// The numbers of the cordons that this call has raised.
fn raised_here(plan: &Plan, report: &Report) -> Vec<usize> {
    let ours = |number: &usize| {
        let id = plan.cordons[*number].identity.id;
        report.windows.iter().any(|window| window.identity.id == id)
    };
    (0..plan.cordons.len()).filter(ours).collect()
}
