//! Tells the service manager about a window in the foreground (sd_notify(3)).

use super::Ends;
use super::countdown::clock;
use sd_notify::NotifyState;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Says that the window is in force and its drain is over, so that the unit becomes active. Then
/// says, for ever, when the window ends: each time its end moves, and when the ramp begins.
/// Without a service manager this does nothing.
pub async fn follow(mut ends: watch::Receiver<Ends>, is_drained: bool) -> Infallible {
    let mut states = vec![NotifyState::Ready];
    loop {
        let end = *ends.borrow_and_update();
        let now = Instant::now();
        let block = end.block.saturating_duration_since(now);
        let status = status(block, end.ramp.saturating_duration_since(now), is_drained);
        states.push(NotifyState::Status(&status));
        // The window does not depend on the service manager.
        if let Err(error) = sd_notify::notify(&states) {
            tracing::warn!(%error, "the service manager could not be told");
        }
        states = Vec::new();
        tokio::select! {
            Ok(()) = ends.changed() => {}
            () = sleep_until(end.block), if !block.is_zero() => {}
            else => return std::future::pending().await,
        }
    }
}

/// One line for `systemctl status`. `block` and `whole` are what is left of the block, and of
/// the block and its ramp.
fn status(block: Duration, whole: Duration, is_drained: bool) -> String {
    if block.is_zero() {
        return format!("open at the ramp's rate until {}", clock(whole));
    }
    let drain = match is_drained {
        false => "; the drain was incomplete",
        true => "",
    };
    let ramp = match whole > block {
        true => format!(", then open at the ramp's rate until {}", clock(whole)),
        false => String::new(),
    };
    format!("cordoned until {}{ramp}{drain}", clock(block))
}
