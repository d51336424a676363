//! Ending windows, at once or with a ramp, and removing what old ones have left.

use super::{Guards, Outcome, WindowError, differs, verify};
use crate::cordon::{Cordon, DEFAULT_RAMP_RATE, Ramp, Window, WindowId};
use crate::firewall::{Detail, FirewallError};
use crate::sys::lock::LockError;
use std::time::{Duration, Instant};

/// What was ended.
#[derive(Debug, Default)]
pub struct Lifted {
    /// The windows that were in force, as they were.
    pub windows: Vec<Window>,
    /// Whether a guard was ended: a cordon that another program has flushed just now is a window
    /// all the same, which its guard would put back.
    pub has_dismissed: bool,
}

/// Ends windows now, and removes what is left of old ones. After an error they last until their
/// time.
pub fn lift(firewall: &mut impl Guards, ports: &[u16]) -> Result<Lifted, WindowError> {
    remove_if(firewall, ports, |_| true)
}

/// Ends these windows, and no other that has come in their place. The error is always
/// [`WindowError::Left`].
pub fn lift_own(firewall: &mut impl Guards, own: &[WindowId]) -> Result<Vec<Window>, WindowError> {
    let ports: Vec<u16> = own.iter().map(|own| own.port).collect();
    let is_own = |window: Option<&Window>| window.is_none_or(|window| own.contains(&window.id()));
    match remove_if(firewall, &ports, is_own) {
        Ok(lifted) => Ok(lifted.windows),
        Err(error) => Err(WindowError::Left { ports, source: Box::new(error) }),
    }
}

/// Removes tables whose windows are over.
pub fn sweep(firewall: &mut impl Guards, ports: &[u16]) -> Result<(), WindowError> {
    // A guard whose window is not over is about to put it back, and removes the table later.
    let unguarded = |port: &u16| firewall.guard(*port).is_none();
    let ports: Vec<u16> = ports.iter().copied().filter(unguarded).collect();
    remove_if(firewall, &ports, |window| window.is_none()).map(drop)
}

/// The ramp that a user asks for. What he leaves out is as the window was raised with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RampWish {
    /// From now on.
    pub length: Option<Duration>,
    pub per_second: Option<u32>,
}

impl RampWish {
    /// The ramp that begins now and how long it lasts; `None` to let a ramp under way go on.
    fn ramp(self, window: &Window) -> Result<Option<(Ramp, Duration)>, WindowError> {
        if !window.is_closed() && self == Self::default() {
            return Ok(None);
        }
        let port = window.cordon.port;
        let known = window.cordon.ramp;
        let length = self.length.or(known.map(|ramp| ramp.length));
        let rate = self.per_second.or(known.map(|ramp| ramp.per_second));
        let ramp = Ramp {
            length: length.ok_or(WindowError::NoRamp { port })?,
            per_second: rate.unwrap_or(DEFAULT_RAMP_RATE),
        };
        let lasts = match self.length {
            // Another rate alone does not move the end of a ramp.
            None if !window.is_closed() => window.cordon.length,
            _ => ramp.length,
        };
        Ok(Some((ramp, lasts)))
    }
}

/// Ends windows now and begins their ramps, all in one transaction. Returns them as they are then.
/// A ramp under way goes on, unless another one is wished for. After an error the windows are
/// what they were.
pub fn lift_to_ramp(
    firewall: &mut impl Guards,
    ports: &[u16],
    wish: RampWish,
) -> Result<Vec<Outcome>, WindowError> {
    let _locks = lock_if_possible(firewall, ports)?;
    let (mut cordons, mut outcomes, mut before) = (Vec::new(), Vec::new(), Vec::new());
    for port in ports {
        let Some(state) = firewall.read(*port, Detail::Whole)? else {
            continue;
        };
        let Some(window) = state.window.clone() else {
            remove(firewall, &[*port])?;
            continue;
        };
        match wish.ramp(&window)? {
            None => outcomes.push(verify::mend(firewall, state)?),
            Some((ramp, length)) => {
                before.push(window.clone());
                cordons.push(window.cordon.into_ramp(ramp, length));
            }
        }
    }
    for (ramp, window) in begin(firewall, &cordons)?.into_iter().zip(before) {
        outcomes.push(Outcome {
            // The new table counts anew; what the window has met is to be told all the same.
            window: Window { blocked: window.blocked, knocks: window.knocks, ..ramp },
            changed: true,
            mended: Vec::new(),
        });
    }
    outcomes.sort_by_key(|outcome| outcome.window.cordon.port);
    Ok(outcomes)
}

