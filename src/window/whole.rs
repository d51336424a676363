//! Reading a cordon back, comparing it, and putting a damaged one back.

use super::{Outcome, WindowError};
use crate::cordon::{Cordon, Window};
use crate::firewall::{Detail, Firewall, FirewallError, Standing};
use std::time::{Duration, Instant};

/// What the kernel may take off a timeout between two looks at it.
const SLACK: Duration = Duration::from_secs(2);

/// Jiffies are rounded up, by 10 ms at most.
const ROUNDING: Duration = Duration::from_millis(20);

/// The longest pass list that is compared with what was written: to list a long one takes
/// the kernel as long as to load it. The kernel has acknowledged it all the same.
pub const LONG: usize = 4096;

/// Reads a cordon back that was written at that time, and compares it with what was asked
/// for.
///
/// # Errors
/// Where it differs, or the firewall cannot be read.
pub fn verify(
    firewall: &mut impl Firewall,
    cordon: &Cordon,
    written: Instant,
) -> Result<Window, WindowError> {
    let port = cordon.port;
    let differs = |faults| Err(FirewallError::Differs { port, faults }.into());
    let long = cordon.pass.len() > LONG;
    let detail = if long { Detail::Block } else { Detail::Whole };
    let Some(standing) = firewall.read(port, detail)? else {
        return differs(vec!["the table is gone".to_owned()]);
    };
    let mut faults = standing.faults;
    let Some(mut window) = standing.window else {
        return differs(vec!["the window is not there".to_owned()]);
    };
    if long {
        window.cordon.pass = cordon.pass.clone();
        window.pass_was_read = true;
    }
    if window.id() != cordon.id() {
        faults.push("another window is there".to_owned());
    }
    if window.cordon.phase != cordon.phase {
        faults.push("the window is over".to_owned());
    }
    check_timeout(&window, cordon.length, written, &mut faults);
    if window.cordon.ramp != cordon.ramp {
        faults.push("the ramp differs".to_owned());
    }
    if window.cordon.pass != cordon.pass {
        faults.push("the pass list differs".to_owned());
    }
    if window.cordon.verdict != cordon.verdict {
        faults.push("the verdict differs".to_owned());
    }
    if !faults.is_empty() {
        return differs(faults);
    }
    Ok(window)
}

/// Compares a window's time with what was asked for. A part of it is over where the
/// kernel's answers came late.
pub fn check_timeout(
    window: &Window,
    length: Duration,
    written: Instant,
    faults: &mut Vec<String>,
) {
    let least = length.saturating_sub(written.elapsed() + SLACK);
    if window.cordon.length > length + ROUNDING || window.cordon.length < least {
        faults.push(format!(
            "the window lasts {:?} instead of {length:?}",
            window.cordon.length
        ));
    }
}

/// Puts a damaged cordon back with the time that is left; a whole one is left alone. There
/// is no new farewell.
///
/// # Errors
/// No window, or the firewall's word.
pub fn mend(firewall: &mut impl Firewall, standing: Standing) -> Result<Outcome, WindowError> {
    let port = standing.port;
    let window = standing.window.ok_or(WindowError::None { port })?;
    if standing.faults.is_empty() {
        return Ok(Outcome {
            window,
            changed: false,
            mended: Vec::new(),
        });
    }
    let mut cordon = without_farewell(window.cordon);
    cordon.identity.healed = cordon.identity.healed.saturating_add(1);
    let written = Instant::now();
    firewall.raise(std::slice::from_ref(&cordon), &[port])?;
    Ok(Outcome {
        window: verify(firewall, &cordon, written)?,
        changed: true,
        mended: standing.faults,
    })
}

/// The cordon that puts a window in force back: without a new farewell.
fn without_farewell(cordon: Cordon) -> Cordon {
    let farewell = match cordon.farewell_lasts() {
        true => cordon.length,
        false => Duration::ZERO,
    };
    Cordon { farewell, ..cordon }
}
