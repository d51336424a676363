//! The firewall as commands see it: every change of a cordon is told to its guard first, and
//! what nobody wants any more is not put back.

use super::handle::{Guard, Handle};
use super::liveness;
use super::target::{Moment, Target};
use super::{SLOW_TRANSACTION, end};
use crate::cordon::{Cordon, Window};
use crate::firewall::{Change, Detail, Firewall, FirewallError, Nftables, TableState};
use crate::postgres::Access;
use crate::sys::lock::{self, LockError, PortLock};
use crate::window::{Guards as _, LONG};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The kernel's firewall with its guards. Copies are the same one, and may be used by several
/// threads at once.
///
/// No deadlock: the lock of [`Guards`] is only held to look something up or to write it down,
/// never while anything is waited for, another lock included. The lock of a guard's handle may
/// be held while that guard is waited for, and no other lock is taken meanwhile. So a guard
/// that does not answer delays nobody but those who want something of the same port.
#[derive(Clone, Default)]
pub struct Guarded {
    pub(super) nftables: Nftables,
    guards: Arc<Mutex<Guards>>,
}

/// The guards of this process.
#[derive(Default)]
struct Guards {
    /// Whether fresh cordons get a guard, and how it reaches PostgreSQL.
    leave: Option<Access>,
    /// Whether they end with the systemd service that this process is in.
    inside: bool,
    /// Those that were started here, by port.
    own: BTreeMap<u16, Arc<Mutex<Handle>>>,
    /// Why a cordon has none.
    warnings: Vec<String>,
}

/// A thread that has panicked leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guarded {
    /// The firewall of the calling thread's network namespace. The cordons that are raised
    /// here get no guard.
    pub fn new() -> Self {
        Self::default()
    }

    fn guards(&self) -> MutexGuard<'_, Guards> {
        lock(&self.guards)
    }

    fn own(&self, port: u16) -> Option<Arc<Mutex<Handle>>> {
        self.guards().own.get(&port).cloned()
    }

    /// Whether the guard of a port was started here, and is still that: whoever has changed
    /// the window since has put another one in its place.
    pub(super) fn has_own(&self, port: u16) -> bool {
        let Some(own) = self.own(port) else {
            return false;
        };
        let pid = match &lock(&own).guard {
            Guard::Myself => return true,
            Guard::Child(child) => child.id(),
        };
        let is_it = liveness::guardian(port, Some(pid)).is_ok_and(|now| now == Some(pid));
        if !is_it {
            self.end_own(port);
        }
        is_it
    }

    /// Starts a guard, which is told nothing yet. A host that cannot start one gets its cordon
    /// all the same: the kernel's timer bounds it.
    pub(super) fn start_guard(&self, port: u16) -> Option<Handle> {
        let outside = !self.guards().inside;
        Handle::start(port, outside).inspect_err(|error| self.warn(port, error)).ok()
    }

    /// From now on the cordons that are raised here get a guard, which reaches PostgreSQL
    /// so when it has to drain.
    pub fn leave_guards(&self, access: Access) {
        self.guards().leave = Some(access);
    }

    pub fn leaves_guards(&self) -> bool {
        self.guards().leave.is_some()
    }

    /// Guards that are started here stay in the systemd service that this process is in: it
    /// stays there itself.
    pub fn stay_in_service(&self) {
        self.guards().inside = true;
    }

    /// The firewall within a guard: what is changed here is told to the guard itself.
    pub fn within(port: u16, stream: UnixStream) -> io::Result<Self> {
        let guarded = Self::new();
        guarded.insert(port, Handle::inside(stream)?);
        Ok(guarded)
    }

    /// Why cordons have no guard, since this was asked last.
    pub fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.guards().warnings)
    }

    fn insert(&self, port: u16, guard: Handle) {
        let guard = Arc::new(Mutex::new(guard));
        self.guards().own.insert(port, guard);
    }

    /// Tells new guards what to guard, and waits until they do. All this is under the lock of
    /// the ports: whoever gets it next finds the guards at their posts.
    pub(super) fn stand(&self, fresh: Vec<(Handle, Target)>) {
        let access = self.guards().leave.clone().unwrap_or_default();
        let at = Moment::now();
        let tell = |(mut guard, target): (Handle, Target)| {
            let cordon = target.at(at);
            let port = cordon.port;
            let taken = guard.take(at, cordon, access.clone());
            (port, guard, taken)
        };
        // All are told before one is waited for.
        let told: Vec<_> = fresh.into_iter().map(tell).collect();
        for (port, mut guard, taken) in told {
            match taken.and_then(|()| guard.wait()) {
                Ok(()) => self.insert(port, guard),
                Err(error) => {
                    self.warn(port, &error);
                    guard.kill();
                }
            }
        }
    }

    fn warn(&self, port: u16, error: &io::Error) {
        self.guards().warnings.push(format!(
            "the cordon on port {port} has no guard ({error}): it ends in time, but whoever flushes the host's rules opens the port early"
        ));
    }

    /// Ends the guard of a port if it was started here, and forgets what it knew. Says whether
    /// this process is that guard itself.
    pub(super) fn end_own(&self, port: u16) -> bool {
        let Some(own) = self.guards().own.remove(&port) else {
            return false;
        };
        let mut own = lock(&own);
        own.kill();
        matches!(own.guard, Guard::Myself)
    }

    /// What a port's table is, with the guard that its comment names, alive or not.
    pub(super) fn named(
        &mut self,
        port: u16,
        detail: Detail,
    ) -> Result<Option<Window>, FirewallError> {
        let state = self.nftables.read(port, detail)?;
        Ok(state.and_then(|state| state.window))
    }

    pub(super) fn end_guard(&mut self, port: u16, named: Option<u32>) -> Result<(), FirewallError> {
        match self.end_own(port) {
            true => Ok(()),
            // Somebody may have put another one in its place.
            false => end(port, named),
        }
    }

    /// Tells the guards of changes. One that does not listen is ended: it would heal what is
    /// about to be changed.
    fn tell(&mut self, changes: &[(u16, Change)]) {
        let at = Moment::now();
        for (port, change) in changes {
            let told = self.own(*port).map(|own| lock(&own).change(at, change));
            if let Some(Err(error)) = told {
                self.warn(*port, &error);
                self.end_own(*port);
            }
        }
    }

    fn as_it_stands(&mut self, port: u16) -> Option<Cordon> {
        let window = self.named(port, Detail::Whole).ok().flatten();
        window.map(Window::into_cordon_now)
    }

    /// Tells the guards what stands, although they were told otherwise.
    fn tell_again(&mut self, cordons: &[Cordon], at: Moment) {
        for cordon in cordons {
            if let Some(own) = self.own(cordon.port) {
                let told = lock(&own).again(at, cordon.clone());
                tracing::debug!(cordon.port, ?told, "the guard goes on with what was there");
            }
        }
    }

    /// The cordon of a port as its guard knows it now, to be told again if a change fails.
    fn known(&self, ports: &BTreeSet<u16>) -> Vec<Cordon> {
        let now = Moment::now();
        let of = |port: &u16| Some(lock(&*self.own(*port)?).target()?.at(now));
        ports.iter().filter_map(of).collect()
    }
}

