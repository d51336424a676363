//! The vocabulary: what values are taken, how they are written, and what differs from what.

mod compare;
mod duration;
mod identity;
mod pass;
mod ramp;
mod spare;
mod values;

use pgcordon::testing::cordon::{Cordon, Identity, PassList, Phase, Verdict};
use std::time::{Duration, SystemTime};

/// A cordon of ten minutes, raised now.
pub fn cordon(port: u16, id: u64) -> Cordon {
    Cordon {
        port,
        identity: Identity::new(id, SystemTime::now(), "root", 0),
        phase: Phase::Closed,
        length: Duration::from_secs(600),
        ramp: None,
        farewell: Duration::from_secs(2),
        verdict: Verdict::Drop,
        pass: PassList::default(),
        spared: Vec::new(),
        closing: Vec::new(),
        reason: None,
    }
}
