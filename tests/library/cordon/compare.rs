//! Whether a window that is read is the cordon that should stand.

use pgcordon::testing::cordon::{
    ClosingFlow, Cordon, Counter, Difference, Identity, PassList, Phase, Tolerance, Verdict, Window,
};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

fn cordon() -> Cordon {
    Cordon {
        identity: Identity::new(7, SystemTime::UNIX_EPOCH, "root", 0),
        length: Duration::from_secs(60),
        spared: vec![flow(1), flow(2)],
        closing: vec![closing(3, 10)],
        ..super::cordon(5432, 7)
    }
}

fn flow(port: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 7], port))
}

fn closing(port: u16, seconds: u64) -> ClosingFlow {
    ClosingFlow { client: flow(port), remaining: Duration::from_secs(seconds) }
}

fn seen(change: impl FnOnce(&mut Cordon)) -> Window {
    let mut cordon = cordon();
    change(&mut cordon);
    Window {
        cordon,
        ends_at: SystemTime::now(),
        blocked: Counter::default(),
        knocks: Vec::new(),
        pass_was_read: true,
    }
}

fn words(seen: &Window) -> Vec<String> {
    let differences = cordon().differences(seen, Duration::ZERO, Tolerance::GUARD);
    differences.iter().map(Difference::to_string).collect()
}

#[test]
fn each_difference_is_told_in_its_words() {
    type Damage = fn(&mut Cordon);
    let table: [(&str, Damage); 9] = [
        ("another window is there", |seen| seen.identity.id = 8),
        ("the window is over", |seen| seen.phase = Phase::Ramp),
        ("the window lasts 61s instead of 60s", |seen| {
            seen.length = Duration::from_secs(61);
        }),
        ("the verdict reset instead of drop", |seen| {
            seen.verdict = Verdict::Reset;
        }),
        ("the pass list 10.0.0.0/8 instead of empty", |seen| {
            seen.pass = PassList::new(["10.0.0.0/8".parse().unwrap()]).unwrap();
        }),
        ("the reason is changed", |seen| {
            seen.reason = "upgrade".parse().ok();
        }),
        ("existing connections are let through", |seen| {
            seen.farewell = Duration::from_secs(3);
        }),
        ("the spared flows are changed", |seen| {
            seen.spared.truncate(1);
        }),
        ("a flow is let through", |seen| {
            seen.closing.push(closing(4, 1));
        }),
    ];
    for (told, change) in table {
        assert_eq!(words(&seen(change)), [told]);
    }
}

#[test]
fn what_ends_early_lets_nobody_in_and_is_no_difference() {
    let seen = seen(|cordon| {
        cordon.farewell = Duration::ZERO;
        cordon.closing.clear();
        cordon.spared.reverse();
    });
    assert!(words(&seen).is_empty());
}

#[test]
fn a_pass_list_that_was_not_read_is_not_compared() {
    let mut seen = seen(|_| ());
    seen.cordon.pass = PassList::new(["10.0.0.1/32".parse().unwrap()]).unwrap();
    seen.pass_was_read = false;
    assert!(words(&seen).is_empty());
}

#[test]
fn each_tolerance_has_its_bounds() {
    let table = [
        (Tolerance::READ_BACK, 20, 2000),
        (Tolerance::GUARD, 250, 250),
        (Tolerance::GUARDED_RAMP, 5000, 5000),
    ];
    let took = Duration::from_secs(10);
    let is_met = |milliseconds: u64, tolerance| {
        let seen = seen(|cordon| cordon.length = Duration::from_millis(milliseconds));
        let difference = cordon().length_difference(&seen, took, tolerance);
        difference.is_none()
    };
    for (tolerance, later, earlier) in table {
        assert!(is_met(60_000 + later, tolerance));
        assert!(!is_met(60_001 + later, tolerance));
        // As much as it took may be over.
        assert!(is_met(50_000 - earlier, tolerance));
        assert!(!is_met(49_999 - earlier, tolerance));
    }
}
