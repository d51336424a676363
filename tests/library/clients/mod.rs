//! Who is connected: stories on real sockets, routes and processes, each in network
//! namespaces of its own. They need root, iproute2, nft and PostgreSQL.

mod locality;
pub mod net;
mod processes;
pub mod server;
mod sockets;
mod titles;
