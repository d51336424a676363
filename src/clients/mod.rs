//! Who is connected to a port: its sockets as the kernel lists them, the processes that
//! hold them, and whether a client is remote (DESIGN.md section 5).
//!
//! Nothing here needs SQL: a client that has not authenticated is in no row of
//! `pg_stat_activity`, and with all slots taken nobody can ask for rows.

mod interfaces;
mod locality;
mod sockets;

pub use interfaces::{InterfaceError, interface_networks};
pub use locality::Locality;
pub use sockets::{DestroyError, Destroyed, Socket, Sockets, State};
