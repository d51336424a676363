//! `pgcordon plan`: what start would block, cut and let pass. It reads only.

use super::raise::Plan;
use super::{CommandError, Context};
use crate::cli::Start;
use crate::cordon::{Backends, DrainReport, Sockets};
use crate::drain;
use crate::failure::Exit;
use crate::firewall::{Detail, Firewall};
use crate::report::{Body, Report};
use crate::sys::runtime::runtime;
use crate::window;

/// Lists every connection with what would happen to it.
pub fn run(context: &mut Context, args: &Start) -> Result<(Report, Exit), CommandError> {
    let plan = Plan::new(args)?;
    let mut windows = Vec::new();
    for cordon in &plan.cordons {
        let standing = context.firewall.read(cordon.port, Detail::Whole)?;
        let window = standing.and_then(|standing| standing.window);
        if let Some(window) = window.as_ref().filter(|window| window.is_closed()) {
            window::check_same(window, cordon)?;
        }
        windows.push(window);
    }
    let runtime = runtime().map_err(CommandError::Runtime)?;
    plan.warnings.iter().for_each(|text| context.warn(text));
    let mut connections = Vec::new();
    let mut drain: Option<DrainReport> = None;
    for (number, window) in windows.iter().enumerate() {
        let mut order = plan.order(number, args);
        let port = order.port;
        match window {
            Some(window) if window.is_closed() => {
                context.warn(format!(
                    "port {port} is in a window already: start changes nothing there"
                ));
                order.pass = window.cordon.pass.clone();
                order.spared = window.cordon.spared.clone();
            }
            Some(_) => context.warn(format!(
                "port {port} is in its ramp: start ends that and opens a new window"
            )),
            None => {}
        }
        let survey = runtime.block_on(drain::survey(&order))?;
        let warning = plan.listeners[number].warning.iter();
        warning.chain(&survey.warnings).for_each(|text| context.warn(text));
        let found = DrainReport {
            sql: survey.sql,
            backends: Backends { found: survey.backends, ..Backends::default() },
            sockets: Sockets { found: survey.sockets, ..Sockets::default() },
            ..DrainReport::default()
        };
        connections.extend(survey.connections);
        drain = Some(match drain {
            Some(before) => before.and(found),
            None => found,
        });
    }
    let windows = windows.into_iter().flatten().collect();
    let body = Body::Plan { cordons: plan.cordons, connections };
    let report = Report {
        policy: plan.settings.file,
        drain,
        ..Report::new(context.command, false, windows, body)
    };
    Ok((report, Exit::Done))
}
