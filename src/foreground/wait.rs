//! Waits until windows are over.

use crate::cordon::{Tolerance, Window, WindowId};
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

/// How long a window still lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Remaining {
    block: Duration,
    /// The block and its ramp.
    total: Duration,
}

impl Remaining {
    fn until(end: Ends, now: Instant) -> Self {
        Self {
            block: end.block.saturating_duration_since(now),
            total: end.ramp.saturating_duration_since(now),
        }
    }

    /// What is left until one port is open, or until all is over.
    fn and(self, other: Self, until: Until) -> Self {
        let of = match until {
            Until::OneIsOpen => Duration::min,
            Until::AllIsOver => Duration::max,
        };
        Self { block: of(self.block, other.block), total: of(self.total, other.total) }
    }

    fn last(self, until: Until) -> Duration {
        match until {
            Until::OneIsOpen => self.block,
            Until::AllIsOver => self.total,
        }
    }
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
        let remaining = |window: &Window| {
            let block = window.ends_at.duration_since(SystemTime::now());
            let block = block.unwrap_or_default();
            let cordon = &window.cordon;
            Remaining { block, total: block + cordon.whole_length().saturating_sub(cordon.length) }
        };
        Self::within(windows.iter().map(remaining), until)
    }

    fn within(windows: impl Iterator<Item = Remaining>, until: Until) -> Self {
        let now = Instant::now();
        let left = windows.reduce(|one, other| one.and(other, until));
        let left = left.unwrap_or_default();
        Self { block: now + left.block, ramp: now + left.total }
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
        let (left, expected) = (Remaining::until(seen, now), Remaining::until(known, now));
        if left.last(until).is_zero() {
            return match Tolerance::EXPIRY.is_earlier(Duration::ZERO, expected.last(until)) {
                true => Over::Lifted,
                false => Over::Expired,
            };
        }
        let is_moved = |is, was| Tolerance::SAME_END.differs(is, was);
        if is_moved(left.block, expected.block) || is_moved(left.total, expected.total) {
            ends.send_replace(seen);
        }
        let next = [left.block, left.total].into_iter();
        let next = next.filter(|left| !left.is_zero()).min();
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
type Look = (Vec<Option<OwnedFd>>, Vec<Remaining>);

fn look(own: &[WindowId], known: Ends) -> Look {
    // The guards first: whoever changes the windows after this ends these guards.
    let guards = guards(own);
    let mut firewall = Nftables::new();
    let seen = own.iter().map(|window| match left(&mut firewall, *window) {
        Ok(left) => left,
        // The next look may succeed; otherwise the window ends when it was last said to.
        Err(error) => {
            tracing::warn!(%error, "the window could not be looked at");
            Remaining::until(known, Instant::now())
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
    own.any(|window| left(&mut firewall, *window).is_ok_and(|left| left.block.is_zero()))
}

/// What is left of a window; nothing, if another one is there.
fn left(firewall: &mut Nftables, own: WindowId) -> Result<Remaining, FirewallError> {
    let state = firewall.read(own.port, Detail::Block)?;
    let window = state.and_then(|state| state.window);
    let own = window.filter(|window| window.id() == own);
    Ok(own.map_or(Remaining::default(), |window| Remaining {
        block: match window.is_closed() {
            true => window.cordon.length,
            false => Duration::ZERO,
        },
        total: window.cordon.whole_length(),
    }))
}
