//! Waits until windows are over.

use crate::cordon::{Window, WindowId};
use crate::firewall::{Detail, Firewall, FirewallError, Nftables};
use crate::guard::{self, Guarded};
use crate::sys::fd;
use crate::sys::runtime::in_thread;
use futures_util::future::{join_all, select_all};
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Time between two looks at a window that nobody guards.
const UNGUARDED_POLL: Duration = Duration::from_secs(1);
/// An end that moves by more than this is reported. The kernel's own rounding is less.
const END_MOVED: Duration = Duration::from_millis(500);
/// A window that ends earlier than this before its time was lifted by somebody.
const EARLY_END: Duration = Duration::from_millis(100);

/// How long a guard may take to remove an empty table.
const SWEPT_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// One of the ports is open, perhaps in its ramp.
    OneIsOpen,
    /// All windows and their ramps are over.
    AllIsOver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Expired,
    /// Before its time.
    Lifted,
}

/// When windows end, as far as this process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub block: Instant,
    /// The end of the ramp; without a ramp, that of the block.
    pub ramp: Instant,
}

impl Ends {
    /// The ends of windows that were just read.
    pub fn of(windows: &[Window], until: Until) -> Self {
        let left = |window: &Window| {
            let left = window.ends_at.duration_since(SystemTime::now());
            let ramp = window
                .cordon
                .whole_length()
                .saturating_sub(window.cordon.length);
            let left = left.unwrap_or_default();
            (left, left + ramp)
        };
        Self::within(windows.iter().map(left), until)
    }

    /// From what is left of each window's block, and of the block and its ramp.
    fn within(left: impl Iterator<Item = (Duration, Duration)>, until: Until) -> Self {
        let now = Instant::now();
        let (block, whole) = left
            .reduce(|(block, whole), other| match until {
                Until::OneIsOpen => (block.min(other.0), whole.min(other.1)),
                Until::AllIsOver => (block.max(other.0), whole.max(other.1)),
            })
            .unwrap_or_default();
        Self {
            block: now + block,
            ramp: now + whole,
        }
    }

    fn last(self, until: Until) -> Instant {
        match until {
            Until::OneIsOpen => self.block,
            Until::AllIsOver => self.ramp,
        }
    }
}

/// Waits until windows are over, because they expire or because somebody lifts them. Sends their
/// ends to `ends`, again each time an end moves.
///
/// Whoever changes a window ends its guard first, and that is the event to wait for. A guard that
/// has ended by itself is replaced.
pub async fn until_over(
    guarded: Guarded,
    own: &[WindowId],
    until: Until,
    ends: &watch::Sender<Ends>,
) -> Over {
    let mut can_stand = true;
    loop {
        let known = *ends.borrow();
        let windows = own.to_vec();
        // The kernel may be slow to answer.
        let looked = in_thread(move || look(&windows, known)).await;
        let (guards, left) = looked.unwrap_or_else(|_| look(own, known));
        let seen = Ends::within(left.into_iter(), until);
        let now = Instant::now();
        if seen.last(until) <= now {
            return match known.last(until) <= now + EARLY_END {
                true => Over::Expired,
                false => Over::Lifted,
            };
        }
        let is_moved =
            |seen: Instant, known: Instant| seen > known + END_MOVED || known > seen + END_MOVED;
        // Once a block is over, its end does not move with the time.
        let block_is_moved = is_moved(seen.block, known.block.max(now));
        if block_is_moved || is_moved(seen.ramp, known.ramp) {
            ends.send_replace(seen);
        }
        let left = [seen.block, seen.ramp].map(|end| end.saturating_duration_since(now));
        let next = left.into_iter().filter(|left| !left.is_zero()).min();
        let next = next.unwrap_or(UNGUARDED_POLL);
        let guards = Guards::of(guards);
        if guards.are_all_there() {
            let _ = timeout(next, guards.one_has_ended()).await;
        } else {
            if can_stand {
                let (mut guarded, windows) = (guarded.clone(), own.to_vec());
                let stood = in_thread(move || guarded.stand_again(&windows)).await;
                can_stand = stood.unwrap_or(true);
            }
            sleep(next.min(UNGUARDED_POLL)).await;
        }
    }
}

/// The guard of each window, and what is left of the window.
type Look = (Vec<Option<OwnedFd>>, Vec<(Duration, Duration)>);

fn look(own: &[WindowId], known: Ends) -> Look {
    // The guards first: whoever changes the windows after this ends these guards.
    let guards = guards(own);
    let mut firewall = Nftables::new();
    let seen = own.iter().map(|window| match left(&mut firewall, *window) {
        Ok(left) => left,
        // The next look may succeed; otherwise the window ends when it was last said to.
        Err(error) => {
            tracing::warn!(%error, "the window could not be looked at");
            let from_now = |end: Instant| end.saturating_duration_since(Instant::now());
            (from_now(known.block), from_now(known.ramp))
        }
    });
    (guards, seen.collect())
}

/// Waits until the guards of windows that are over have removed the empty tables.
pub async fn until_swept(own: &[WindowId]) {
    let ends = Guards::of(guards(own)).0.into_iter().flatten();
    let all = join_all(ends.map(async |guard| drop(guard.readable().await)));
    if timeout(SWEPT_WITHIN, all).await.is_err() {
        tracing::warn!("a guard has not ended with its window");
    }
}

/// The guard of each window; `None` if there is none.
struct Guards(Vec<Option<AsyncFd<OwnedFd>>>);

fn guards(own: &[WindowId]) -> Vec<Option<OwnedFd>> {
    let watch = |window: &WindowId| guard::watch(window.port, None).unwrap_or_default();
    own.iter().map(watch).collect()
}

impl Guards {
    fn of(guards: Vec<Option<OwnedFd>>) -> Self {
        let watch = |guard: Option<OwnedFd>| guard.and_then(|guard| fd::watched(guard).ok());
        Self(guards.into_iter().map(watch).collect())
    }

    fn are_all_there(&self) -> bool {
        self.0.iter().all(Option::is_some)
    }

    async fn one_has_ended(&self) {
        let guards = self.0.iter().flatten();
        let ends = guards.map(|guard| Box::pin(async { drop(guard.readable().await) }));
        select_all(ends).await;
    }
}

/// Whether one of these windows is surely over.
pub fn one_is_over(own: &[WindowId]) -> bool {
    let mut firewall = Nftables::new();
    let mut own = own.iter();
    own.any(|window| left(&mut firewall, *window).is_ok_and(|(block, _)| block.is_zero()))
}

/// How long a window still blocks, and how long it lasts with its ramp.
fn left(firewall: &mut Nftables, own: WindowId) -> Result<(Duration, Duration), FirewallError> {
    let state = firewall.read(own.port, Detail::Block)?;
    let window = state.and_then(|state| state.window);
    let own = window.filter(|window| window.id() == own);
    Ok(own.map_or((Duration::ZERO, Duration::ZERO), |window| {
        let block = match window.is_closed() {
            true => window.cordon.length,
            false => Duration::ZERO,
        };
        (block, window.cordon.whole_length())
    }))
}
