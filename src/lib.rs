//! pgcordon keeps every remote client off PostgreSQL for a stated time, cuts those that
//! are connected, leaves loopback and Unix-socket clients alone, and gives the port back
//! afterwards. PostgreSQL keeps running and no PostgreSQL file is touched.
//!
//! The rooms, each of which uses only rooms below it:
//!
//! | room | what is in it |
//! | --- | --- |
//! | `app` | one call: the command line is read, a command runs, what it says is printed |
//! | `commands` | one file for each command |
//! | `foreground` | what a command in the foreground does until its windows are over |
//! | `guard` | the process that keeps a cordon whole until its end |
//! | `drain` | the ladder that ends remote connections, and the proof that nobody remains |
//! | `window` | raise, extend, lift and read back a window: the firewall under the lock |
//! | `audit` | the record of who did what, in the system's logs |
//! | `job` | the command that `run` runs, as a job of the terminal |
//! | `report` | what a command has to say, for a human or as JSON |
//! | `cli` | the command line |
//! | `postgres` | the session with the server behind a port, and its statements |
//! | `firewall` | the cordon in nftables and back |
//! | `clients` | who is connected: sockets, the processes that hold them, who is local |
//! | `policy` | policies: the YAML schema, safe loading, merging with the command line |
//! | `cordon` | what a cordon and a drain's result are: pure data |
//! | `failure` | kinds of failures, their hints and the exit statuses |
//! | `sys` | what the system gives: netlink, descriptors, locks, rights, trusted files, a terminal |

mod app;
mod audit;
mod cli;
mod clients;
mod commands;
mod cordon;
mod drain;
mod failure;
mod firewall;
mod foreground;
mod guard;
mod job;
mod policy;
mod postgres;
mod report;
mod sys;
mod window;

pub use app::main;

/// What the tests of this repository and its fuzz targets reach into.
#[doc(hidden)]
pub mod testing {
    pub use crate::sys::privilege::EffectiveIds;

    pub mod clients {
        pub use crate::clients::{
            Backend, Client, DestroyError, Destroyed, InterfaceError, Locality, PortInodes,
            Process, ProcessError, RowKey, SignalError, Signalled, Socket, Sockets, Stage, State,
            backends, interface_networks, join, listener_processes, sessions_without_socket,
            signal,
        };
    }
    pub mod cordon {
        pub use crate::cordon::{OnExpiry, PassList, Reason, Verdict};
    }
    pub mod policy {
        pub use crate::policy::{
            AbsolutePath, Address, Allow, Drain, Interface, Name, Network, Patience, Policy, Port,
            PostgresKeys, Ramp, RampLength, Rate, Run, Spare, Why, WindowLength, parse, print,
        };
    }
    pub mod postgres {
        pub use crate::postgres::{Access, Row, Session, SessionError, StatementError, Target};
    }
}
