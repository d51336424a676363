//! The firewall as commands see it: every change of a cordon is told to its guard first, and
//! what nobody wants any more is not put back.

use super::end;
use super::handle::{Guard, Handle};
use super::liveness;
use super::wanted::{Moment, Wanted};
use crate::cordon::{Cordon, Window};
use crate::firewall::{Change, Detail, Firewall, FirewallError, Nftables, Standing};
use crate::postgres::Access;
use crate::window::LONG;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A transaction that takes longer is no matter of milliseconds any more.
const PROMPT: Duration = Duration::from_millis(100);

/// The kernel's firewall with its guards. Copies are the same one.
#[derive(Clone, Default)]
pub struct Guarded {
    pub(super) nftables: Nftables,
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

    /// Whether the guard of a port was started here, and is still that: whoever has changed
    /// the window since has put another one in its place.
    pub(super) fn has_own(&self, port: u16) -> bool {
        let is_it = match self.guards.borrow().own.get(&port).map(Handle::guard) {
            None => return false,
            Some(Guard::Myself) => true,
            Some(Guard::Child(child)) => {
                let pid = child.id();
                liveness::guardian(port, Some(pid)).is_ok_and(|now| now == Some(pid))
            }
        };
        if !is_it {
            self.bury(port);
        }
        is_it
    }

    /// Starts a guard, which is told nothing yet.
    pub(super) fn start_guard(&self, port: u16) -> Option<Handle> {
        self.guards.borrow_mut().start(port)
    }

    /// From now on the cordons that are raised here get a guard, which reaches PostgreSQL
    /// so when it has to drain.
    pub fn leave_guards(&self, access: Access) {
        self.guards.borrow_mut().leave = Some(access);
    }

    /// Whether the cordons that are raised here get a guard.
    #[must_use]
    pub fn leaves_guards(&self) -> bool {
        self.guards.borrow().leave.is_some()
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

    /// Why cordons have no guard, since this was asked last.
    pub fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.guards.borrow_mut().warnings)
    }

    /// Tells new guards what to guard; see [`Guards::stand`].
    pub(super) fn stand(&self, fresh: Vec<(Handle, Wanted)>) {
        let mut guards = self.guards.borrow_mut();
        let access = guards.leave.clone().unwrap_or_default();
        guards.stand(fresh, &access);
    }

    /// Takes leave of a guard that was started here and is dead, and of what it knew.
    pub(super) fn bury(&self, port: u16) {
        if let Some(guard) = self.guards.borrow_mut().own.remove(&port) {
            guard.kill();
        }
    }

    /// What a port's table is, with the guard that its comment names, alive or not.
    pub(super) fn named(
        &mut self,
        port: u16,
        detail: Detail,
    ) -> Result<Option<Window>, FirewallError> {
        let standing = self.nftables.read(port, detail)?;
        Ok(standing.and_then(|standing| standing.window))
    }

    /// Ends the guard of a port, whoever has started it.
    pub(super) fn end_guard(&mut self, port: u16, named: Option<u32>) -> Result<(), FirewallError> {
        let own = self.guards.borrow_mut().own.remove(&port);
        let own_guard = own.as_ref().map(Handle::guard);
        let is_self = matches!(own_guard, Some(Guard::Myself));
        if let Some(guard) = own {
            guard.kill();
        }
        // Somebody may have put another one in its place.
        match is_self {
            true => Ok(()),
            false => end(port, named),
        }
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

    /// A port's cordon as the kernel has it.
    fn as_it_stands(&mut self, port: u16) -> Option<(u16, Cordon)> {
        let mut window = self.named(port, Detail::Whole).ok().flatten()?;
        window.cordon.length = window.remaining_now();
        Some((port, window.cordon))
    }

    /// Tells the guards what stands, although they were told otherwise.
    fn tell_again(&mut self, standing: &[(u16, Cordon)], at: Moment) {
        let mut guards = self.guards.borrow_mut();
        for (port, cordon) in standing {
            if let Some(guard) = guards.own.get_mut(port) {
                let told = guard.again(at, cordon.clone());
                tracing::debug!(port, ?told, "the guard goes on with what was there");
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

    /// Tells new guards what to guard, and waits until they do. All this is under the lock of
    /// the ports: whoever gets it next finds the guards at their posts.
    fn stand(&mut self, fresh: Vec<(Handle, Wanted)>, access: &Access) {
        let at = Moment::now();
        let mut told = Vec::new();
        for (mut guard, wanted) in fresh {
            let cordon = wanted.at(at);
            let port = cordon.port;
            let taken = guard.take(at, cordon, access.clone());
            told.push((port, guard, taken));
        }
        for (port, mut guard, taken) in told {
            match taken.and_then(|()| guard.wait()) {
                Ok(()) => drop(self.own.insert(port, guard)),
                Err(error) => {
                    self.warn(port, &error);
                    guard.kill();
                }
            }
        }
    }

    fn warn(&mut self, port: u16, error: &io::Error) {
        self.warnings.push(format!(
            "the cordon on port {port} has no guard ({error}): it ends in time, but whoever flushes the host's rules opens the port early"
        ));
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
    fn read(&mut self, port: u16, detail: Detail) -> Result<Option<Standing>, FirewallError> {
        let mut standing = self.nftables.read(port, detail)?;
        let window = standing.as_mut().and_then(|s| s.window.as_mut());
        if let Some(guard) = window.map(|window| &mut window.cordon.identity.guard) {
            *guard = guard.and_then(|named| liveness::guardian(port, Some(named)).ok().flatten());
        }
        Ok(standing)
    }

    fn raise(&mut self, cordons: &[Cordon], leftovers: &[u16]) -> Result<Instant, FirewallError> {
        let mut cordons = cordons.to_vec();
        let mut fresh = Vec::new();
        for cordon in &mut cordons {
            let port = cordon.port;
            // A damaged cordon that is put back keeps having a guard.
            let before = match leftovers.contains(&port) {
                true => self.named(port, Detail::Block)?,
                false => None,
            };
            let is_before = |window: &Window| window.id() == cordon.id();
            let is_same = before.as_ref().is_some_and(is_before);
            let named = before.and_then(|window| window.cordon.identity.guard);
            let wants_guard = self.guards.borrow().leave.is_some() || is_same && named.is_some();
            let guard = match wants_guard {
                true => self.guards.borrow_mut().start(port),
                false => None,
            };
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
        let took_long = Moment::now().since(written) > PROMPT;
        let mut wanted = Vec::new();
        for (guard, mut cordon) in fresh {
            let mut at = written;
            if took_long || cordon.pass.len() > LONG {
                // The kernel has taken its time with it: what it says is the window's end.
                let now = Moment::now();
                if let Some(window) = self.named(cordon.port, Detail::Block)? {
                    (cordon.length, at) = (window.cordon.length, now);
                }
            }
            wanted.push((guard, Wanted::new(cordon, at)));
        }
        self.stand(wanted);
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
            taken.name_in(&mut changes);
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
            let now: Vec<(u16, Cordon)> = now.collect();
            self.tell_again(&now, at);
            fresh.extend(
                taken_over
                    .into_iter()
                    .filter_map(|t| t.guarding_what_stands(&now, at)),
            );
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
            _ => self
                .named(port, Detail::Block)?
                .and_then(|w| w.cordon.identity.guard),
        };
        self.end_guard(port, named)
    }
}
