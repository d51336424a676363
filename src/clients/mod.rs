//! Who is connected to a port: its sockets as the kernel lists them, the processes that
//! hold them, and whether a client is remote (ARCHITECTURE.md, "Why the drain is as it is").
//!
//! Nothing here needs SQL: a client that has not authenticated is in no row of
//! `pg_stat_activity`, and with all slots taken nobody can ask for rows.

mod backends;
mod children;
mod inet_diag;
mod interfaces;
mod join;
mod listeners;
mod locality;
mod processes;
mod sockets;
mod title;

pub use backends::{
    Backend, SignalError, Signalled, Stage, backends, orphans, sessions_without_socket, signal,
};
pub use children::{PortInodes, child_holds, pidfd_of_child};
pub use interfaces::{InterfaceError, interface_networks};
pub use join::{RowKey, join};
pub use listeners::listener_processes;
pub use locality::Locality;
pub use processes::{Process, ProcessError, unlisted};
pub use sockets::{DestroyError, Destroyed, Socket, Sockets, State};
pub use title::Client;
