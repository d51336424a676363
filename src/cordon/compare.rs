//! Whether a window that is read is the cordon that should stand. Every tolerance is here.

use super::{ClosingFlow, Cordon, PassList, Phase, Verdict, Window};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

/// How far a time that is read may be from the time that should be left.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    later: Duration,
    earlier: Duration,
}

impl Tolerance {
    /// A cordon that was just written: jiffies are rounded up, by 10 ms at most, and the kernel
    /// may take its time between two looks.
    pub const READ_BACK: Self = Self::of_ms(20, 2000);

    /// What the guard makes of the kernel's rounding and of the time between two looks.
    pub const GUARD: Self = Self::of_ms(250, 250);

    /// The guard in a ramp, whose end nobody waits for to the second: one that was put back
    /// ends later by as long as that took.
    pub const GUARDED_RAMP: Self = Self::of_ms(5000, 5000);

    /// The element of a ramp beside that of its window, which is read before it.
    pub const RAMP_ELEMENT: Self = Self::of_ms(100, 2000);

    /// The block of fragments beside that of the port: it may be longer, never shorter.
    pub const FRAGMENTS: Self = Self { later: Duration::MAX, earlier: Duration::from_secs(1) };

    /// The end of a window that a command waits for: beyond this it was moved.
    pub const SAME_END: Self = Self::of_ms(500, 500);

    /// A window that is over before its time by more than this was lifted by somebody.
    pub const EXPIRY: Self = Self::of_ms(0, 100);

    /// A farewell that lasts to the end of its window: both were rounded.
    pub(super) const FAREWELL: Self = Self::of_ms(20, 20);

    /// How far the kernel's clock and ours may be apart.
    pub const CLOCKS: Duration = Self::GUARD.later;

    const fn of_ms(later: u64, earlier: u64) -> Self {
        Self { later: Duration::from_millis(later), earlier: Duration::from_millis(earlier) }
    }

    pub fn is_later(self, time: Duration, should: Duration) -> bool {
        time > should.saturating_add(self.later)
    }

    pub fn is_earlier(self, time: Duration, should: Duration) -> bool {
        time.saturating_add(self.earlier) < should
    }

    pub fn differs(self, time: Duration, should: Duration) -> bool {
        self.is_later(time, should) || self.is_earlier(time, should)
    }
}

/// In what a window is not the cordon that should stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    #[error("another window is there")]
    Identity,
    #[error("the window is {}over", if *is == Phase::Ramp { "" } else { "not " })]
    Phase { is: Phase },
    #[error("the window lasts {is:?} instead of {should:?}")]
    Length { is: Duration, should: Duration },
    #[error("the ramp is changed")]
    Ramp,
    #[error("the pass list {} instead of {}", show(is), show(should))]
    Pass { is: PassList, should: PassList },
    #[error("the verdict {is} instead of {should}")]
    Verdict { is: Verdict, should: Verdict },
    #[error("the reason is changed")]
    Reason,
    #[error("existing connections are let through")]
    Farewell,
    #[error("the spared flows are changed")]
    Spared,
    #[error("a flow is let through")]
    Closing,
}

impl Difference {
    /// Whether the window is not the one that is asked for. With another end, ramp or reason it
    /// is.
    pub fn is_of_terms(&self) -> bool {
        matches!(self, Self::Pass { .. } | Self::Verdict { .. })
    }

    /// Whether it shows that a cordon was not written as it should be.
    pub fn is_of_writing(&self) -> bool {
        !matches!(self, Self::Reason | Self::Farewell | Self::Spared | Self::Closing)
    }
}

fn show(pass: &PassList) -> String {
    match pass.len() {
        0 => "empty".to_owned(),
        1..=4 => {
            let names: Vec<_> = pass.networks().map(|network| network.to_string()).collect();
            names.join(" ")
        }
        many => format!("of {many} networks"),
    }
}

impl Cordon {
    /// In what a window that was seen differs from this cordon. `took` is the time between the
    /// moment at which the cordon had these lengths and the end of the look: as much of them
    /// may be over. A pass list is compared only if it was read, and the existing connections
    /// that pass only while the port is closed.
    pub fn differences(
        &self,
        seen: &Window,
        took: Duration,
        tolerance: Tolerance,
    ) -> Vec<Difference> {
        let is = &seen.cordon;
        let passes = || Difference::Pass { is: is.pass.clone(), should: self.pass.clone() };
        let verdict = Difference::Verdict { is: is.verdict, should: self.verdict };
        let mut differences = vec![
            (is.id() != self.id()).then_some(Difference::Identity),
            match is.phase == self.phase {
                true => self.length_difference(seen, took, tolerance),
                false => Some(Difference::Phase { is: is.phase }),
            },
            (is.ramp != self.ramp).then_some(Difference::Ramp),
            (is.verdict != self.verdict).then_some(verdict),
            (seen.pass_was_read && is.pass != self.pass).then(passes),
            (is.reason != self.reason).then_some(Difference::Reason),
        ];
        if self.is_closed() && is.is_closed() {
            let is_let_through = tolerance.is_later(is.farewell, self.farewell);
            let set = |flows: &[SocketAddr]| flows.iter().copied().collect::<HashSet<_>>();
            // Closes that are over are not missed; one that nobody asked for lets somebody in.
            let is_asked = |flow: &ClosingFlow| {
                let same = |asked: &&ClosingFlow| asked.client == flow.client;
                let asked = self.closing.iter().find(same);
                asked.is_some_and(|asked| !tolerance.is_later(flow.remaining, asked.remaining))
            };
            differences.extend([
                is_let_through.then_some(Difference::Farewell),
                (set(&is.spared) != set(&self.spared)).then_some(Difference::Spared),
                (!is.closing.iter().all(is_asked)).then_some(Difference::Closing),
            ]);
        }
        differences.into_iter().flatten().collect()
    }

    pub fn length_difference(
        &self,
        seen: &Window,
        took: Duration,
        tolerance: Tolerance,
    ) -> Option<Difference> {
        let (is, should) = (seen.cordon.length, self.length);
        let differs =
            tolerance.is_later(is, should) || tolerance.is_earlier(is.saturating_add(took), should);
        differs.then_some(Difference::Length { is, should })
    }
}
