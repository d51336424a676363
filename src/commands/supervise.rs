//! CMD of `run` in its window: signals and stops on their way to it, and what is done when
//! the window is over first.

use super::raise::Cordoned;
use super::{CommandError, Context};
use crate::audit;
use crate::cordon::{OnExpiry, Window, WindowEnd, show};
use crate::foreground::{Ends, Over, Signals, Until, until_over};
use crate::guard::Guarded;
use crate::job::{Change, End, Job};
use crate::policy::Settings;
use crate::sys::runtime::in_thread;
use crate::window;
use rustix::process::Signal;
use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// From SIGTERM to SIGKILL.
const KILL_AFTER: Duration = Duration::from_secs(10);
/// How long before its end a window is extended; a short window at half time.
const EXTEND_BEFORE: Duration = Duration::from_secs(30);
const EXTEND_RETRY: Duration = Duration::from_secs(1);
const LEAST_EXTENSION: Duration = Duration::from_secs(1);
/// Time between two looks at whether the group of a killed CMD is gone: no event says so.
const GROUP_POLL: Duration = Duration::from_millis(50);

/// How it came out.
pub struct Ran {
    /// How CMD ended.
    pub end: End,
    /// When and why the window was over, if it was before.
    pub over: Option<(SystemTime, Over)>,
    /// When the first window ends, as far as is known.
    pub window_end: Instant,
    /// When what is left of CMD's group is killed.
    pub kill_at: Option<Instant>,
}

/// Waits for CMD's end.
pub async fn to_its_end(
    context: &mut Context,
    settings: &Settings,
    cordoned: &Cordoned,
    job: &mut Job,
    signals: &mut Signals,
) -> Result<Ran, CommandError> {
    let mut continued = signal(SignalKind::from_raw(Signal::CONT.as_raw()));
    let (ends, mut told) = watch::channel(Ends::of(&cordoned.windows, Until::OneIsOpen));
    let mut over =
        pin!(until_over(context.firewall.clone(), &cordoned.own, Until::OneIsOpen, &ends));
    let mut over_at = None;
    let mut kill_at = None;
    let mut extender = Extender::new(settings, &cordoned.windows);
    let mut moving: Option<Moving> = None;
    loop {
        let extend_at = extender.as_ref().map(|extender| extender.at(told.borrow().block));
        tokio::select! {
            biased;
            change = job.change() => match change.map_err(CommandError::Launch)? {
                Change::Stopped(signal) => job.suspend(signal).await,
                Change::InForeground => job.resume(),
                Change::Ended(end) => {
                    let window_end = told.borrow().block;
                    return Ok(Ran { end, over: over_at, window_end, kill_at });
                }
            },
            caught = signals.next() => {
                job.signal(caught);
                // One that is stopped would not hear it.
                job.signal(Signal::CONT);
            }
            () = next(continued.as_mut().ok()) => job.resume(),
            how = &mut over, if over_at.is_none() => {
                over_at = Some((SystemTime::now(), how));
                let what = match how {
                    Over::Expired => "the window is over",
                    Over::Lifted => "the window was ended by someone else",
                };
                let then = match settings.run.on_expiry {
                    OnExpiry::Kill => "CMD is told to end (SIGTERM)",
                    _ => "remote clients can connect while CMD goes on",
                };
                context.warn(format!("{what} before CMD: {then}"));
                if settings.run.on_expiry == OnExpiry::Kill {
                    kill_at = Some(Instant::now() + KILL_AFTER);
                    job.signal(Signal::TERM);
                    job.signal(Signal::CONT);
                }
            }
            () = at(extend_at), if over_at.is_none() && moving.is_none() => {
                let end = told.borrow().block;
                let extend = |extender: &Extender| extender.extend(context.firewall.clone(), end);
                moving = extender.as_ref().map(extend);
            }
            moved = moved(moving.as_mut()) => {
                moving = None;
                let again = match moved {
                    // The new end is told with the next look at the window.
                    Ok(None) => EXTEND_RETRY * 2,
                    Ok(Some(text)) => {
                        context.warn(text);
                        extender = None;
                        EXTEND_RETRY
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the end of the window could not be moved");
                        EXTEND_RETRY
                    }
                };
                if let Some(extender) = &mut extender {
                    extender.not_before = Instant::now() + again;
                }
            }
            Ok(()) = told.changed() => {}
            () = at(kill_at) => {
                job.signal(Signal::KILL);
                kill_at = None;
            }
        }
    }
}

async fn moved(moving: Option<&mut Moving>) -> Result<Option<String>, CommandError> {
    match moving {
        Some(moving) => moving.await,
        None => std::future::pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

async fn next(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Ends what a CMD that was told to end has left of its group, at the same time at which CMD
/// itself would have been killed.
pub async fn clear_group(job: &Job, kill_at: Instant) {
    while job.has_others() {
        if Instant::now() >= kill_at {
            job.signal(Signal::KILL);
            return;
        }
        sleep(GROUP_POLL).await;
    }
}

/// An end that is being moved. A text says why it cannot be done again.
type Moving = Pin<Box<dyn Future<Output = Result<Option<String>, CommandError>>>>;

/// Moves the end of windows on.
struct Extender {
    ports: Vec<u16>,
    started_at: SystemTime,
    length: Duration,
    most: Duration,
    not_before: Instant,
}

impl Extender {
    fn new(settings: &Settings, windows: &[Window]) -> Option<Self> {
        let started_at = windows.iter().map(|window| window.cordon.identity.started_at).min()?;
        (settings.run.on_expiry == OnExpiry::Extend).then(|| Self {
            ports: windows.iter().map(|window| window.cordon.port).collect(),
            started_at,
            length: settings.window.map_or(Duration::ZERO, |window| window.0),
            most: settings.max_window.0,
            not_before: Instant::now(),
        })
    }

    /// When to do it.
    fn at(&self, end: Instant) -> Instant {
        let margin = EXTEND_BEFORE.min(self.length / 2);
        end.checked_sub(margin).unwrap_or(end).max(self.not_before)
    }

    /// Does it. The port's lock may be waited for, while CMD and its signals go on.
    fn extend(&self, mut firewall: Guarded, end: Instant) -> Moving {
        let left = end.saturating_duration_since(Instant::now());
        let since_start = SystemTime::now().duration_since(self.started_at);
        let room = self.most.saturating_sub(since_start.unwrap_or_default());
        let wanted = left + self.length;
        let target = wanted.min(room.saturating_sub(LEAST_EXTENSION));
        let (ports, most) = (self.ports.clone(), self.most);
        Box::pin(async move {
            if target >= left + LEAST_EXTENSION {
                let to = WindowEnd::In(target);
                let extend = move || window::extend(&mut firewall, &ports, to, false, most);
                let moved = in_thread(extend).await.map_err(CommandError::Runtime)??;
                for outcome in moved.into_iter().filter(|outcome| outcome.changed) {
                    audit::extended(&outcome.window, "CMD is running (--on-expiry extend)");
                }
            }
            Ok((target < wanted).then(|| {
                format!(
                    "the window cannot be extended again: {} is the most (--max)",
                    show::duration(most)
                )
            }))
        })
    }
}