impl Firewall for Guarded {
    /// Also those whose guard is about to put a table back.
    fn ports(&mut self) -> Result<Vec<u16>, FirewallError> {
        let mut ports = self.nftables.ports()?;
        let guarded = liveness::guarded_ports().into_iter();
        let is_guarded =
            |port: &u16| liveness::guardian(*port, None).is_ok_and(|pid| pid.is_some());
        ports.extend(guarded.filter(is_guarded));
        ports.sort_unstable();
        ports.dedup();
        Ok(ports)
    }

    /// A guard that is not alive is not named.
    fn read(&mut self, port: u16, detail: Detail) -> Result<Option<TableState>, FirewallError> {
        let mut state = self.nftables.read(port, detail)?;
        let window = state.as_mut().and_then(|s| s.window.as_mut());
        if let Some(guard) = window.map(|window| &mut window.cordon.identity.guard) {
            *guard = guard.and_then(|named| liveness::guardian(port, Some(named)).ok().flatten());
        }
        Ok(state)
    }

    fn raise(&mut self, cordons: &[Cordon], leftovers: &[u16]) -> Result<Instant, FirewallError> {
        let mut cordons = cordons.to_vec();
        let mut fresh = Vec::new();
        for cordon in &mut cordons {
            let port = cordon.port;
            let before = match leftovers.contains(&port) {
                true => self.named(port, Detail::Block)?,
                false => None,
            };
            // A damaged cordon that is put back keeps having a guard.
            let is_same = before.as_ref().is_some_and(|window| window.id() == cordon.id());
            let named = before.and_then(|window| window.cordon.identity.guard);
            let wants_guard = self.leaves_guards() || is_same && named.is_some();
            let guard = wants_guard.then(|| self.start_guard(port)).flatten();
            self.end_guard(port, named)?;
            cordon.identity.guard = guard.as_ref().and_then(Handle::pid);
            fresh.extend(guard.map(|guard| (guard, cordon.clone())));
        }
        // Before it, never after: nobody may want a later end than the kernel has.
        let written = Moment::now();
        let acknowledged = match self.nftables.raise(&cordons, leftovers) {
            Ok(acknowledged) => acknowledged,
            Err(error) => {
                drop(fresh); // They were told nothing, and end.
                if !error.is_uncertain() {
                    self.guard_again(leftovers);
                }
                return Err(error);
            }
        };
        let took_long = Moment::now().since(written) > SLOW_TRANSACTION;
        let mut targets = Vec::new();
        for (guard, mut cordon) in fresh {
            let mut at = written;
            if took_long || cordon.pass.len() > LONG {
                // The kernel has taken its time with it: what it says is the window's end.
                // Where it cannot be asked, what was written ends no later. To fail here would say
                // that nothing is in force.
                let now = Moment::now();
                if let Ok(Some(window)) = self.named(cordon.port, Detail::Block) {
                    (cordon.length, at) = (window.cordon.length, now);
                }
            }
            targets.push((guard, Target::new(cordon, at)));
        }
        self.stand(targets);
        Ok(acknowledged)
    }

