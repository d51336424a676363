//! A window as it was read back from the kernel.

use super::Cordon;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

/// A cordon that is in force, as the kernel shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// What stands, with the times that were left when it was read.
    pub cordon: Cordon,
    /// When the phase ends, by the wall clock.
    pub ends_at: SystemTime,
    /// What the cordon has blocked so far.
    pub blocked: Counter,
    /// The same for each source address, the busiest first.
    pub knocks: Vec<Knock>,
    /// Whether the pass list was read; else it is empty here.
    pub pass_was_read: bool,
}

impl Window {
    /// Which window it is.
    pub fn id(&self) -> WindowId {
        self.cordon.id()
    }

    /// Whether remote packets are blocked: not so any more in the ramp.
    pub fn is_closed(&self) -> bool {
        self.cordon.is_closed()
    }

    /// How long the phase lasts from this very moment on: a window with a long pass list has
    /// taken a while to read.
    pub fn remaining_now(&self) -> Duration {
        match self.ends_at.duration_since(SystemTime::now()) {
            Ok(left) => left.min(self.cordon.length),
            // It is over, or the clock was set meanwhile.
            Err(_) => self.cordon.length,
        }
    }
}

/// One window and no other that may come in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowId {
    /// The port that it closes.
    pub port: u16,
    /// What was drawn at random when the window was raised.
    pub id: u64,
}

/// A connection whose close is under way and let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ClosingFlow {
    /// The client's address and port.
    pub client: SocketAddr,
    /// For how long its packets still pass.
    pub remaining: Duration,
}

/// Packets and bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes, IP headers included.
    pub bytes: u64,
}

/// One address that tried to get in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Knock {
    /// Where the packets came from.
    pub address: IpAddr,
    /// How many were blocked.
    pub packets: u64,
}

/// What a window is doing just now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Remote packets are blocked.
    Closed,
    /// The window is over, and new connections are let in at a limited rate.
    Ramp,
}

/// How the end of a window is to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowEnd {
    /// Later by so much.
    By(Duration),
    /// So long from now.
    In(Duration),
}
