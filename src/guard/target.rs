//! What should stand on a port: the cordon as the guard was last told, at any later time, and
//! where the table differs from it. Pure data.

use crate::cordon::{Cordon, Difference, Phase, Tolerance};
use crate::firewall::{Change, TableState};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A time by the clock that nobody sets (`CLOCK_MONOTONIC`) and that all processes of a host
/// share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment(Duration);

impl Moment {
    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        Self(Duration::new(
            now.tv_sec.unsigned_abs(),
            u32::try_from(now.tv_nsec).unwrap_or_default(),
        ))
    }

    fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(time))
    }

    fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The cordon as it should stand, with the times that are left at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    cordon: Cordon,
    as_of: Moment,
}

impl Target {
    pub fn new(cordon: Cordon, as_of: Moment) -> Self {
        Self { cordon, as_of }
    }

    /// The cordon as it should stand at a later moment; a length of zero is over.
    pub fn at(&self, now: Moment) -> Cordon {
        self.cordon.clone().after(now.since(self.as_of))
    }

    /// How long it takes from `now` until the window and its ramp are over.
    pub fn left(&self, now: Moment) -> Duration {
        let whole = self.cordon.whole_length();
        whole.saturating_sub(now.since(self.as_of))
    }

    /// The change that writes what is left of the block, and whose it is; `None` when that is
    /// over: written in a ramp, it would close the port again.
    pub fn renewal(&self, now: Moment) -> Option<Change> {
        let cordon = self.at(now);
        (cordon.is_closed() && !cordon.length.is_zero()).then(|| Change::renew(cordon))
    }

    pub fn healed(&mut self) {
        let healed = &mut self.cordon.identity.healed;
        *healed = healed.saturating_add(1);
    }

    /// Follows a change that is made at `at`.
    pub fn change(&mut self, at: Moment, change: &Change) {
        *self = Self::new(change.clone().applied_to(self.at(at)), at);
    }

    /// In what the table that was read differs from what should stand, in words; what was
    /// blocked does not matter. `began` is the time before the reading, which takes a while with
    /// a long pass list.
    pub fn faults(&self, state: Option<&TableState>, began: Moment) -> Vec<String> {
        let Some(state) = state else {
            return vec!["the table is gone".to_owned()];
        };
        let Some(window) = &state.window else {
            return vec!["the port's element is gone".to_owned()];
        };
        let now = Moment::now();
        let target = self.at(began);
        let tolerance = match target.phase {
            Phase::Closed => Tolerance::GUARD,
            Phase::Ramp => Tolerance::GUARDED_RAMP,
        };
        let mut differences = target.differences(window, now.since(began), tolerance);
        // When the window ends, the kernel's clock and ours are some milliseconds apart.
        let times = [began.before(Tolerance::CLOCKS), now.after(Tolerance::CLOCKS)];
        differences.retain(|difference| match difference {
            Difference::Phase { is } => times.iter().all(|time| self.at(*time).phase != *is),
            _ => true,
        });
        let faults = state.faults.iter().cloned();
        let differences = differences.iter().map(Difference::to_string);
        faults.chain(differences).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cordon::{Identity, PassList, Ramp, Verdict};
    use std::net::SocketAddr;
    use std::time::SystemTime;

    const MINUTE: Duration = Duration::from_secs(60);

    fn cordon() -> Cordon {
        Cordon {
            port: 5432,
            identity: Identity::new(7, SystemTime::UNIX_EPOCH, "root", 0),
            phase: Phase::Closed,
            length: 10 * MINUTE,
            ramp: None,
            farewell: Duration::from_secs(2),
            verdict: Verdict::Drop,
            pass: PassList::default(),
            spared: Vec::new(),
            closing: Vec::new(),
            reason: None,
        }
    }

    fn with_ramp() -> Cordon {
        let ramp = Ramp { length: MINUTE, per_second: 10 };
        Cordon { ramp: Some(ramp), spared: vec![flow(1)], ..cordon() }
    }

    fn flow(port: u16) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, 7], port))
    }

    #[test]
    fn the_times_run_out() {
        let start = Moment(MINUTE);
        let target = Target::new(cordon(), start);
        let later = target.at(start.after(MINUTE));
        assert_eq!(later.length, 9 * MINUTE);
        assert_eq!(later.farewell, Duration::ZERO);
        assert_eq!(target.left(start.after(11 * MINUTE)), Duration::ZERO);
        // A clock that other processes have read a little later.
        assert_eq!(target.at(Moment(Duration::ZERO)).length, 10 * MINUTE);
    }

    #[test]
    fn a_ramp_comes_when_the_window_is_over() {
        let start = Moment::now();
        let target = Target::new(with_ramp(), start);
        let closed = target.at(start.after(9 * MINUTE));
        assert_eq!((closed.phase, closed.length), (Phase::Closed, MINUTE));
        let ramping = target.at(start.after(10 * MINUTE + MINUTE / 2));
        assert_eq!((ramping.phase, ramping.length), (Phase::Ramp, MINUTE / 2));
        assert!(ramping.spared.is_empty());
        assert_eq!(target.left(start), 11 * MINUTE);
    }

    #[test]
    fn nothing_is_written_that_would_close_a_port_in_its_ramp() {
        let start = Moment::now();
        let target = Target::new(with_ramp(), start);
        assert!(target.renewal(start.after(9 * MINUTE)).is_some());
        assert_eq!(target.renewal(start.after(10 * MINUTE)), None);
        assert_eq!(target.renewal(start.after(20 * MINUTE)), None);
    }

    #[test]
    fn changes_are_taken_over_from_their_own_moment_on() {
        let start = Moment::now();
        let mut target = Target::new(cordon(), start);
        let change = Change::FarewellOver { closing: vec![flow(1)], linger: 2 * MINUTE };
        target.change(start.after(MINUTE), &change);
        let flows = Change::Flows {
            spared: vec![flow(2), flow(2)],
            closing: Vec::new(),
            remaining: MINUTE,
        };
        target.change(start.after(MINUTE), &flows);
        let later = target.at(start.after(2 * MINUTE));
        assert_eq!(later.length, 8 * MINUTE);
        assert_eq!(later.closing[0].remaining, MINUTE);
        assert_eq!(later.spared, [flow(2)]);
        assert!(target.at(start.after(4 * MINUTE)).closing.is_empty());
    }

    #[test]
    fn a_missing_table_is_a_fault() {
        let target = Target::new(cordon(), Moment::now());
        let faults = target.faults(None, Moment::now());
        assert_eq!(faults, ["the table is gone"]);
    }
}
