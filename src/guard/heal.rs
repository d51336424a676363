//! Putting a cordon back.

use super::SLOW_TRANSACTION;
use super::target::{Moment, Target};
use crate::audit::{self, Action};
use crate::cordon::{Phase, Window};
use crate::firewall::{Detail, Event, Firewall, FirewallError, Nftables};
use crate::window::{self, LONG, WindowError};
use std::time::{Duration, Instant};

/// How often a cordon is put back before the guard takes a breath: someone may take it away
/// as often.
const HEAL_ATTEMPTS: usize = 20;
/// After that, or after the kernel has refused: when it is tried again.
const HEAL_RETRY: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Seen {
    /// Where it is not what is to stand.
    faults: Vec<String>,
    /// The port, if a table of it is there.
    leftovers: Option<u16>,
}

impl Seen {
    fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Compares a port's cordon with what is to stand, and puts it back.
pub struct Healer {
    port: u16,
    pub target: Target,
    nftables: Nftables,
    /// When a heal that failed is tried again.
    pub retry_at: Option<Instant>,
}

impl Healer {
    pub fn new(port: u16, target: Target) -> Self {
        Self { port, target, nftables: Nftables::new(), retry_at: None }
    }

    /// Whether a long pass list that was touched is what it should be. It takes the kernel
    /// seconds to show, so it is looked at only if it was touched, and before anybody has to
    /// wait for the port's lock.
    pub fn is_long_list_untouched(&mut self, event: &Event) -> bool {
        self.is_long()
            && event.touched_pass
            && self.look(Detail::Whole).is_ok_and(|seen| seen.is_whole())
    }

    fn is_long(&self) -> bool {
        self.target.at(Moment::now()).pass.len() > LONG
    }

    /// Looks whether what stands is what is to stand, and puts it back. Says whether it was
    /// put back: somebody may have got in. The port's lock is the caller's.
    pub fn check(&mut self, event: &Event) -> bool {
        let is_long = self.is_long();
        let mut detail = match is_long && !event.touched_pass {
            true => Detail::Block,
            false => Detail::Whole,
        };
        let mut has_healed = false;
        for _ in 0..HEAL_ATTEMPTS {
            let Ok(seen) = self.look(detail) else { break };
            if seen.is_whole() {
                return has_healed;
            }
            match self.put_back(seen.leftovers.as_slice()) {
                Ok(()) => {
                    has_healed = true;
                    if is_long {
                        detail = Detail::Block;
                    }
                    self.record(event, &seen.faults);
                }
                // Somebody is at it at the same time.
                Err(FirewallError::Exists | FirewallError::Missing { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, "the cordon could not be put back");
                    break;
                }
            }
        }
        self.retry_at = Some(Instant::now() + HEAL_RETRY);
        has_healed
    }

    /// Removes the table of a window that is over.
    pub fn sweep(&mut self) -> Result<(), WindowError> {
        window::sweep(&mut self.nftables, &[self.port])
    }

    /// The window that is guarded, as it stands.
    pub fn window(&mut self) -> Option<Window> {
        let id = self.target.at(Moment::now()).id();
        let state = self.nftables.read(self.port, Detail::Block).ok().flatten();
        let window = state.and_then(|state| state.window);
        window.filter(|window| window.id() == id)
    }

    fn look(&mut self, detail: Detail) -> Result<Seen, FirewallError> {
        let began = Moment::now();
        if self.target.left(began).is_zero() {
            return Ok(Seen::default());
        }
        let state = self.nftables.read(self.port, detail).inspect_err(|error| {
            tracing::warn!(%error, "the guard cannot read nftables");
        })?;
        Ok(Seen {
            faults: self.target.faults(state.as_ref(), began),
            leftovers: state.map(|state| state.port),
        })
    }

    /// Puts on record that the cordon was damaged, and by whom.
    fn record(&mut self, event: &Event, faults: &[String]) {
        let program = event.program.as_deref().unwrap_or("another program");
        let why = format!("changed by {program}: {}", faults.join("; "));
        let mut record = audit::Event::new(Action::Heal);
        if let Some(window) = self.window() {
            record = record.window(&window);
        }
        record.with("program", program).why(why).record();
    }

    /// Raises the cordon with the time that is left.
    fn put_back(&mut self, leftovers: &[u16]) -> Result<(), FirewallError> {
        let mut healed = self.target.clone();
        healed.healed();
        let began = Moment::now();
        let cordon = healed.at(began);
        self.nftables.raise(std::slice::from_ref(&cordon), leftovers)?;
        self.target = healed;
        if Moment::now().since(began) > SLOW_TRANSACTION && cordon.phase == Phase::Closed {
            // A long pass list has taken its time, by which the window must not be longer.
            match self.target.renewal(Moment::now()) {
                Some(renewal) => self.nftables.change(&[(self.port, renewal)])?,
                // It has lasted beyond the window: the next look makes a ramp of it, or nothing.
                None => self.retry_at = Some(Instant::now()),
            }
        }
        Ok(())
    }
}
