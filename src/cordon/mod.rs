//! What a cordon, a window and the result of a drain *are*: plain data without
//! any input or output, the one vocabulary that all other rooms share.

mod compare;
mod drained;
mod duration;
mod identity;
mod pass;
mod ramp;
pub mod show;
mod spare;
mod values;
mod window;

pub use compare::{Difference, Tolerance};
pub use drained::{Backends, Connection, DrainReport, Fate, Peer, Sockets, SqlOutcome};
pub use duration::{CancelTime, DrainTime, LengthError, RampLength, WindowLength, parse_duration};
pub use identity::Identity;
pub use pass::{PassError, PassList};
pub use ramp::{DEFAULT_RAMP_RATE, Ramp, RampError, Rate};
pub use spare::{KeepRules, Spare, synchronous_standbys_needed};
pub use values::{
    AllowEntry, Interface, NO_VALUE, Name, Network, OnExpiry, Port, Reason, ValueError, Verdict,
    given, said, said_text,
};
pub use window::{ClosingFlow, Counter, Knock, Phase, Window, WindowEnd, WindowId};

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub const DEFAULT_FAREWELL: Duration = Duration::from_secs(2);

/// The default time a drain may take before what is left are stragglers.
pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The port of PostgreSQL where nothing is said.
pub const DEFAULT_PORT: u16 = 5432;

/// The longest window that needs no `--max`.
pub const DEFAULT_MAX_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// All that the firewall has to know to raise a cordon on one port.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cordon {
    pub port: u16,
    pub identity: Identity,
    pub phase: Phase,
    /// How long the phase lasts: from the kernel's acknowledgement, or from the reading.
    pub length: Duration,
    /// How new connections are let in after the window; `None` for all at once.
    pub ramp: Option<Ramp>,
    /// How long packets of existing connections still pass; zero for not at all.
    pub farewell: Duration,
    pub verdict: Verdict,
    pub pass: PassList,
    /// Existing connections that pass to the end of the window. Port 0 marks an address that is
    /// on the pass list for a standby's sake.
    pub spared: Vec<SocketAddr>,
    /// Sockets that may finish their close.
    pub closing: Vec<ClosingFlow>,
    pub reason: Option<Reason>,
}

impl Cordon {
    pub fn id(&self) -> WindowId {
        WindowId { port: self.port, id: self.identity.id }
    }

    /// Whether remote packets are blocked, which they are no longer in the ramp.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether existing connections go on to the end, as they do without a drain.
    pub fn farewell_lasts(&self) -> bool {
        !self.farewell.is_zero() && !Tolerance::FAREWELL.is_earlier(self.farewell, self.length)
    }

    /// How long the window and its ramp last together.
    pub fn whole_length(&self) -> Duration {
        match (self.phase, self.ramp) {
            (Phase::Closed, Some(ramp)) => self.length.saturating_add(ramp.length),
            _ => self.length,
        }
    }

    /// The addresses of standbys, which pass although no user has named them.
    pub fn standbys(&self) -> impl Iterator<Item = IpAddr> + '_ {
        let marks = self.spared.iter().filter(|flow| flow.port() == 0);
        marks.map(SocketAddr::ip)
    }

    /// What is left of the cordon after a time; a length of zero is the end of its window and
    /// its ramp.
    pub fn after(mut self, gone: Duration) -> Self {
        if let Some(ramp) = self.ramp.filter(|_| self.is_closed() && gone >= self.length) {
            let left = self.whole_length().saturating_sub(gone);
            return self.into_ramp(ramp, left);
        }
        self.length = self.length.saturating_sub(gone);
        self.farewell = self.farewell.saturating_sub(gone);
        for flow in &mut self.closing {
            flow.remaining = flow.remaining.saturating_sub(gone);
        }
        self.closing.retain(|flow| !flow.remaining.is_zero());
        self
    }

    /// The cordon with another end; a farewell that lasts to the end moves with it.
    pub fn ending_in(self, length: Duration) -> Self {
        let farewell = match self.farewell_lasts() {
            true => length,
            false => self.farewell,
        };
        Self { length, farewell, ..self }
    }

    /// The cordon when its ramp begins: existing connections need nothing to pass any more.
    pub fn into_ramp(self, ramp: Ramp, length: Duration) -> Self {
        Self {
            phase: Phase::Ramp,
            length,
            ramp: Some(ramp),
            farewell: Duration::ZERO,
            spared: Vec::new(),
            closing: Vec::new(),
            ..self
        }
    }
}
