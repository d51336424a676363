//! Raising, extending, lifting and reading back windows: the firewall under the lock.

mod error;
#[cfg(test)]
mod fake;
mod flows;
mod lift;
#[cfg(test)]
mod tests;
mod verify;

pub use error::{START_ONE, WindowError};
pub use flows::{allow_standbys, end_farewell, linger, renew_farewell, spare};
pub use lift::{RampWish, lift, lift_own, lift_own_to_ramp, lift_to_ramp, sweep};
pub use verify::LONG;

use crate::cordon::{Cordon, Difference, Tolerance, Window, WindowEnd};
use crate::firewall::{Change, Detail, Firewall, FirewallError, TableState};
use crate::sys::lock::LockError;
use ipnet::IpNet;
use std::time::{Duration, Instant, SystemTime};

/// A firewall whose cordons may be guarded: a guard puts back what is taken away without its
/// being told, and so whoever ends a cordon ends its guard first.
pub trait Guards: Firewall {
    /// Keeps other calls, and guards, from changing a port's cordon until it is dropped.
    type Lock;

    /// Locks ports.
    ///
    /// # Errors
    /// Somebody holds a lock for too long, or none can be had here.
    fn lock(&mut self, ports: &[u16]) -> Result<Vec<Self::Lock>, LockError>;

    /// The process that guards this port's cordon, while it is alive.
    fn guard(&mut self, port: u16) -> Option<u32>;

    /// Ends the guard of a port, whatever stands there.
    ///
    /// # Errors
    /// Then it may put the cordon back.
    fn dismiss(&mut self, port: u16) -> Result<(), FirewallError>;
}

/// What became of one port of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The window as it was read back.
    pub window: Window,
    /// Whether this call changed it.
    pub changed: bool,
    /// In which points it was damaged before this call put it back.
    pub mended: Vec<String>,
}

/// Whether a call may go along with a window that is in force already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// It leaves such a window as it is.
    Shared,
    /// Whoever lifts the windows at the end must have raised them.
    Exclusive,
}

/// What a call of [`raise`] has raised and what it has found; both in the order of the
/// cordons.
#[derive(Debug, Clone)]
pub struct Raised {
    /// The windows that begin with this call.
    pub fresh: Vec<Window>,
    /// Those that were in force before, with what was damaged of them and is put back.
    pub found: Vec<Outcome>,
    /// When the kernel acknowledged the cordons, or the windows were found in force.
    pub acknowledged: Instant,
}

