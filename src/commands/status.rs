//! `pgcordon status`: windows, time left, knocks, and who is connected. It reads only.

use super::{CommandError, Context, select};
use crate::cli::Status;
use crate::cordon::Window;
use crate::drain;
use crate::failure::Exit;
use crate::firewall::{Detail, Firewall};
use crate::report::{Body, Report};

/// Reads every window.
pub fn run(context: &mut Context, args: &Status) -> Result<(Report, Exit), CommandError> {
    let mut windows = Vec::new();
    let mut connections: Option<Vec<_>> = None;
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
            context.warn(format!(
                "the cordon on port {port} is damaged: {}",
                standing.faults.join("; ")
            ));
        }
        match drain::connected(&window) {
            Ok(here) => connections.get_or_insert_default().extend(here),
            Err(error) => context.warn(format!("cannot tell who is connected: {error}")),
        }
        windows.push(window);
    }
    let exit = match args.check && !windows.iter().any(Window::is_closed) {
        true => Exit::NoWindow,
        false => Exit::Done,
    };
    let body = Body::Status(connections);
    Ok((Report::new(context.command, false, windows, body), exit))
}
