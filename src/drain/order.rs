//! What a drain is to do on one port.

use super::listeners::{Listeners, ListenersError};
use crate::clients::Process;
use crate::cordon::{Cordon, DEFAULT_DRAIN_TIMEOUT, DEFAULT_FAREWELL, KeepRules, PassList, Window};
use crate::postgres::{Access, Target};
use std::net::SocketAddr;
use std::time::Duration;

/// How much time a drain takes for each of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How long the last messages and the closes may take, from the first SIGTERM on.
    pub farewell: Duration,
    /// When what is left are stragglers.
    pub timeout: Duration,
    /// For how long cancelled statements may take to end before their backends are told; zero
    /// cancels none.
    pub cancel_first: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            farewell: DEFAULT_FAREWELL,
            timeout: DEFAULT_DRAIN_TIMEOUT,
            cancel_first: Duration::ZERO,
        }
    }
}

/// What is to be drained, and how.
#[derive(Debug, Clone)]
pub struct Order {
    pub port: u16,
    pub pass: PassList,
    /// If only some are to be drained: whose.
    pub only: Option<PassList>,
    pub spared: Vec<SocketAddr>,
    pub farewell: Duration,
    /// Whether the cordon was raised with this farewell just now.
    pub farewell_is_running: bool,
    /// Whether the window may have a farewell from before, as one that began without a drain.
    pub farewell_may_stand: bool,
    pub keep: KeepRules,
    pub cancel_first: Option<Duration>,
    pub timeout: Duration,
    pub servers: Vec<Process>,
    /// Why processes cannot be looked at, where the listener is not PostgreSQL.
    pub foreign_listener: Option<String>,
    pub access: Access,
}

impl Order {
    /// What is to be drained behind a cordon that is about to be raised.
    pub fn for_cordon(
        cordon: &Cordon,
        listeners: &Listeners,
        pace: Pace,
        keep: KeepRules,
        access: Access,
    ) -> Self {
        Self {
            farewell_is_running: !cordon.farewell.is_zero(),
            keep,
            ..Self::new(cordon, listeners, pace, access)
        }
    }

    /// What is to be drained again under a window in force.
    pub fn for_window(window: &Window, listeners: &Listeners, pace: Pace, access: Access) -> Self {
        Self {
            spared: window.cordon.spared.clone(),
            farewell_may_stand: !window.cordon.farewell.is_zero(),
            ..Self::new(&window.cordon, listeners, pace, access)
        }
    }

    /// What is to be drained when a guard has put a cordon back: whoever got in meanwhile gets
    /// no farewell.
    pub fn after_heal(cordon: &Cordon, access: Access) -> Result<Self, ListenersError> {
        let listeners = Listeners::of(cordon.port, true)?;
        let pace = Pace { farewell: Duration::ZERO, ..Pace::default() };
        Ok(Self { spared: cordon.spared.clone(), ..Self::new(cordon, &listeners, pace, access) })
    }

    pub(super) fn target(&self, postmaster: i32) -> Target {
        Target { postmaster, port: self.port, access: self.access.clone() }
    }

    /// No step takes longer than the cordon lasts.
    fn new(cordon: &Cordon, listeners: &Listeners, pace: Pace, access: Access) -> Self {
        let cancel_first = pace.cancel_first.min(cordon.length);
        Self {
            port: cordon.port,
            pass: cordon.pass.clone(),
            only: None,
            spared: Vec::new(),
            farewell: pace.farewell.min(cordon.length),
            farewell_is_running: false,
            farewell_may_stand: false,
            keep: KeepRules::default(),
            cancel_first: (!cancel_first.is_zero()).then_some(cancel_first),
            timeout: pace.timeout.min(cordon.length),
            servers: listeners.servers.clone(),
            foreign_listener: listeners.foreign.clone(),
            access,
        }
    }
}
