//! `pgcordon status`: windows, time left, knocks, and who is connected. It reads only.

use super::{CommandError, Context, select};
use crate::cli::Status;
use crate::cordon::Window;
use crate::drain;
use crate::failure::Exit;
use crate::firewall::{Detail, Firewall};
use crate::report::{Outcome, Report};

/// Reads every window.
///
/// # Errors
/// The firewall cannot be read.
pub fn run(context: &mut Context, args: &Status) -> Result<(Report, Exit), CommandError> {
    let mut report = Report::new("status", Outcome::Status);
    for port in context.firewall.ports()? {
        if !args.ports.is_empty() && !args.ports.contains(&port) {
            continue;
        }
        let Some(standing) = select::settled(&mut context.firewall, port, Detail::Whole)? else {
            continue;
        };
        let Some(window) = standing.window else {
            continue;
        };
        if !standing.faults.is_empty() {
            report.warnings.push(format!(
                "the cordon on port {} is damaged: {}",
                standing.port,
                standing.faults.join("; ")
            ));
        }
        match drain::connected(&window) {
            Ok(here) => report.connections.get_or_insert_default().extend(here),
            Err(error) => report
                .warnings
                .push(format!("cannot tell who is connected: {error}")),
        }
        report.windows.push(window);
    }
    let exit = if args.check && !report.windows.iter().any(Window::is_closed) {
        Exit::NoWindow
    } else {
        Exit::Done
    };
    Ok((report, exit))
}
