//! Ending windows, and removing what old ones have left.

use super::WindowError;
use crate::cordon::Window;
use crate::firewall::{Detail, Firewall, FirewallError};
use crate::lock::{self, LockError, PortLock};

/// Ends windows now, and removes what is left of old ones. Returns the windows that were
/// in force, as they were.
///
/// # Errors
/// The firewall's word; what was in force then stays until its time.
pub fn lift(firewall: &mut impl Firewall, ports: &[u16]) -> Result<Vec<Window>, WindowError> {
    remove_if(firewall, ports, |_, _| true)
}

/// Ends the windows of these ids, and no other that has come in their place.
///
/// # Errors
/// As [`lift`].
pub fn lift_own(
    firewall: &mut impl Firewall,
    own: &[(u16, u64)],
) -> Result<Vec<Window>, WindowError> {
    let ports: Vec<u16> = own.iter().map(|(port, _)| *port).collect();
    remove_if(firewall, &ports, |port, window| {
        window.is_none_or(|window| own.contains(&(port, window.identity.id)))
    })
}

/// Removes tables whose windows are over.
///
/// # Errors
/// As [`lift`].
pub fn sweep(firewall: &mut impl Firewall, ports: &[u16]) -> Result<(), WindowError> {
    remove_if(firewall, ports, |_, window| window.is_none()).map(drop)
}

/// Removes the tables of ports, as far as they are meant when they are looked at under the
/// lock.
fn remove_if(
    firewall: &mut impl Firewall,
    ports: &[u16],
    is_meant: impl Fn(u16, Option<&Window>) -> bool,
) -> Result<Vec<Window>, WindowError> {
    let _locks = lock_if_possible(ports)?;
    let (mut lifted, mut tables) = (Vec::new(), Vec::new());
    for port in ports {
        let standing = firewall.read(*port, Detail::Block)?;
        if let Some(standing) = standing.filter(|s| is_meant(*port, s.window.as_ref())) {
            tables.push(*port);
            lifted.extend(standing.window);
        }
    }
    match firewall.remove(&tables) {
        // Someone else removed it at the same moment: it is gone, as was asked.
        Err(FirewallError::Missing { .. }) if tables.len() == 1 => {}
        other => other?,
    }
    let left = firewall.ports()?;
    if let Some(port) = tables.into_iter().find(|port| left.contains(port)) {
        let faults = vec!["the table is still there".to_owned()];
        return Err(FirewallError::Differs { port, faults }.into());
    }
    Ok(lifted)
}

/// A lock that someone holds is respected. One that cannot be had at all, on a read-only
/// /run, must not keep a port closed.
fn lock_if_possible(ports: &[u16]) -> Result<Vec<PortLock>, LockError> {
    match lock::ports(ports) {
        Err(error @ LockError::Taken { .. }) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "the port is opened without a lock");
            Ok(Vec::new())
        }
        locks => locks,
    }
}
