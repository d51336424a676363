//! pgcordon keeps every remote client off PostgreSQL for a stated time, cuts those that
//! are connected, leaves loopback and Unix-socket clients alone, and gives the port back
//! afterwards. PostgreSQL keeps running and no PostgreSQL file is touched.
//!
//! The rooms, each of which uses only rooms below it:
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`app`] | one call: the command line is read, a command runs, what it says is printed |
//! | [`commands`] | one file for each command |
//! | [`foreground`] | what a command in the foreground does until its windows are over |
//! | [`guard`] | the process that keeps a cordon whole until its end |
//! | [`drain`] | the ladder that ends remote connections, and the proof that nobody remains |
//! | [`window`] | raise, extend, lift and read back a window: the firewall under the lock |
//! | [`audit`] | the record of who did what, in the system's logs |
//! | [`job`] | the command that `run` runs, as a job of the terminal |
//! | [`report`] | what a command has to say, for a human or as JSON |
//! | [`cli`] | the command line |
//! | [`postgres`] | the session with the server behind a port, and its statements |
//! | [`firewall`] | the cordon in nftables and back |
//! | [`clients`] | who is connected: sockets, the processes that hold them, who is local |
//! | [`policy`] | policies: the YAML schema, safe loading, merging with the command line |
//! | [`cordon`] | what a cordon and a drain's result are: pure data |
//! | [`sys`] | what the system gives: netlink, descriptors, locks, rights, trusted files, a terminal |
//! | `failure` | kinds of failures, their hints and the exit statuses |

// Only this repository's tests use the library from outside.
#![allow(missing_docs)]

pub mod app;
pub mod audit;
pub mod cli;
pub mod clients;
pub mod commands;
pub mod cordon;
pub mod drain;
mod failure;
pub mod firewall;
pub mod foreground;
pub mod guard;
pub mod job;
pub mod policy;
pub mod postgres;
pub mod report;
pub mod sys;
pub mod window;
