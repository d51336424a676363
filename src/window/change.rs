//! Changing windows in force: their end and their pass list.

use super::{Guards, Outcome, WindowError, all_in_force, differs, in_force, locked};
use crate::cordon::{Tolerance, Window, WindowEnd};
use crate::firewall::{Change, FirewallError};
use ipnet::IpNet;
use std::time::{Duration, Instant, SystemTime};

/// Moves the end of windows, all or none; to an earlier time only with `shorten`. No window may
/// last longer than `most` from its start.
pub fn extend(
    firewall: &mut impl Guards,
    ports: &[u16],
    end: WindowEnd,
    shorten: bool,
    most: Duration,
) -> Result<Vec<Outcome>, WindowError> {
    let _locks = locked(firewall, ports)?;
    let mut outcomes = all_in_force(firewall, ports)?;
    let (mut renewed, mut changes) = (Vec::new(), Vec::new());
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
        let cordon = window.cordon.clone().ending_in(length);
        changes.push((cordon.port, Change::renew(cordon.clone())));
        renewed.push(cordon);
        outcome.changed = true;
    }
    let written = Instant::now();
    change(firewall, &changes)?;
    for cordon in renewed {
        let window = changed(firewall, cordon.port)?;
        let took = written.elapsed();
        if let Some(fault) = cordon.length_difference(&window, took, Tolerance::READ_BACK) {
            return Err(differs(cordon.port, &fault));
        }
        update(&mut outcomes, window);
    }
    Ok(outcomes)
}

fn check_total(window: &Window, length: Duration, most: Duration) -> Result<(), WindowError> {
    // Of a window without an identity nobody knows when it began.
    let is_known = window.cordon.identity.id != 0;
    let since_start = SystemTime::now().duration_since(window.cordon.identity.started_at);
    let total = since_start.unwrap_or_default().saturating_add(length);
    if is_known && total > most && length > window.cordon.length {
        let port = window.cordon.port;
        return Err(WindowError::TooLong { port, total, most });
    }
    Ok(())
}

/// Adds networks to the pass lists of windows, or takes them out; all or none.
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
            return Err(differs(port, &"the pass list differs"));
        }
        update(&mut outcomes, window);
    }
    Ok(outcomes)
}

/// Puts a window that was read again in the place of the old one.
fn update(outcomes: &mut [Outcome], window: Window) {
    let mut outcomes = outcomes.iter_mut();
    if let Some(outcome) = outcomes.find(|outcome| outcome.window.id() == window.id()) {
        outcome.window = window;
    }
}

/// Changes windows in force. An answer may be lost: the reading afterwards tells whether the
/// change was made.
fn change(firewall: &mut impl Guards, changes: &[(u16, Change)]) -> Result<(), FirewallError> {
    match firewall.change(changes) {
        Err(error) if error.is_uncertain() => {
            tracing::debug!(%error, "the answer to a change is not known");
            Ok(())
        }
        other => other,
    }
}

fn changed(firewall: &mut impl Guards, port: u16) -> Result<Window, WindowError> {
    match in_force(firewall, port) {
        Ok(outcome) => Ok(outcome.window),
        Err(WindowError::Firewall(source)) if !source.is_difference() => {
            Err(WindowError::Unverified { source })
        }
        Err(error) => Err(error),
    }
}
