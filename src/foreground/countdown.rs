//! Shows how much time a window has left: on a terminal in a live line, elsewhere in a plain line
//! now and then.

use super::Ends;
use crate::cordon::show;
use crate::sys::terminal::Stream;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::convert::Infallible;
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// When a plain line says how much time is left.
const MARKS: [Duration; 3] =
    [Duration::from_secs(3600), Duration::from_secs(600), Duration::from_secs(60)];
/// So that the line shows the new second, not the old one.
const JUST_AFTER: Duration = Duration::from_millis(1);

/// Shows the time left, for ever. The live line vanishes when this is dropped; plain lines go to
/// `say`.
pub async fn show(ends: watch::Receiver<Ends>, say: impl Fn(&str)) -> Infallible {
    // A terminal that cannot move its cursor (TERM=dumb) gets plain lines, too.
    match ProgressDrawTarget::stderr().is_hidden() {
        true => plain(ends, say).await,
        false => live(ends).await,
    }
}

async fn live(ends: watch::Receiver<Ends>) -> Infallible {
    let line = Line(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()));
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        line.0.set_style(style);
    }
    let mut hangup = signal(SignalKind::hangup()).ok();
    let mut is_lost = false;
    let mut is_shown = false;
    loop {
        let may_show = !is_lost && Stream::Stderr.is_foreground();
        if may_show != is_shown {
            line.0.set_draw_target(match may_show {
                true => ProgressDrawTarget::stderr(),
                false => ProgressDrawTarget::hidden(),
            });
            is_shown = may_show;
        }
        let (now, end) = (Instant::now(), *ends.borrow());
        let (left, message) = match end.block.saturating_duration_since(now) {
            Duration::ZERO => (
                end.ramp.saturating_duration_since(now),
                "of the ramp left; Ctrl-C lets everybody in",
            ),
            left => (left, "left; Ctrl-C opens the port"),
        };
        line.0.set_message(format!("{} {message}", show::duration(left)));
        let lost = async {
            match &mut hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        let to_next_second = Duration::from_nanos(left.subsec_nanos().into()) + JUST_AFTER;
        tokio::select! {
            _ = lost => is_lost = true,
            () = sleep(to_next_second) => {}
        }
    }
}

/// Vanishes when it is dropped.
struct Line(ProgressBar);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Writes a line when the end moves, when little time is left, and when the ramp begins.
async fn plain(mut ends: watch::Receiver<Ends>, say: impl Fn(&str)) -> Infallible {
    let mut end = *ends.borrow_and_update();
    let mut marked = end.block.saturating_duration_since(Instant::now()) / 2;
    let mut in_ramp = false;
    loop {
        let mark = MARKS.into_iter().find(|mark| *mark < marked);
        let next = match mark.and_then(|mark| end.block.checked_sub(mark)) {
            Some(at) => Some(at),
            None if end.ramp > end.block && !in_ramp => Some(end.block),
            None => None,
        };
        tokio::select! {
            Ok(()) = ends.changed() => {
                end = *ends.borrow_and_update();
                let left = end.block.saturating_duration_since(Instant::now());
                marked = left / 2;
                if !left.is_zero() {
                    say(&format!("The end was moved: {} from now, {}.", show::duration(left), clock(left)));
                }
            }
            () = sleep_until(next.unwrap_or(end.ramp)), if next.is_some() => {
                let text = match mark {
                    Some(mark) => {
                        marked = mark;
                        format!("{} left, until {}.", show::duration(mark), clock(mark))
                    }
                    None => {
                        in_ramp = true;
                        let left = end.ramp.saturating_duration_since(Instant::now());
                        format!("The window is over; the ramp lasts {}, until {}.", show::duration(left), clock(left))
                    }
                };
                say(&text);
            }
        }
    }
}

/// The time of day in UTC, `from_now` later.
pub fn clock(from_now: Duration) -> String {
    show::clock(SystemTime::now() + from_now)
}
