//! Windows from their raising to their end: what happens to the firewall under the lock.

mod change;
mod error;
mod flows;
mod lift;
mod verify;

pub use change::{allow, extend};
pub use error::{START_ONE, WindowError};
pub use flows::{allow_standbys, end_farewell, linger, renew_farewell, spare};
pub use lift::{RampWish, lift, lift_own, lift_own_to_ramp, lift_to_ramp, sweep};
pub use verify::LONG;

use crate::cordon::{Cordon, Difference, Tolerance, Window};
use crate::firewall::{Detail, Firewall, FirewallError, TableState};
use crate::sys::lock::LockError;
use ipnet::IpNet;
use std::time::{Duration, Instant};

/// A firewall whose cordons may have guards. A guard puts a cordon back, so it ends before its
/// cordon does.
pub trait Guards: Firewall {
    /// While it lives, no other call and no guard changes the cordon.
    type Lock;

    fn lock(&mut self, ports: &[u16]) -> Result<Vec<Self::Lock>, LockError>;

    /// The process that guards the port, if one is alive.
    fn guard(&mut self, port: u16) -> Option<u32>;

    /// Ends the guard of a port, whatever stands there.
    fn dismiss(&mut self, port: u16) -> Result<(), FirewallError>;
}

/// What a call has done to one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// As it was read back.
    pub window: Window,
    pub changed: bool,
    /// How it was damaged before this call put it back.
    pub mended: Vec<String>,
}

/// Whether a call accepts a window that somebody else has raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    Shared,
    /// It does not: it lifts its windows at the end.
    Exclusive,
}

/// What [`raise`] has raised and what it has found, both in the order of the cordons.
#[derive(Debug, Clone)]
pub struct Raised {
    pub fresh: Vec<Window>,
    pub found: Vec<Outcome>,
    /// When the kernel acknowledged the fresh cordons, or the last window was found.
    pub acknowledged: Instant,
}

/// Raises cordons, all in one transaction. A window in force on the same terms stays as it is; if
/// it was damaged, it is put back.
///
/// After an error nothing of this call is in force, but for [`WindowError::Left`]: then the
/// kernel's timer ends it.
pub fn raise(
    firewall: &mut impl Guards,
    cordons: &[Cordon],
    ownership: Ownership,
) -> Result<Raised, WindowError> {
    let ports: Vec<u16> = cordons.iter().map(|cordon| cordon.port).collect();
    let _locks = locked(firewall, &ports)?;
    let (mut leftovers, mut missing, mut in_force) = (Vec::new(), Vec::new(), Vec::new());
    for cordon in cordons {
        let port = cordon.port;
        let state = firewall.read(port, Detail::Whole)?;
        if let Some(window) = state.as_ref().and_then(TableState::closed) {
            if ownership == Ownership::Exclusive {
                return Err(WindowError::Occupied { port });
            }
            check_same(window, cordon)?;
            in_force.extend(state);
            continue;
        }
        missing.push(cordon.clone());
        // What is over, or a ramp: the new window takes its place in one transaction.
        leftovers.extend(state.map(|_| port));
    }
    // Nothing is changed before every port is known to be acceptable. What has to be put back is
    // read again: the other ports may have taken their time, which must not prolong the block.
    let in_force = in_force.into_iter();
    let found = in_force.map(|state| match state.faults.is_empty() {
        true => verify::mend(firewall, state),
        false => self::in_force(firewall, state.port),
    });
    let found = found.collect::<Result<_, _>>()?;
    let (fresh, acknowledged) = match missing.is_empty() {
        true => (Vec::new(), Instant::now()),
        false => raise_fresh(firewall, &missing, &leftovers)?,
    };
    Ok(Raised { fresh, found, acknowledged })
}

/// Raises cordons, removes what is over in their place, and reads them back. Returns the windows
/// and the time of the kernel's acknowledgement.
fn raise_fresh(
    firewall: &mut impl Guards,
    cordons: &[Cordon],
    leftovers: &[u16],
) -> Result<(Vec<Window>, Instant), WindowError> {
    let written = Instant::now();
    let acknowledged = match firewall.raise(cordons, leftovers) {
        Ok(at) => at,
        Err(error) if error.is_uncertain() => {
            return Err(take_back(firewall, cordons, error.into()));
        }
        Err(error) => return Err(error.into()),
    };
    let verify = |cordon| verify::verify(firewall, cordon, written);
    match cordons.iter().map(verify).collect() {
        Ok(windows) => Ok((windows, acknowledged)),
        Err(error) => Err(take_back(firewall, cordons, error)),
    }
}

