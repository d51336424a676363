//! pgcordon keeps every remote client off PostgreSQL for a stated time, cuts those that
//! are connected, leaves loopback and Unix-socket clients alone, and gives the port back
//! afterwards. PostgreSQL keeps running and no PostgreSQL file is touched.
//!
//! The rooms, each of which uses only rooms below it:
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`clients`] | who is connected: sockets, the processes that hold them, who is local |
//! | [`cordon`] | what a cordon and a drain's result are: pure data |

pub mod clients;
pub mod cordon;
pub mod firewall;
