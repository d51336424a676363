//! Who listens on the ports: asked before anything is touched, since nobody wants
//! `--port 22`.

use super::CommandError;
use crate::clients::{Process, Sockets, listener_processes};
use std::io;

/// Who listens on one port.
#[derive(Debug, Clone, Default)]
pub struct Listeners {
    /// The postmasters.
    pub servers: Vec<Process>,
    /// Why what is behind the port cannot be looked at, if a listener is not PostgreSQL.
    pub foreign: Option<String>,
    /// What the user should know.
    pub warning: Option<String>,
}

/// Finds the listeners of a port.
///
/// # Errors
/// A listener that is not PostgreSQL, unless `any_listener`; a missing privilege.
pub fn of(port: u16, any_listener: bool) -> Result<Listeners, CommandError> {
    let scan = || -> io::Result<_> { Sockets::open()?.listening(port) };
    let listening = scan().map_err(CommandError::Sockets)?;
    if listening.is_empty() {
        return Ok(Listeners {
            warning: Some(format!(
                "nobody listens on port {port}: the cordon blocks it, but connections of a container behind it are not drained"
            )),
            ..Listeners::default()
        });
    }
    let mut found = Listeners::default();
    for listener in listener_processes(&listening).map_err(CommandError::Processes)? {
        let name = match listener.process {
            Some(process) if process.is_postgres => {
                if found.servers.iter().all(|known| known.pid != process.pid) {
                    found.servers.push(process);
                }
                continue;
            }
            Some(process) => format!("{} (pid {})", process.name, process.pid),
            None => "a process that cannot be seen from here".to_owned(),
        };
        if !any_listener {
            return Err(CommandError::NotPostgres { port, name });
        }
        found.foreign = Some(format!(
            "port {port} is held by {name}, not by PostgreSQL: only its sockets were drained, what is behind it was not looked at"
        ));
    }
    Ok(found)
}
