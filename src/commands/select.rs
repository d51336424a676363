//! Which windows a command means.

use super::CommandError;
use crate::cli::Which;
use crate::firewall::{Detail, Firewall};

/// The ports that `lift`, `extend`, `drain` and `allow` act on: those that are named, all,
/// or the only window there is.
///
/// # Errors
/// Several windows and none named; no window (for `--all` and without a port).
pub fn ports(firewall: &mut impl Firewall, which: &Which) -> Result<Vec<u16>, CommandError> {
    if !which.ports.is_empty() {
        let mut ports = which.ports.clone();
        ports.sort_unstable();
        ports.dedup();
        return Ok(ports);
    }
    let in_force = with_window(firewall, true)?;
    match in_force.as_slice() {
        [] => Err(CommandError::NoWindow { ports: Vec::new() }),
        [_, _, ..] if !which.all => Err(CommandError::WhichWindow { ports: in_force }),
        _ => Ok(in_force),
    }
}

/// The ports whose tables are left over from windows that are over.
///
/// # Errors
/// The firewall cannot be read.
pub fn leftovers(firewall: &mut impl Firewall) -> Result<Vec<u16>, CommandError> {
    with_window(firewall, false)
}

/// The ports that have a table with a window in force, or those that have one without.
fn with_window(firewall: &mut impl Firewall, wanted: bool) -> Result<Vec<u16>, CommandError> {
    let mut ports = Vec::new();
    for port in firewall.ports()? {
        let standing = firewall.read(port, Detail::Block)?;
        if standing.is_some_and(|standing| standing.window.is_some() == wanted) {
            ports.push(port);
        }
    }
    Ok(ports)
}
