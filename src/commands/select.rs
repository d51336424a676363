//! Which windows a command means.

use super::CommandError;
use crate::cli::Which;
use crate::cordon::Window;
use crate::firewall::{Detail, FirewallError, TableState};
use crate::window::{Guards, WindowError};
use std::time::{Duration, Instant};

/// The ports that `extend`, `drain` and `allow` act on: those that are named, all that are
/// blocked, or the only one.
pub fn ports(firewall: &mut impl Guards, which: &Which) -> Result<Vec<u16>, CommandError> {
    choose(firewall, which, |seen| match seen.window() {
        Some(window) => window.is_closed(),
        None => seen.is_guarded,
    })
}

/// The ports that `lift` acts on: as [`ports`], and those in a ramp too.
pub fn with_ramps(firewall: &mut impl Guards, which: &Which) -> Result<Vec<u16>, CommandError> {
    choose(firewall, which, |seen| seen.window().is_some() || seen.is_guarded)
}

/// The ports whose tables are left over from windows that are over, and their ramps.
pub fn leftovers(firewall: &mut impl Guards) -> Result<Vec<u16>, CommandError> {
    let seen = look(firewall)?;
    let over = |seen: &&Seen| seen.state.is_some() && seen.window().is_none();
    let over = seen.iter().filter(over).filter(|seen| !seen.is_guarded);
    Ok(over.map(|seen| seen.port).collect())
}

fn choose(
    firewall: &mut impl Guards,
    which: &Which,
    counts: impl Fn(&Seen) -> bool,
) -> Result<Vec<u16>, CommandError> {
    if !which.ports.is_empty() {
        let mut ports = which.ports.clone();
        ports.sort_unstable();
        ports.dedup();
        return Ok(ports);
    }
    let seen = look(firewall)?;
    let found = seen.iter().filter(|seen| counts(seen));
    let ports: Vec<u16> = found.map(|seen| seen.port).collect();
    match ports.as_slice() {
        [] => match seen.iter().find(|seen| seen.window().is_some()) {
            Some(Seen { port, .. }) => Err(WindowError::Ramp { port: *port }.into()),
            None => Err(CommandError::NoWindow { ports }),
        },
        [_, _, ..] if !which.all => Err(CommandError::WhichWindow { ports }),
        _ => Ok(ports),
    }
}

/// One port at one look.
struct Seen {
    port: u16,
    state: Option<TableState>,
    /// What is away just now comes back.
    is_guarded: bool,
}

impl Seen {
    fn window(&self) -> Option<&Window> {
        self.state.as_ref()?.window.as_ref()
    }
}

/// What stands on each port that has a table, or a guard that is about to put one back.
fn look(firewall: &mut impl Guards) -> Result<Vec<Seen>, CommandError> {
    let mut seen = Vec::new();
    for port in firewall.ports()? {
        seen.push(Seen {
            port,
            state: firewall.read(port, Detail::Block)?,
            is_guarded: firewall.guard(port).is_some(),
        });
    }
    Ok(seen)
}

/// How long a guard may take to put a cordon back.
const HEAL_TIMEOUT: Duration = Duration::from_secs(1);
const HEAL_POLL: Duration = Duration::from_millis(5);

/// What stands on a port. Where a flush has just taken it away and a guard is about to put it
/// back, this waits for it.
pub fn settled(
    firewall: &mut impl Guards,
    port: u16,
    detail: Detail,
) -> Result<Option<TableState>, FirewallError> {
    let deadline = Instant::now() + HEAL_TIMEOUT;
    loop {
        let state = firewall.read(port, detail)?;
        let is_whole = state.as_ref().is_some_and(|s| s.window.is_some() && s.faults.is_empty());
        if is_whole || firewall.guard(port).is_none() || Instant::now() >= deadline {
            return Ok(state);
        }
        std::thread::sleep(HEAL_POLL);
    }
}

/// Waits until no cordon of these ports is being put back by its guard.
pub fn settle(firewall: &mut impl Guards, ports: &[u16]) -> Result<(), FirewallError> {
    for port in ports {
        settled(firewall, *port, Detail::Block)?;
    }
    Ok(())
}
