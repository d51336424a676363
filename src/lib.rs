//! pgcordon keeps every remote client off PostgreSQL for a stated time, cuts those that
//! are connected, leaves loopback and Unix-socket clients alone, and gives the port back
//! afterwards. PostgreSQL keeps running and no PostgreSQL file is touched.
//!
//! The rooms, each of which uses only rooms below it:
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`window`] | raise, extend, lift and read back a window: the firewall under the lock |
//! | [`firewall`] | the cordon in nftables and back |
//! | [`cordon`] | what a cordon and a drain's result are: pure data |
//! | [`lock`] | one lock for each network namespace and port |

pub mod cli;
pub mod commands;
pub mod cordon;
pub mod firewall;
pub mod lock;
pub mod report;
pub mod window;