/// Ends these windows as they were raised to end: those with a ramp by its beginning, the others
/// at once. A ramp under way goes on. Returns the windows that were closed until now, as they
/// were. After an error they last until their time.
pub fn lift_own_to_ramp(
    firewall: &mut impl Guards,
    own: &[WindowId],
) -> Result<Vec<Window>, WindowError> {
    let ports: Vec<u16> = own.iter().map(|own| own.port).collect();
    let _locks = lock_if_possible(firewall, &ports)?;
    let (mut cordons, mut over, mut lifted) = (Vec::new(), Vec::new(), Vec::new());
    for id in own {
        let state = firewall.read(id.port, Detail::Whole)?;
        match state.map(|state| state.window) {
            Some(Some(window)) if window.is_closed() && window.id() == *id => {
                lifted.push(window.clone());
                match window.cordon.ramp {
                    Some(ramp) => cordons.push(window.cordon.into_ramp(ramp, ramp.length)),
                    None => over.push(id.port),
                }
            }
            Some(None) => over.push(id.port),
            Some(Some(_)) => {}
            // Its guard is about to put it back.
            None => firewall.dismiss(id.port)?,
        }
    }
    begin(firewall, &cordons)?;
    remove(firewall, &over)?;
    Ok(lifted)
}

/// Begins ramps in one transaction, in the place of their windows, and reads them back.
fn begin(firewall: &mut impl Guards, ramps: &[Cordon]) -> Result<Vec<Window>, WindowError> {
    let tables: Vec<u16> = ramps.iter().map(|cordon| cordon.port).collect();
    // The whole table is written anew, so that damage to it cannot spoil the ramp.
    let written = Instant::now();
    match firewall.raise(ramps, &tables) {
        // The reading tells whether they have begun.
        Err(error) if error.is_uncertain() => {}
        other => drop(other?),
    }
    let read_back = |ramp| {
        let read = verify::verify(firewall, ramp, written);
        read.map_err(|error| match error {
            WindowError::Firewall(source) if !source.is_difference() => {
                WindowError::LiftUnverified { source }
            }
            other => other,
        })
    };
    ramps.iter().map(read_back).collect()
}

/// Removes those tables of ports that are meant, which is decided under the lock.
fn remove_if(
    firewall: &mut impl Guards,
    ports: &[u16],
    is_meant: impl Fn(Option<&Window>) -> bool,
) -> Result<Lifted, WindowError> {
    let (_locks, has_dismissed) = lock_if_possible(firewall, ports)?;
    let (mut lifted, mut tables) = (Lifted { has_dismissed, ..Lifted::default() }, Vec::new());
    for port in ports {
        let mut state = firewall.read(*port, Detail::Block)?;
        let window = state.as_ref().and_then(|s| s.window.as_ref());
        if is_meant(window) && firewall.guard(*port).is_some() {
            // It may have changed the table just now; from here on nobody puts it back.
            firewall.dismiss(*port)?;
            lifted.has_dismissed = true;
            state = firewall.read(*port, Detail::Block)?;
        }
        if let Some(state) = state.filter(|s| is_meant(s.window.as_ref())) {
            tables.push(*port);
            lifted.windows.extend(state.window);
        }
    }
    remove(firewall, &tables)?;
    for port in tables {
        let left = firewall.read(port, Detail::Block);
        let left = left.map_err(|source| WindowError::LiftUnverified { source })?;
        if left.is_some() {
            return Err(differs(port, &"the table is still there"));
        }
    }
    Ok(lifted)
}

/// Removes tables. One that somebody else has just removed is gone, as was asked. If the answer
/// is lost, reading tells whether they are gone.
fn remove(firewall: &mut impl Guards, tables: &[u16]) -> Result<(), WindowError> {
    match firewall.remove(tables) {
        Err(FirewallError::Missing { .. }) if tables.len() == 1 => Ok(()),
        Err(error) if error.is_uncertain() => match firewall.ports() {
            Ok(left) if tables.iter().any(|port| left.contains(port)) => Err(error.into()),
            Ok(_) => Ok(()),
            Err(source) => Err(WindowError::LiftUnverified { source }),
        },
        other => Ok(other?),
    }
}

/// A lock that somebody holds is respected. One that cannot be had at all, as on a read-only
/// /run, must not keep a port closed.
fn lock_if_possible<G: Guards>(
    firewall: &mut G,
    ports: &[u16],
) -> Result<(Vec<G::Lock>, bool), WindowError> {
    match super::locked_or_dismissed(firewall, ports) {
        Err(WindowError::Lock(error)) if !matches!(error, LockError::Taken { .. }) => {
            tracing::warn!(%error, "the port is opened without a lock");
            Ok((Vec::new(), false))
        }
        locks => locks,
    }
}
