//! Which windows a command means.

use super::CommandError;
use crate::cli::Which;
use crate::firewall::{Firewall, Standing};

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
    let in_force: Vec<u16> = firewall
        .survey()?
        .into_iter()
        .filter(|standing| standing.window.is_some())
        .map(|standing| standing.port)
        .collect();
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
    let is_over = |standing: &Standing| standing.window.is_none();
    let standings = firewall.survey()?;
    Ok(standings
        .iter()
        .filter(|s| is_over(s))
        .map(|s| s.port)
        .collect())
}