    fn change(&mut self, changes: &[(u16, Change)]) -> Result<(), FirewallError> {
        let mut changes = changes.to_vec();
        let ports: BTreeSet<u16> = changes.iter().map(|(port, _)| *port).collect();
        let mut taken_over = Vec::new();
        for port in &ports {
            taken_over.extend(self.take_over(*port)?);
        }
        for taken in &mut taken_over {
            taken.name_guard_in(&mut changes);
        }
        let before = self.known(&ports);
        self.tell(&changes);
        let at = Moment::now();
        let changed = self.nftables.change(&changes);
        let is_uncertain = changed.as_ref().is_err_and(FirewallError::is_uncertain);
        let mut fresh = Vec::new();
        if is_uncertain {
            // What the kernel has says whether it was made.
            let at = Moment::now();
            let now = ports.iter().filter_map(|port| self.as_it_stands(*port));
            let now: Vec<Cordon> = now.collect();
            self.tell_again(&now, at);
            let taken_over = taken_over.into_iter();
            fresh.extend(taken_over.filter_map(|taken| taken.guarding_what_stands(&now, at)));
        } else {
            if changed.is_err() {
                self.tell_again(&before, at);
            }
            let made = if changed.is_ok() { &changes[..] } else { &[] };
            for taken in taken_over {
                fresh.extend(taken.conclude(&mut self.nftables, made, at));
            }
        }
        self.stand(fresh);
        changed
    }

    fn remove(&mut self, ports: &[u16]) -> Result<(), FirewallError> {
        for port in ports {
            self.dismiss(*port)?;
        }
        self.nftables.remove(ports)
    }
}

impl crate::window::Guards for Guarded {
    type Lock = PortLock;

    fn lock(&mut self, ports: &[u16]) -> Result<Vec<PortLock>, LockError> {
        lock::ports(ports)
    }

    fn guard(&mut self, port: u16) -> Option<u32> {
        let locked = liveness::guardian(port, None).ok().flatten();
        locked.or_else(|| {
            let window = self.named(port, Detail::Block).ok().flatten()?;
            let named = liveness::guardian(port, window.cordon.identity.guard);
            named.ok().flatten()
        })
    }

    fn dismiss(&mut self, port: u16) -> Result<(), FirewallError> {
        // Where the lock does not name it, the window does.
        let named = match liveness::guardian(port, None) {
            Ok(Some(_)) => None,
            _ => self.named(port, Detail::Block)?.and_then(|w| w.cordon.identity.guard),
        };
        self.end_guard(port, named)
    }
}

/// A guard that removes its own table has nobody to reckon with.
impl crate::window::Guards for Nftables {
    type Lock = PortLock;

    fn lock(&mut self, ports: &[u16]) -> Result<Vec<PortLock>, LockError> {
        lock::ports(ports)
    }

    fn guard(&mut self, _port: u16) -> Option<u32> {
        None
    }

    fn dismiss(&mut self, _port: u16) -> Result<(), FirewallError> {
        Ok(())
    }
}
