//! Who listens on a port: asked before anything is touched, since nobody wants `--port 22`.

use crate::clients::{self, Process, ProcessError, Sockets, listener_processes};
use crate::failure::{Explain, Explanation, Kind};
use std::io;

#[derive(Debug, Clone, Default)]
pub struct Listeners {
    pub servers: Vec<Process>,
    /// Why what is behind the port cannot be looked at, if a listener is not PostgreSQL.
    pub foreign: Option<String>,
    pub warning: Option<String>,
}

/// Why the listeners of a port are not known, or not acceptable.
#[derive(Debug, thiserror::Error)]
pub enum ListenersError {
    #[error("cannot list the port's sockets: {0}")]
    Sockets(#[source] io::Error),
    #[error(transparent)]
    Processes(#[from] ProcessError),
    #[error("port {port} is held by {name}, not by PostgreSQL")]
    NotPostgres {
        port: u16,
        /// Of the process, with its pid.
        name: String,
    },
}

impl Explain for ListenersError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Sockets(_) => clients::unlisted(),
            Self::Processes(error) => error.explain(),
            Self::NotPostgres { .. } => Kind::NotPostgres.hint(
                "check --port; to cordon it all the same, and drain it by sockets only, add --any-listener",
            ),
        }
    }
}

impl Listeners {
    /// Finds the listeners of a port. One that is not PostgreSQL is an error, unless
    /// `any_listener` is set.
    pub fn of(port: u16, any_listener: bool) -> Result<Self, ListenersError> {
        let sockets = Sockets::open().and_then(|mut sockets| sockets.listening(port));
        let listening = sockets.map_err(ListenersError::Sockets)?;
        if listening.is_empty() {
            return Ok(Self {
                warning: Some(format!(
                    "nobody listens on port {port}: the cordon blocks it, but connections of a container behind it are not drained"
                )),
                ..Self::default()
            });
        }
        let mut found = Self::default();
        for process in listener_processes(&listening)? {
            let name = match process {
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
                return Err(ListenersError::NotPostgres { port, name });
            }
            found.foreign = Some(format!(
                "port {port} is held by {name}, not by PostgreSQL: only its sockets were drained, what is behind it was not looked at"
            ));
        }
        Ok(found)
    }
}
