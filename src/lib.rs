//! pgcordon keeps every remote client off PostgreSQL for a stated time, cuts those that
//! are connected, leaves loopback and Unix-socket clients alone, and gives the port back
//! afterwards. PostgreSQL keeps running and no PostgreSQL file is touched.
//!
//! The rooms, each of which uses only rooms below it:
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`commands`] | one file for each command |
//! | [`cli`] | the command line |
//! | [`drain`] | the ladder that ends remote connections, and the proof that nobody remains |
//! | [`window`] | raise, extend, lift and read back a window: the firewall under the lock |
//! | [`clients`] | who is connected: sockets, the processes that hold them, who is local |
//! | [`postgres`] | the session with the server behind a port, and its statements |
//! | [`firewall`] | the cordon in nftables and back |
//! | [`job`] | the command that `run` runs, as a job of the terminal |
//! | [`report`] | what a command has to say, for a human or as JSON |
//! | [`audit`] | the record of who did what, in the system's logs |
//! | [`policy`] | policies: the YAML schema, safe loading, merging with the command line |
//! | [`cordon`] | what a cordon and a drain's result are: pure data |
//! | [`privilege`] | capabilities, and acting as another user for one system call |
//! | [`lock`] | one lock for each network namespace and port |

pub mod audit;
pub mod cli;
pub mod clients;
pub mod commands;
pub mod cordon;
pub mod drain;
pub mod firewall;
pub mod guard;
pub mod job;
pub mod lock;
pub mod policy;
pub mod postgres;
pub mod privilege;
pub mod report;
pub mod window;
