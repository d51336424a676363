//! pgcordon keeps every remote client off PostgreSQL for a stated time, cuts those that
//! are connected, leaves loopback and Unix-socket clients alone, and gives the port back
//! afterwards. PostgreSQL keeps running and no PostgreSQL file is touched.
//!
//! ARCHITECTURE.md tells what each module is for, in layers: each uses only those below it.

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
    pub mod audit {
        pub use crate::audit::{Action, Event};
    }
    pub mod clients {
        pub use crate::clients::{
            Backend, Client, DestroyError, Destroyed, InterfaceError, Locality, PortInodes,
            Process, ProcessError, RowKey, SignalError, Signalled, Socket, Sockets, Stage, State,
            backends, interface_networks, join, listener_processes, sessions_without_socket,
            signal,
        };
    }
    pub mod cordon {
        pub use crate::cordon::{
            CancelTime, ClosingFlow, Cordon, Counter, Difference, DrainTime, Identity, Interface,
            LengthError, Name, Network, OnExpiry, PassError, PassList, Phase, Port, Ramp,
            RampError, RampLength, Rate, Reason, Spare, Tolerance, ValueError, Verdict, Window,
            WindowEnd, WindowId, WindowLength, parse_duration, show, synchronous_standbys_needed,
        };
    }
    pub mod drain {
        pub use crate::drain::{Listeners, Order, Pace, drain};
    }
    pub mod failure {
        pub use crate::failure::{Exit, Explain, Explanation, Failure, Kind};
    }
    pub mod firewall {
        pub use crate::firewall::{Change, Detail, Firewall, FirewallError, Nftables, TableState};
    }
    pub mod job {
        pub use crate::job::{End, FindError, find};
    }
    pub mod policy {
        pub use crate::policy::{
            Allow, Drain, Given, Policy, Ramp, Run, Setting, Shown, Sources, Spare, explain, parse,
        };
    }
    pub mod postgres {
        pub use crate::postgres::options::Tier;
        pub use crate::postgres::passfile::{Wanted, password};
        pub use crate::postgres::procfs::{Address, Backend, find_backend, parse_unix_sockets};
        pub use crate::postgres::{Access, Row, Session, SessionError, StatementError, Target};
    }
    pub mod sys {
        pub use crate::sys::privilege::{EffectiveIds, missing, user_name};
        pub use crate::sys::proc::{Stat, Status, has_ended, pidfd, pids, sockets};
        pub use crate::sys::terminal::printable;
    }
    pub mod window {
        pub use crate::sys::lock::LockError;
        pub use crate::window::{
            Guards, Outcome, Ownership, Raised, RampWish, WindowError, allow, allow_standbys,
            end_farewell, extend, lift, lift_own, lift_own_to_ramp, lift_to_ramp, raise,
            renew_farewell, spare, sweep,
        };
    }
}
