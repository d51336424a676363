//! Which windows a command means.

use super::CommandError;
use crate::cli::Which;
use crate::firewall::{Detail, Firewall, Standing};
use crate::window::WindowError;

/// The ports that `extend`, `drain` and `allow` act on: those that are named, all that are
/// blocked, or the only one.
///
/// # Errors
/// Several windows and none named; no window (for `--all` and without a port).
pub fn ports(firewall: &mut impl Firewall, which: &Which) -> Result<Vec<u16>, CommandError> {
    choose(firewall, which, |standing| standing.closed().is_some())
}

/// The ports that `lift` acts on: as [`ports`], and those in a ramp too.
///
/// # Errors
/// As [`ports`].
pub fn with_ramps(firewall: &mut impl Firewall, which: &Which) -> Result<Vec<u16>, CommandError> {
    choose(firewall, which, |standing| standing.window.is_some())
}

/// The ports whose tables are left over from windows that are over, and their ramps.
///
/// # Errors
/// The firewall cannot be read.
pub fn leftovers(firewall: &mut impl Firewall) -> Result<Vec<u16>, CommandError> {
    let standings = standings(firewall)?;
    let over = standings.iter().filter(|s| s.window.is_none());
    Ok(over.map(|standing| standing.port).collect())
}

fn choose(
    firewall: &mut impl Firewall,
    which: &Which,
    counts: impl Fn(&Standing) -> bool,
) -> Result<Vec<u16>, CommandError> {
    if !which.ports.is_empty() {
        let mut ports = which.ports.clone();
        ports.sort_unstable();
        ports.dedup();
        return Ok(ports);
    }
    let standings = standings(firewall)?;
    let found = standings.iter().filter(|standing| counts(standing));
    let ports: Vec<u16> = found.map(|standing| standing.port).collect();
    match ports.as_slice() {
        [] => match standings.iter().find(|s| s.window.is_some()) {
            Some(Standing { port, .. }) => Err(WindowError::Ramp { port: *port }.into()),
            None => Err(CommandError::NoWindow { ports }),
        },
        [_, _, ..] if !which.all => Err(CommandError::WhichWindow { ports }),
        _ => Ok(ports),
    }
}

/// What stands on each port that has a table.
fn standings(firewall: &mut impl Firewall) -> Result<Vec<Standing>, CommandError> {
    let mut standings = Vec::new();
    for port in firewall.ports()? {
        standings.extend(firewall.read(port, Detail::Block)?);
    }
    Ok(standings)
}
