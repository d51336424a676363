//! Putting a guard of one's own in the place of somebody else's: whoever changes a cordon
//! brings the guard that keeps it so.

use super::Guarded;
use super::handle::Handle;
use super::target::{Moment, Target};
use crate::cordon::{Cordon, WindowId};
use crate::firewall::{Change, Detail, Firewall, FirewallError, Nftables};
use crate::sys::lock;
use crate::window::Guards;

impl Guarded {
    /// Puts a guard in the place of those that have died under windows of ours. Says whether
    /// that could be done; what hinders it is only told, since the kernel's timer holds.
    pub fn stand_again(&mut self, own: &[WindowId]) -> bool {
        let mut all = true;
        for id in own {
            let port = id.port;
            if !self.leaves_guards() || self.guard(port).is_some() {
                continue;
            }
            let stood = lock::ports(&[port])
                .map_err(|error| error.to_string())
                .and_then(|_lock| self.stand_again_on(*id).map_err(|e| e.to_string()));
            if let Err(error) = stood {
                tracing::warn!(port, error, "the window has no guard");
                all = false;
            }
        }
        for warning in self.warnings() {
            tracing::warn!("{warning}");
            all = false;
        }
        all
    }

    /// Guards windows on that were to be replaced, and were not: their guards are ended.
    pub(super) fn guard_again(&mut self, ports: &[u16]) {
        let mut fresh = Vec::new();
        for port in ports {
            match self.take_over(*port) {
                Ok(Some(taken)) => {
                    fresh.extend(taken.conclude(&mut self.nftables, &[], Moment::now()));
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(port, %error, "the window has no guard"),
            }
        }
        self.stand(fresh);
    }

    fn stand_again_on(&mut self, id: WindowId) -> Result<(), FirewallError> {
        let port = id.port;
        // Someone may have put one there while the lock was waited for.
        let window = self.named(port, Detail::Block)?;
        let is_ours = window.is_some_and(|window| window.id() == id && window.is_closed());
        if !is_ours || self.guard(port).is_some() {
            return Ok(());
        }
        self.end_own(port);
        let fresh = self.take_over(port)?;
        let fresh = fresh.and_then(|taken| taken.conclude(&mut self.nftables, &[], Moment::now()));
        self.stand(fresh.into_iter().collect());
        Ok(())
    }

    /// Puts a guard of our own in the place of one that somebody else has started; it is told
    /// nothing yet. `None` for a port that has our own, or wants none.
    pub(super) fn take_over(&mut self, port: u16) -> Result<Option<TakenOver>, FirewallError> {
        if self.has_own(port) {
            return Ok(None);
        }
        let Some(window) = self.named(port, Detail::Whole)? else {
            return Ok(None);
        };
        let Some(named) = window.cordon.identity.guard else {
            return Ok(None); // It was raised with `--no-guard`.
        };
        let guard = self.start_guard(port);
        self.end_guard(port, Some(named))?;
        // The time first: nobody may want a later end than the kernel has.
        let read_at = Moment::now();
        let mut cordon = window.into_cordon_now();
        cordon.identity.guard = guard.as_ref().and_then(Handle::pid);
        Ok(Some(TakenOver { port, guard, target: Target::new(cordon, read_at), is_named: false }))
    }
}

/// A port whose guard is another one from now on.
pub struct TakenOver {
    port: u16,
    /// The new one, if it could be started.
    guard: Option<Handle>,
    /// The cordon as it stands.
    target: Target,
    /// Whether a change names it.
    is_named: bool,
}

impl TakenOver {
    /// Names the guard where a change rewrites the window's comment anyway.
    pub fn name_guard_in(&mut self, changes: &mut [(u16, Change)]) {
        for (port, change) in changes {
            if let Change::Renew(cordon) = change {
                if *port == self.port {
                    cordon.identity.guard = self.guard.as_ref().and_then(Handle::pid);
                    self.is_named = true;
                }
            }
        }
    }

    /// Takes over the changes that were made, and names the guard if none of them has.
    /// Gives the guard, and what it is to guard.
    pub fn conclude(
        mut self,
        nftables: &mut Nftables,
        made: &[(u16, Change)],
        at: Moment,
    ) -> Option<(Handle, Target)> {
        let its = made.iter().filter(|(port, _)| *port == self.port);
        its.for_each(|(_, change)| self.target.change(at, change));
        if !self.is_named || made.is_empty() {
            // By itself: a long pass list takes longer, and the end must not move with it.
            // A ramp is left as it is: the lock names its guard, too.
            let port = self.port;
            if let Some(naming) = self.target.renewal(Moment::now()) {
                let named = nftables.change(&[(port, naming)]);
                tracing::debug!(port, ?named, "the window names its new guard");
            }
        }
        Some((self.guard?, self.target))
    }

    /// Gives the guard, and what it is to guard, where it is not known whether the changes
    /// were made: what stands.
    pub fn guarding_what_stands(self, cordons: &[Cordon], at: Moment) -> Option<(Handle, Target)> {
        let found = cordons.iter().find(|cordon| cordon.port == self.port);
        let target = found.map_or(self.target, |cordon| Target::new(cordon.clone(), at));
        Some((self.guard?, target))
    }
}
