//! The firewall as commands see it: every change of a cordon is told to its guard first, and
//! what nobody wants any more is not put back.

use super::end;
use super::handle::Handle;
use super::wanted::Moment;
use crate::cordon::{Cordon, Window};
use crate::firewall::{Change, Detail, Firewall, FirewallError, Nftables, Standing};
use crate::lock;
use crate::postgres::Access;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// The kernel's firewall with its guards. Copies are the same one.
#[derive(Clone, Default)]
pub struct Guarded {
    nftables: Nftables,
    guards: Rc<RefCell<Guards>>,
}

/// The guards of this process.
#[derive(Default)]
struct Guards {
    /// Whether fresh cordons get a guard, and how it reaches PostgreSQL.
    leave: Option<Access>,
    /// Whether they end with the systemd service that this process is in.
    inside: bool,
    /// Those that were started here, by port.
    own: BTreeMap<u16, Handle>,
    /// Why a cordon has none.
    warnings: Vec<String>,
}

impl Guarded {
    /// The firewall of the calling thread's network namespace. The cordons that are raised
    /// here get no guard.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the cordons that are raised here get a guard, which reaches PostgreSQL
    /// so when it has to drain.
    pub fn leave_guards(&self, access: Access) {
        self.guards.borrow_mut().leave = Some(access);
    }

    /// Guards that are started here stay in the systemd service that this process is in: it
    /// stays there itself.
    pub fn stay_in_service(&self) {
        self.guards.borrow_mut().inside = true;
    }

    /// The firewall within a guard: what is changed here is told to the guard itself.
    ///
    /// # Errors
    /// What the kernel says of the socket.
    pub fn within(port: u16, stream: UnixStream) -> io::Result<Self> {
        let guarded = Self::new();
        let inside = Handle::inside(stream)?;
        guarded.guards.borrow_mut().own.insert(port, inside);
        Ok(guarded)
    }

    /// Waits until the guards that were started here stand guard; why a cordon has none.
    pub fn await_guards(&self) -> Vec<String> {
        let mut guards = self.guards.borrow_mut();
        let mut failed = Vec::new();
        for (port, guard) in &mut guards.own {
            if let Err(error) = guard.wait() {
                failed.push((*port, error));
            }
        }
        for (port, error) in failed {
            guards.warn(port, &error);
            if let Some(guard) = guards.own.remove(&port) {
                guard.kill();
            }
        }
        std::mem::take(&mut guards.warnings)
    }

    /// What a port's table is, with the guard that its comment names, alive or not.
    fn named(&mut self, port: u16, detail: Detail) -> Result<Option<Window>, FirewallError> {
        let standing = self.nftables.read(port, detail)?;
        Ok(standing.and_then(|standing| standing.window))
    }

    /// Ends the guard of a port, whoever has started it.
    fn end_guard(&mut self, port: u16, named: Option<u32>) -> Result<(), FirewallError> {
        let own = self.guards.borrow_mut().own.remove(&port);
        match own {
            Some(guard) => guard.kill(),
            None => end(port, named)?,
        }
        Ok(())
    }

    /// Puts a guard of our own in the place of one that somebody else has started; `changes`
    /// then name it in the kernel, too.
    fn take_over(
        &mut self,
        port: u16,
        changes: &mut Vec<(u16, Change)>,
    ) -> Result<(), FirewallError> {
        if self.guards.borrow().own.contains_key(&port) {
            return Ok(());
        }
        let Some(window) = self.named(port, Detail::Whole)? else {
            return Ok(());
        };
        let Some(named) = window.identity.guard else {
            return Ok(()); // It was raised with `--no-guard`.
        };
        let guard = self.guards.borrow_mut().start(port);
        self.end_guard(port, Some(named))?;
        let at = Moment::now();
        let mut cordon = window.as_cordon();
        cordon.identity.guard = guard.as_ref().and_then(Handle::pid);
        name_guard(port, &window, &cordon, changes);
        if let Some(mut guard) = guard {
            let mut guards = self.guards.borrow_mut();
            match guard.take(at, cordon, Access::default()) {
                Ok(()) => drop(guards.own.insert(port, guard)),
                Err(error) => guards.warn(port, &error),
            }
        }
        Ok(())
    }

    /// Tells the guards of changes. One that does not listen is ended: it would heal what is
    /// about to be changed.
    fn tell(&mut self, changes: &[(u16, Change)]) {
        let at = Moment::now();
        let mut guards = self.guards.borrow_mut();
        for (port, change) in changes {
            let told = guards
                .own
                .get_mut(port)
                .map(|guard| guard.change(at, change));
            if let Some(Err(error)) = told {
                guards.warn(*port, &error);
                if let Some(guard) = guards.own.remove(port) {
                    guard.kill();
                }
            }
        }
    }

    /// The cordon of a port as its guard knows it now, to be told again if a change fails.
    fn known(&self, ports: &BTreeSet<u16>) -> Vec<(u16, Cordon)> {
        let guards = self.guards.borrow();
        let now = Moment::now();
        let of = |port: &u16| Some((*port, guards.own.get(port)?.wanted()?.at(now)));
        ports.iter().filter_map(of).collect()
    }
}

