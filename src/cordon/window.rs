//! A window as it was read back from the kernel.

use super::{Cordon, Identity, PassList, Ramp, Reason, Verdict};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

/// A cordon that is in force, as the kernel shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The cordoned port.
    pub port: u16,
    /// Whether new connections are blocked or let in slowly.
    pub phase: Phase,
    /// Who raised it and when.
    pub identity: Identity,
    /// How long the phase still lasts.
    pub remaining: Duration,
    /// When the phase ends, by the wall clock.
    pub ends_at: SystemTime,
    /// How new connections are let in after the window; in the ramp, how they are now.
    pub ramp: Option<Ramp>,
    /// What happens to blocked packets.
    pub verdict: Verdict,
    /// Why, in the user's words.
    pub reason: Option<Reason>,
    /// What the cordon has blocked so far.
    pub blocked: Counter,
    /// The same for each source address, the busiest first.
    pub knocks: Vec<Knock>,
    /// Who may pass.
    pub pass: PassList,
    /// Whether the pass list was read; else it is empty here.
    pub pass_was_read: bool,
    /// For how long packets of existing connections still pass.
    pub farewell: Duration,
    /// Existing connections that are let through to the end of the window; with port 0 for
    /// each address on the pass list that is there for a standby's sake.
    pub spared: Vec<SocketAddr>,
    /// Sockets that may finish their close.
    pub closing: Vec<ClosingFlow>,
}

impl Window {
    /// Whether remote packets are blocked: not so any more in the ramp.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// How long it takes until everything is over, the window and its ramp.
    #[must_use]
    pub fn whole_remaining(&self) -> Duration {
        whole(self.phase, self.remaining, self.ramp)
    }

    /// How long the phase lasts from this very moment on: a window with a long pass list has
    /// taken a while to read.
    #[must_use]
    pub fn remaining_now(&self) -> Duration {
        match self.ends_at.duration_since(SystemTime::now()) {
            Ok(left) => left.min(self.remaining),
            // It is over, or the clock was set meanwhile.
            Err(_) => self.remaining,
        }
    }

    /// Whether existing connections go on to the end, as they do without a drain.
    #[must_use]
    pub fn farewell_lasts(&self) -> bool {
        lasts(self.farewell, self.remaining)
    }

    /// The cordon that would stand as this window does now, with the time that is left.
    #[must_use]
    pub fn as_cordon(&self) -> Cordon {
        Cordon {
            port: self.port,
            identity: self.identity.clone(),
            phase: self.phase,
            length: self.remaining,
            ramp: self.ramp,
            farewell: self.farewell,
            verdict: self.verdict,
            pass: self.pass.clone(),
            spared: self.spared.clone(),
            closing: self.closing.clone(),
            reason: self.reason.clone(),
        }
    }

    /// The addresses that pass although no user has named them: those of standbys.
    pub fn standbys(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let marks = self.spared.iter().filter(|flow| flow.port() == 0);
        marks.map(SocketAddr::ip)
    }
}

/// Whether a farewell lasts to the end, but for what the kernel rounds.
pub(super) fn lasts(farewell: Duration, remaining: Duration) -> bool {
    !farewell.is_zero() && farewell + Duration::from_millis(20) >= remaining
}

/// How long a phase and what comes after it last together.
pub(super) fn whole(phase: Phase, remaining: Duration, ramp: Option<Ramp>) -> Duration {
    match (phase, ramp) {
        (Phase::Closed, Some(ramp)) => remaining.saturating_add(ramp.length),
        _ => remaining,
    }
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
