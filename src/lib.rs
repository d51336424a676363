//! pgcordon keeps every remote client off PostgreSQL for a stated time, cuts those that
//! are connected, leaves loopback and Unix-socket clients alone, and gives the port back
//! afterwards. PostgreSQL keeps running and no PostgreSQL file is touched.
//!
//! The rooms, each of which uses only rooms below it:
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`cordon`] | what a cordon and a drain's result are: pure data |
//! | [`postgres`] | a session with the server behind a port, as its socket's owner |
//! | [`privilege`] | what this process may do, as whom it acts, who asked |

pub mod cordon;
pub mod firewall;
pub mod postgres;
pub mod privilege;
