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
        window.pass = cordon.pass.clone();
        window.pass_was_read = true;
    }
    if window.identity.id != cordon.identity.id {
        faults.push("another window is there".to_owned());
    }
    if window.phase != cordon.phase {
        faults.push("the window is over".to_owned());
    }
    check_timeout(&window, cordon.length, written, &mut faults);
    if window.ramp != cordon.ramp {
        faults.push("the ramp differs".to_owned());
    }
    if window.pass != cordon.pass {
        faults.push("the pass list differs".to_owned());
    }
    if window.verdict != cordon.verdict {
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
    if window.remaining > length + ROUNDING || window.remaining < least {
        faults.push(format!(
            "the window lasts {:?} instead of {length:?}",
            window.remaining
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
    let mut cordon = cordon_of(&window);
    cordon.identity.healed = cordon.identity.healed.saturating_add(1);
    let written = Instant::now();
    firewall.raise(std::slice::from_ref(&cordon), &[port])?;
    Ok(Outcome {
        window: verify(firewall, &cordon, written)?,
        changed: true,
        mended: standing.faults,
    })
}

/// The cordon that a window in force is, with the time that is left; without a new farewell.
pub fn cordon_of(window: &Window) -> Cordon {
    let farewell = match window.farewell_lasts() {
        true => window.remaining,
        false => Duration::ZERO,
    };
    Cordon {
        farewell,
        ..window.as_cordon()
    }
}
