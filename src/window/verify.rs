//! Reading a cordon back, comparing it, and putting a damaged one back.

use super::{Guards, Outcome, WindowError};
use crate::cordon::{Cordon, Difference, Tolerance, Window};
use crate::firewall::{Detail, FirewallError, TableState};
use std::time::{Duration, Instant};

/// The longest pass list that is compared with what was written. The kernel takes as long to list
/// a long one as to load it, and it has acknowledged it.
pub const LONG: usize = 4096;

/// Reads a cordon back that was written at that time, and compares it.
pub fn verify(
    firewall: &mut impl Guards,
    cordon: &Cordon,
    written: Instant,
) -> Result<Window, WindowError> {
    let port = cordon.port;
    let differs = |faults| Err(FirewallError::Differs { port, faults }.into());
    let long = cordon.pass.len() > LONG;
    let detail = if long { Detail::Block } else { Detail::Whole };
    let Some(state) = firewall.read(port, detail)? else {
        return differs(vec!["the table is gone".to_owned()]);
    };
    let mut faults = state.faults;
    let Some(mut window) = state.window else {
        return differs(vec!["the window is not there".to_owned()]);
    };
    let differences = cordon.differences(&window, written.elapsed(), Tolerance::READ_BACK);
    let of_writing = differences.iter().filter(|it| it.is_of_writing());
    faults.extend(of_writing.map(Difference::to_string));
    if !faults.is_empty() {
        return differs(faults);
    }
    if long {
        window.cordon.pass = cordon.pass.clone();
        window.pass_was_read = true;
    }
    Ok(window)
}

/// Puts a damaged cordon back with the time that is left.
pub fn mend(firewall: &mut impl Guards, state: TableState) -> Result<Outcome, WindowError> {
    let port = state.port;
    let window = state.window.ok_or(WindowError::None { port })?;
    if state.faults.is_empty() {
        return Ok(Outcome { window, changed: false, mended: Vec::new() });
    }
    let mut cordon = window.cordon;
    // It begins no new farewell.
    cordon.farewell = match cordon.farewell_lasts() {
        true => cordon.length,
        false => Duration::ZERO,
    };
    cordon.identity.healed = cordon.identity.healed.saturating_add(1);
    let written = Instant::now();
    firewall.raise(std::slice::from_ref(&cordon), &[port])?;
    Ok(Outcome { window: verify(firewall, &cordon, written)?, changed: true, mended: state.faults })
}
