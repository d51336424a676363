//! `pgcordon plan`: what start would block, cut and let pass. It reads only.

use super::raise;
use super::{CommandError, Context};
use crate::cli::Start;
use crate::cordon::{Backends, DrainReport, Sockets};
use crate::drain;
use crate::failure::Exit;
use crate::firewall::{Detail, Firewall};
use crate::report::{Outcome, Report};
use crate::sys::runtime::runtime;
use crate::window;
use std::time::Duration;

/// Lists every connection with what would happen to it.
///
/// # Errors
/// What `start` would refuse, a window in force that differs from what is asked for too.
pub fn run(context: &mut Context, args: &Start) -> Result<(Report, Exit), CommandError> {
    let plan = raise::Plan::new(args)?;
    let mut report = Report::new("plan", Outcome::Planned);
    report.policy = plan.settings.file.clone();
    report.warnings.extend(plan.warnings.clone());
    let mut connections = Vec::new();
    let mut drained: Option<DrainReport> = None;
    let runtime = runtime().map_err(CommandError::Runtime)?;
    for (number, listeners) in plan.listeners.iter().enumerate() {
        let mut order = plan.order(number, args);
        let standing = context.firewall.read(order.port, Detail::Whole)?;
        match standing.and_then(|standing| standing.window) {
            Some(window) if window.is_closed() => {
                window::check_same(&window, &plan.cordons[number])?;
                report.warnings.push(format!(
                    "port {} is in a window already: start changes nothing there",
                    order.port
                ));
                order.pass = window.cordon.pass.clone();
                order.spared = window.cordon.spared.clone();
                report.windows.push(window);
            }
            Some(window) => {
                report.warnings.push(format!(
                    "port {} is in its ramp: start ends that and opens a new window",
                    order.port
                ));
                report.windows.push(window);
            }
            None => {}
        }
        report.warnings.extend(listeners.warning.clone());
        let survey = runtime.block_on(drain::survey(&order));
        let survey = survey.map_err(CommandError::Survey)?;
        report.warnings.extend(survey.warnings.clone());
        connections.extend(survey.connections.clone());
        let found = planned(&survey);
        drained = Some(match drained {
            Some(before) => before.and(found),
            None => found,
        });
    }
    report.connections = Some(connections);
    report.ramp = plan.cordons.iter().find_map(|cordon| cordon.ramp);
    report.planned = plan.cordons;
    report.drain = drained;
    Ok((report, Exit::Done))
}

/// A survey as the result of a drain that has not happened.
fn planned(survey: &drain::Survey) -> DrainReport {
    DrainReport {
        sql: survey.sql.clone(),
        backends: Backends {
            found: survey.backends,
            ..Backends::default()
        },
        sockets: Sockets {
            found: survey.sockets,
            ..Sockets::default()
        },
        signalled: 0,
        spared: Vec::new(),
        stragglers: Vec::new(),
        unproven: None,
        refused: None,
        took: Duration::ZERO,
        warnings: Vec::new(),
    }
}