impl Guards {
    /// Starts a guard. A host that cannot start one gets its cordon all the same: the
    /// kernel's timer bounds it.
    fn start(&mut self, port: u16) -> Option<Handle> {
        match Handle::start(port, !self.inside) {
            Ok(guard) => Some(guard),
            Err(error) => {
                self.warn(port, &error);
                None
            }
        }
    }

    fn warn(&mut self, port: u16, error: &io::Error) {
        self.warnings.push(format!(
            "the cordon on port {port} has no guard ({error}): it ends in time, but whoever flushes the host's rules opens the port early"
        ));
    }
}

/// Names a cordon's guard in the window's comment, with the change that rewrites it anyway or
/// with one more.
fn name_guard(port: u16, window: &Window, cordon: &Cordon, changes: &mut Vec<(u16, Change)>) {
    let guard = cordon.identity.guard;
    for (of, change) in changes.iter_mut() {
        if let Change::End { identity, .. } = change {
            if *of == port {
                identity.guard = guard;
                return;
            }
        }
    }
    let again = Change::End {
        identity: cordon.identity.clone(),
        remaining: window.remaining,
        ramp: window.ramp,
        farewell: window.farewell_lasts(),
        spared: window.spared.clone(),
        closing: window.closing.clone(),
    };
    // Before the others: it writes the flows as they were.
    changes.insert(0, (port, again));
}

impl Firewall for Guarded {
    /// Also those whose guard is about to put a table back.
    fn ports(&mut self) -> Result<Vec<u16>, FirewallError> {
        let mut ports = self.nftables.ports()?;
        let guarded = lock::guarded_ports().into_iter();
        ports.extend(guarded.filter(|port| lock::guardian(*port, None).is_some()));
        ports.sort_unstable();
        ports.dedup();
        Ok(ports)
    }

    /// A guard that is not alive is not named.
    fn read(&mut self, port: u16, detail: Detail) -> Result<Option<Standing>, FirewallError> {
        let mut standing = self.nftables.read(port, detail)?;
        let window = standing.as_mut().and_then(|s| s.window.as_mut());
        if let Some(guard) = window.map(|window| &mut window.identity.guard) {
            *guard = guard.and_then(|named| lock::guardian(port, Some(named)));
        }
        Ok(standing)
    }

    fn raise(&mut self, cordons: &[Cordon], leftovers: &[u16]) -> Result<(), FirewallError> {
        let mut cordons = cordons.to_vec();
        let mut fresh = Vec::new();
        for cordon in &mut cordons {
            let port = cordon.port;
            // A damaged cordon that is put back keeps having a guard.
            let named = match leftovers.contains(&port) {
                true => self
                    .named(port, Detail::Block)?
                    .and_then(|w| w.identity.guard),
                false => None,
            };
            let wants_guard = self.guards.borrow().leave.is_some() || named.is_some();
            let guard = match wants_guard {
                true => self.guards.borrow_mut().start(port),
                false => None,
            };
            self.end_guard(port, named)?;
            cordon.identity.guard = guard.as_ref().and_then(Handle::pid);
            fresh.extend(guard.map(|guard| (guard, cordon.clone())));
        }
        self.nftables.raise(&cordons, leftovers)?;
        let at = Moment::now();
        let mut guards = self.guards.borrow_mut();
        let access = guards.leave.clone().unwrap_or_default();
        for (mut guard, cordon) in fresh {
            let port = cordon.port;
            match guard.take(at, cordon, access.clone()) {
                Ok(()) => drop(guards.own.insert(port, guard)),
                Err(error) => guards.warn(port, &error),
            }
        }
        Ok(())
    }

    fn change(&mut self, changes: &[(u16, Change)]) -> Result<(), FirewallError> {
        let mut changes = changes.to_vec();
        let ports: BTreeSet<u16> = changes.iter().map(|(port, _)| *port).collect();
        for port in &ports {
            self.take_over(*port, &mut changes)?;
        }
        let before = self.known(&ports);
        self.tell(&changes);
        let changed = self.nftables.change(&changes);
        if changed.is_err() {
            let at = Moment::now();
            let mut guards = self.guards.borrow_mut();
            for (port, cordon) in before {
                if let Some(guard) = guards.own.get_mut(&port) {
                    let told = guard.again(at, cordon);
                    tracing::debug!(port, ?told, "the guard goes on with what was there");
                }
            }
        }
        changed
    }

    fn remove(&mut self, ports: &[u16]) -> Result<(), FirewallError> {
        for port in ports {
            self.dismiss(*port)?;
        }
        self.nftables.remove(ports)
    }

    fn guard(&mut self, port: u16) -> Option<u32> {
        let own = self.guards.borrow().own.get(&port).and_then(Handle::pid);
        own.or_else(|| lock::guardian(port, None))
    }

    fn dismiss(&mut self, port: u16) -> Result<(), FirewallError> {
        // Only where there can be no lock it matters whom the window names.
        let named = match lock::may_be_guarded_unlocked(port) {
            true => self
                .named(port, Detail::Block)?
                .and_then(|w| w.identity.guard),
            false => None,
        };
        self.end_guard(port, named)
    }
}
