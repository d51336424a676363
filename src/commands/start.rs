//! `pgcordon start`: cordon the port, cut remote clients, and return.

use super::raise::{self, Plan};
use super::{CommandError, Context, record};
use crate::cli::Start;
use crate::cordon::WindowId;
use crate::drain::{self, Order};
use crate::failure::Exit;
use crate::foreground::Foreground;
use crate::report::Report;
use crate::sys::runtime::in_thread;
use crate::window::{self, WindowError};
use futures_util::future::join_all;
use rustix::process::Signal;

/// Raises the cordons, then drains.
///
/// # Errors
/// Then nothing of this call is in force.
pub fn run(context: &mut Context, args: &Start) -> Result<(Report, Exit), CommandError> {
    let mut plan = Plan::new(args)?;
    let mut foreground = Foreground::new().map_err(CommandError::Runtime)?;
    cordon_and_drain(context, "start", args, &mut plan, &mut foreground)
}

/// Raises what was planned and drains it; on a signal, what was raised is lifted.
///
/// # Errors
/// Then nothing of this call is in force.
pub fn cordon_and_drain(
    context: &mut Context,
    command: &'static str,
    args: &Start,
    plan: &mut Plan,
    foreground: &mut Foreground,
) -> Result<(Report, Exit), CommandError> {
    if !args.no_guard {
        context
            .firewall
            .leave_guards(plan.settings.postgres.clone());
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
    let drains = drain::drain_all(&context.firewall, &orders);
    let (report, exit) = match foreground.wait(drains) {
        Ok(drain) => {
            record::drained(&orders, drain.as_ref());
            raise::conclude(raise::read_again(context, report, drain.as_ref()), drain)
        }
        Err(caught) => {
            lift(context, foreground, &own, "interrupted by a signal")?;
            return Err(interrupted(caught));
        }
    };
    if let Some(why) = report
        .drain
        .as_ref()
        .and_then(|drain| drain.refused.clone())
    {
        let unknown = "those to be spared could not be known";
        lift(context, foreground, &own, unknown)?;
        return Err(CommandError::Spare { why });
    }
    if plan.settings.drain.strict && exit == Exit::Incomplete {
        let why = "the drain was incomplete (--strict)";
        lift(context, foreground, &own, why)?;
        let drain = report.drain.map(Box::new);
        return Err(CommandError::Strict { drain });
    }
    Ok((report, exit))
}

/// Lifts what this call has raised, each port by itself: one that is stuck keeps no other one
/// closed.
pub fn lift(
    context: &Context,
    foreground: &Foreground,
    own: &[WindowId],
    why: &str,
) -> Result<(), CommandError> {
    let lifts = own.iter().map(async |window| {
        let (firewall, own) = (context.firewall.clone(), [*window]);
        let lift = move || window::lift_own(&mut firewall.clone(), &own);
        in_thread(lift.clone()).await.unwrap_or_else(|_| lift())
    });
    let (mut left, mut first_error) = (Vec::new(), None);
    for lifted in foreground.runtime.block_on(join_all(lifts)) {
        match lifted {
            Ok(lifted) => record::lifted(&lifted, why),
            Err(WindowError::Left { ports, source }) => {
                left.extend(ports);
                first_error.get_or_insert(source);
            }
            Err(error) => return Err(error.into()),
        }
    }
    match first_error {
        None => Ok(()),
        Some(source) => Err(WindowError::Left {
            ports: left,
            source,
        }
        .into()),
    }
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
pub fn interrupted(caught: Signal) -> CommandError {
    CommandError::Interrupted(match caught {
        Signal::HUP => Exit::HungUp,
        Signal::INT => Exit::Interrupted,
        Signal::QUIT => Exit::Quit,
        _ => Exit::Terminated,
    })
}
