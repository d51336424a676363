//! A window as it was read back from the kernel.

use super::Cordon;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

/// A cordon in force, as the kernel shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// With the times that were left when it was read.
    pub cordon: Cordon,
    /// The end of the phase by the wall clock.
    pub ends_at: SystemTime,
    /// What the cordon has blocked so far.
    pub blocked: Counter,
    /// By source address, the busiest first.
    pub knocks: Vec<Knock>,
    /// If it was not, the pass list is empty here.
    pub pass_was_read: bool,
}

impl Window {
    pub fn id(&self) -> WindowId {
        self.cordon.id()
    }

    pub fn is_closed(&self) -> bool {
        self.cordon.is_closed()
    }

    /// How long the phase lasts from now on. Reading a long pass list has taken a while.
    pub fn remaining_now(&self) -> Duration {
        match self.ends_at.duration_since(SystemTime::now()) {
            Ok(left) => left.min(self.cordon.length),
            // It is over, or the clock was set meanwhile.
            Err(_) => self.cordon.length,
        }
    }

    /// The cordon with the time that is left now.
    pub fn into_cordon_now(self) -> Cordon {
        Cordon { length: self.remaining_now(), ..self.cordon }
    }
}

/// One window and no other that may come in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowId {
    pub port: u16,
    /// Drawn at random when the window is raised.
    pub id: u64,
}

/// A connection that may finish its close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ClosingFlow {
    pub client: SocketAddr,
    /// How long its packets still pass.
    pub remaining: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counter {
    pub packets: u64,
    /// With IP headers.
    pub bytes: u64,
}

/// One address that tried to get in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Knock {
    pub address: IpAddr,
    /// The packets that were blocked.
    pub packets: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Remote packets are blocked.
    Closed,
    /// The window is over, and new connections are let in at a limited rate.
    Ramp,
}

/// A new end of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowEnd {
    /// Later than the old one by this.
    By(Duration),
    /// From now.
    In(Duration),
}