/// Locks ports. A guard that was stopped while it held a lock does not let go, and is ended:
/// whoever changes the cordon brings a new one.
fn locked<G: Guards>(firewall: &mut G, ports: &[u16]) -> Result<Vec<G::Lock>, WindowError> {
    Ok(locked_or_dismissed(firewall, ports)?.0)
}

/// The same; says whether a guard was ended.
fn locked_or_dismissed<G: Guards>(
    firewall: &mut G,
    ports: &[u16],
) -> Result<(Vec<G::Lock>, bool), WindowError> {
    match firewall.lock(ports) {
        Err(LockError::Taken { port, pid: Some(pid), .. }) if firewall.guard(port) == Some(pid) => {
            firewall.dismiss(port)?;
            Ok((firewall.lock(ports)?, true))
        }
        // Work of this call that nobody waits for any more, in another thread; it ends soon.
        Err(LockError::Taken { pid: Some(pid), .. }) if pid == std::process::id() => {
            Ok((firewall.lock(ports)?, false))
        }
        locks => Ok((locks?, false)),
    }
}

/// Removes what a call has raised, or may have raised, before it failed with this error. If that
/// fails too, the error says so.
fn take_back(firewall: &mut impl Guards, cordons: &[Cordon], error: WindowError) -> WindowError {
    let mut left = Vec::new();
    for cordon in cordons {
        let port = cordon.port;
        // What cannot be read is ours: the port is locked, and had no window.
        if let Ok(state) = firewall.read(port, Detail::Block) {
            let window = state.and_then(|state| state.window);
            if window.is_none_or(|window| window.id() != cordon.id()) {
                continue;
            }
        }
        let removed = match firewall.remove(&[port]) {
            Err(error) if error.is_uncertain() => {
                firewall.ports().is_ok_and(|ports| !ports.contains(&port))
            }
            removed => matches!(removed, Ok(()) | Err(FirewallError::Missing { .. })),
        };
        if !removed {
            left.push(port);
        }
    }
    match left.is_empty() {
        true => error,
        false => WindowError::Left { ports: left, source: Box::new(error) },
    }
}

/// Refuses a window in force on other terms than those asked for. Its end, ramp and reason may
/// differ.
pub fn check_same(window: &Window, cordon: &Cordon) -> Result<(), WindowError> {
    // The pass list may have the addresses of standbys beside those that were asked for.
    let with_standbys = cordon.pass.with(window.cordon.standbys().map(IpNet::from));
    let is_meant = with_standbys.is_ok_and(|pass| pass == window.cordon.pass);
    let mut differences = cordon.differences(window, Duration::ZERO, Tolerance::READ_BACK);
    differences.retain(|difference| match difference {
        Difference::Pass { .. } => !is_meant,
        difference => difference.is_of_terms(),
    });
    match differences.is_empty() {
        true => Ok(()),
        false => Err(WindowError::Differs {
            port: cordon.port,
            differences: differences.iter().map(Difference::to_string).collect(),
        }),
    }
}

/// The windows in force on ports; one that was damaged is put back.
pub fn mended(firewall: &mut impl Guards, ports: &[u16]) -> Result<Vec<Outcome>, WindowError> {
    let _locks = locked(firewall, ports)?;
    all_in_force(firewall, ports)
}

fn differs(port: u16, fault: &impl ToString) -> WindowError {
    let faults = vec![fault.to_string()];
    FirewallError::Differs { port, faults }.into()
}

fn all_in_force(firewall: &mut impl Guards, ports: &[u16]) -> Result<Vec<Outcome>, WindowError> {
    ports.iter().map(|port| in_force(firewall, *port)).collect()
}

/// The window in force on a port that is locked. What is left of a window that is over is
/// removed.
fn in_force(firewall: &mut impl Guards, port: u16) -> Result<Outcome, WindowError> {
    match firewall.read(port, Detail::Whole)? {
        Some(state) if state.closed().is_some() => verify::mend(firewall, state),
        Some(state) if state.window.is_some() => Err(WindowError::Ramp { port }),
        Some(_) if firewall.guard(port).is_none() => {
            firewall.remove(&[port])?;
            Err(WindowError::None { port })
        }
        _ => Err(WindowError::None { port }),
    }
}
