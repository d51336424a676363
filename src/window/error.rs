//! Why a window could not be raised or changed.

use crate::cordon::show;
use crate::failure::{Explain, Explanation, Kind};
use crate::firewall::{FirewallError, by_hand};
use crate::sys::lock::LockError;
use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    #[error(transparent)]
    Firewall(#[from] FirewallError),
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The port is in a window that is not the one that was asked for.
    #[error("port {port} is in a window already, with {}", differences.join(", "))]
    Differs { port: u16, differences: Vec<String> },
    /// `hold` and `run` want a window of their own.
    #[error("port {port} is in a window already")]
    Occupied { port: u16 },
    #[error("port {port} is not in a window")]
    None { port: u16 },
    /// The window is over, and its ramp goes on.
    #[error(
        "port {port} is in its ramp: the window is over, and new connections are let in slowly"
    )]
    Ramp { port: u16 },
    /// A ramp was asked for, and nobody has said how long it is.
    #[error("the window on port {port} was raised without a ramp")]
    NoRamp { port: u16 },
    #[error(
        "the window on port {port} would last {} in total, and {} is the most",
        show::duration(*total),
        show::duration(*most)
    )]
    TooLong {
        port: u16,
        /// From its start to its new end.
        total: Duration,
        most: Duration,
    },
    /// What this call has raised could not be removed again, after it had failed.
    #[error(
        "{source}; what this call has raised could not be removed again, and port {} may be closed until the window's end",
        show::joined(ports, ", ")
    )]
    Left { ports: Vec<u16>, source: Box<WindowError> },
    /// A change of a window may be in force, and cannot be read back.
    #[error("the window is in force; whether it was changed could not be read back: {source}")]
    Unverified { source: FirewallError },
    /// The removal of a window may be in force, and cannot be read back.
    #[error("whether the window has ended could not be read back: {source}")]
    LiftUnverified { source: FirewallError },
    #[error(transparent)]
    Pass(#[from] crate::cordon::PassError),
}

impl Explain for WindowError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Firewall(error) => error.explain(),
            Self::Lock(error) => error.explain(),
            Self::Differs { .. } => Kind::WindowDiffers.hint(
                "lift it first: pgcordon lift; a pass list can also be changed with pgcordon allow",
            ),
            Self::Occupied { .. } => Kind::Occupied.hint("end that window first: pgcordon lift"),
            Self::None { .. } => Kind::NoWindow.hint(START_ONE),
            Self::Ramp { .. } => Kind::NoWindow.hint(
                "end the ramp with pgcordon lift; close the port again with pgcordon start --for 10m",
            ),
            Self::NoRamp { .. } => Kind::NoRamp.hint(
                "say how long the ramp is to be: pgcordon lift --ramp 30s; pgcordon lift opens the port at once",
            ),
            Self::TooLong { .. } => {
                Kind::TooLong.hint("permit it with --max, for example --max 48h")
            }
            Self::Left { .. } => Kind::Left.hint(by_hand()).in_force(),
            Self::Unverified { .. } => Kind::ReadBack.hint(by_hand()).in_force(),
            Self::LiftUnverified { .. } => Kind::ReadBack.hint(by_hand()),
            Self::Pass(_) => {
                Kind::PassList.hint("name the networks that may pass; see pgcordon status")
            }
        }
    }
}

pub const START_ONE: &str = "see pgcordon status; start one with pgcordon start --for 10m";