/// Raises cordons, all in one transaction. A window in force that is as asked stays, and if it
/// was damaged it is put back; a call that needs windows of its own is refused.
///
/// # Errors
/// Then nothing of this call is in force, unless it is [`WindowError::Left`]: the kernel's
/// timer ends it.
pub fn raise(
    firewall: &mut impl Guards,
    cordons: &[Cordon],
    ownership: Ownership,
) -> Result<Raised, WindowError> {
    let ports: Vec<u16> = cordons.iter().map(|cordon| cordon.port).collect();
    let _locks = locked(firewall, &ports)?;
    let (mut leftovers, mut missing, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for cordon in cordons {
        match firewall.read(cordon.port, Detail::Whole)? {
            Some(state) if state.closed().is_some() => {
                if ownership == Ownership::Exclusive {
                    let port = cordon.port;
                    return Err(WindowError::Occupied { port });
                }
                let outcome = verify::mend(firewall, state)?;
                check_same(&outcome.window, cordon)?;
                found.push(outcome);
            }
            // What is over, or a ramp: the new window takes its place in one transaction.
            Some(_) => {
                leftovers.push(cordon.port);
                missing.push(cordon.clone());
            }
            None => missing.push(cordon.clone()),
        }
    }
    let (fresh, acknowledged) = match missing.is_empty() {
        true => (Vec::new(), Instant::now()),
        false => raise_fresh(firewall, &missing, &leftovers)?,
    };
    Ok(Raised {
        fresh,
        found,
        acknowledged,
    })
}

/// Raises cordons in the place of what is over and reads them back. Gives the windows, and
/// when the kernel acknowledged them.
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

/// The locks of ports. A guard that was stopped while it held one does not answer, and is
/// ended: whoever asks for a change brings a new one.
///
/// # Errors
/// Another call holds a lock for too long, or none can be had here.
fn locked<G: Guards>(firewall: &mut G, ports: &[u16]) -> Result<Vec<G::Lock>, WindowError> {
    match firewall.lock(ports) {
        Err(LockError::Taken {
            port,
            pid: Some(pid),
            ..
        }) if firewall.guard(port) == Some(pid) => {
            firewall.dismiss(port)?;
            Ok(firewall.lock(ports)?)
        }
        locks => Ok(locks?),
    }
}

/// Removes what a call has raised, or may have raised, that has failed with this error. If
/// that fails too, the kernel's timer is left, and the error says so.
fn take_back(firewall: &mut impl Guards, cordons: &[Cordon], error: WindowError) -> WindowError {
    let mut left = Vec::new();
    for cordon in cordons {
        let port = cordon.port;
        let ours = |state: &TableState| {
            let window = state.window.as_ref();
            window.is_some_and(|window| window.id() == cordon.id())
        };
        match firewall.read(port, Detail::Block) {
            Ok(state) if !state.as_ref().is_some_and(ours) => continue,
            // What cannot be read is ours all the same: the port is locked, and had no window.
            _ => {}
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
        false => WindowError::Left {
            ports: left,
            source: Box::new(error),
        },
    }
}

/// Changes windows that are in force. Whether a change whose answer was lost has come about,
/// the reading afterwards tells.
fn change(firewall: &mut impl Guards, changes: &[(u16, Change)]) -> Result<(), FirewallError> {
    match firewall.change(changes) {
        Err(error) if error.is_uncertain() => {
            tracing::debug!(%error, "the answer to a change is not known");
            Ok(())
        }
        other => other,
    }
}

/// Reads a window again that was just changed.
fn changed(firewall: &mut impl Guards, port: u16) -> Result<Window, WindowError> {
    match in_force(firewall, port) {
        Ok(outcome) => Ok(outcome.window),
        Err(WindowError::Firewall(source)) if !source.is_difference() => {
            Err(WindowError::Unverified { source })
        }
        Err(error) => Err(error),
    }
}

/// A window in force must be the one that is asked for, but for its end and reason.
///
/// # Errors
/// [`WindowError::Differs`], with the differences.
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

/// Moves the end of windows, all or none; without `shorten` never to an earlier time.
///
/// # Errors
/// A port without a window, a total beyond `most`, or the firewall's word.
pub fn extend(
    firewall: &mut impl Guards,
    ports: &[u16],
    end: WindowEnd,
    shorten: bool,
    most: Duration,
) -> Result<Vec<Outcome>, WindowError> {
    let _locks = locked(firewall, ports)?;
    let mut outcomes = all_in_force(firewall, ports)?;
    let mut renewed = Vec::new();
    for outcome in &mut outcomes {
        let window = &outcome.window;
        let length = match end {
            WindowEnd::By(more) => window.remaining_now().saturating_add(more),
            WindowEnd::In(length) => length,
        };
        if length <= window.cordon.length && !shorten {
            continue;
        }
        check_total(window, length, most)?;
        renewed.push(window.cordon.clone().ending_in(length));
        outcome.changed = true;
    }
    let renew = |cordon: &Cordon| (cordon.port, Change::renew(cordon.clone()));
    let changes: Vec<_> = renewed.iter().map(renew).collect();
    let written = Instant::now();
    change(firewall, &changes)?;
    for cordon in renewed {
        let port = cordon.port;
        let window = changed(firewall, port)?;
        let took = written.elapsed();
        if let Some(fault) = cordon.length_difference(&window, took, Tolerance::READ_BACK) {
            let faults = vec![fault.to_string()];
            return Err(FirewallError::Differs { port, faults }.into());
        }
        update(&mut outcomes, window);
    }
    Ok(outcomes)
}

fn check_total(window: &Window, length: Duration, most: Duration) -> Result<(), WindowError> {
    if window.cordon.identity.id == 0 {
        return Ok(()); // Nobody knows when it began.
    }
    let since_start = SystemTime::now().duration_since(window.cordon.identity.started_at);
    let total = since_start.unwrap_or_default().saturating_add(length);
    if total > most && length > window.cordon.length {
        let port = window.cordon.port;
        return Err(WindowError::TooLong { port, total, most });
    }
    Ok(())
}

/// Adds networks to the pass lists of windows, or takes them out; all or none.
///
/// # Errors
/// A port without a window, a pass list that cannot be, or the firewall's word.
pub fn allow(
    firewall: &mut impl Guards,
    ports: &[u16],
    networks: &[IpNet],
    remove: bool,
) -> Result<Vec<Outcome>, WindowError> {
    let _locks = locked(firewall, ports)?;
    let mut outcomes = all_in_force(firewall, ports)?;
    let mut changes = Vec::new();
    for outcome in &mut outcomes {
        let networks = networks.iter().copied();
        let before = &outcome.window.cordon.pass;
        let pass = match remove {
            true => before.without(networks)?,
            false => before.with(networks)?,
        };
        if pass != *before {
            outcome.changed = true;
            changes.push((outcome.window.cordon.port, Change::Pass(pass)));
        }
    }
    change(firewall, &changes)?;
    for (port, change) in changes {
        let window = changed(firewall, port)?;
        if Change::Pass(window.cordon.pass.clone()) != change {
            let faults = vec!["the pass list differs".to_owned()];
            return Err(FirewallError::Differs { port, faults }.into());
        }
        update(&mut outcomes, window);
    }
    Ok(outcomes)
}

/// Puts a window that was read again in the place of the old one.
fn update(outcomes: &mut [Outcome], window: Window) {
    for outcome in outcomes {
        if outcome.window.cordon.port == window.cordon.port {
            outcome.window = window.clone();
        }
    }
}

/// The windows in force on ports; one that was damaged is put back.
///
/// # Errors
/// A port without a window, or the firewall's word.
pub fn mended(firewall: &mut impl Guards, ports: &[u16]) -> Result<Vec<Outcome>, WindowError> {
    let _locks = locked(firewall, ports)?;
    all_in_force(firewall, ports)
}

fn all_in_force(firewall: &mut impl Guards, ports: &[u16]) -> Result<Vec<Outcome>, WindowError> {
    ports.iter().map(|port| in_force(firewall, *port)).collect()
}

/// The window in force on a port that is locked. What an old window has left is removed,
/// but not a ramp.
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
