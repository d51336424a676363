//! Ending windows at once or into their ramps, and removing what old ones have left.

use super::*;

fn wish(length: Option<Duration>, per_second: Option<u32>) -> RampWish {
    RampWish { length, per_second }
}

#[test]
fn the_window_and_its_guard_end() {
    let mut fake = Fake::with([cordon(5432, 7), cordon(5433, 8)]);
    fake.guards.insert(5432, 99);
    let lifted = lift(&mut fake, &[5431, 5432]).unwrap();
    assert_eq!(lifted.windows.len(), 1);
    assert_eq!(lifted.windows[0].id(), id(5432, 7));
    assert!(lifted.has_dismissed);
    assert_eq!(fake.tables(), [5433]);
    assert!(fake.guards.is_empty());
    let again = lift(&mut fake, &[5431, 5432]).unwrap();
    assert!(again.windows.is_empty() && !again.has_dismissed);
}

#[test]
fn only_the_own_window_is_lifted() {
    let mut fake = Fake::with([cordon(5432, 7), cordon(5433, 8)]);
    fake.guards.insert(5433, 99);
    let own = [id(5432, 7), id(5433, 2)];
    assert_eq!(lift_own(&mut fake, &own).unwrap().len(), 1);
    assert_eq!(seen(&fake, 5433), Some((8, Phase::Closed)));
    assert_eq!(fake.guards.get(&5433), Some(&99));
    fake.on(Before(Remove), 1, refused);
    assert_eq!(outcome(lift_own(&mut fake, &[id(5433, 8)])), "Left");
}

#[test]
fn what_somebody_else_does_at_the_same_moment_counts() {
    let gone: Surprise = |state| {
        state.tables.clear();
        Ok(())
    };
    let back: Surprise = |state| {
        state.write(cordon(5432, 7));
        Ok(())
    };
    for (when, surprise, expected) in
        [(Before(Remove), gone, "done"), (After(Remove), back, "Firewall::Differs")]
    {
        let mut fake = Fake::with([cordon(5432, 7)]);
        fake.on(when, 1, surprise);
        assert_eq!(outcome(lift(&mut fake, &[5432])), expected);
    }
}

#[test]
fn a_removal_without_an_answer_that_cannot_be_read_is_told() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    fake.on(After(Remove), 1, lost);
    fake.on(Before(Ports), 1, unreadable);
    assert_eq!(outcome(lift(&mut fake, &[5432])), "LiftUnverified");
}

#[test]
fn sweeping_removes_only_what_is_over_and_unguarded() {
    let mut fake = Fake::with([cordon(5432, 7), cordon(5433, 8)]);
    fake.pass_time(11 * MINUTE);
    shared(&mut fake, &[cordon(5434, 9)]).unwrap();
    fake.guards.insert(5433, 99);
    sweep(&mut fake, &[5432, 5433, 5434]).unwrap();
    assert_eq!(fake.tables(), [5433, 5434]);
}

#[test]
fn lifting_into_a_ramp_keeps_what_was_counted() {
    let mut fake = Fake::with([with_ramp(5432, 7)]);
    fake.state.tables.get_mut(&5432).unwrap().blocked.packets = 3;
    let outcomes = lift_to_ramp(&mut fake, &[5432], RampWish::default()).unwrap();
    assert!(outcomes[0].changed);
    assert_eq!(outcomes[0].window.blocked.packets, 3);
    assert_eq!(seen(&fake, 5432), Some((7, Phase::Ramp)));
    assert_eq!(fake.window(5432).unwrap().cordon.length, MINUTE);
}

#[test]
fn a_ramp_needs_a_length_from_somebody() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    for (wish, expected, phase) in [
        (wish(None, Some(9)), "NoRamp", Phase::Closed),
        (wish(Some(MINUTE), None), "done", Phase::Ramp),
    ] {
        assert_eq!(outcome(lift_to_ramp(&mut fake, &[5432], wish)), expected);
        assert_eq!(seen(&fake, 5432), Some((7, phase)));
    }
}

#[test]
fn a_ramp_under_way_goes_on_and_another_rate_leaves_its_end() {
    let table = [
        (wish(None, None), false, MINUTE / 2, 10),
        (wish(None, Some(99)), true, MINUTE / 2, 99),
        (wish(Some(5 * MINUTE), None), true, 5 * MINUTE, 10),
    ];
    for (wish, is_changed, length, per_second) in table {
        let mut fake = Fake::with([with_ramp(5432, 7)]);
        fake.pass_time(10 * MINUTE + MINUTE / 2);
        let outcomes = lift_to_ramp(&mut fake, &[5432], wish).unwrap();
        assert_eq!(outcomes[0].changed, is_changed);
        let cordon = fake.window(5432).unwrap().cordon;
        assert_eq!(cordon.length, length);
        assert_eq!(cordon.ramp.unwrap().per_second, per_second);
    }
}

#[test]
fn own_windows_end_as_they_were_raised_to() {
    let mut fake = Fake::with([with_ramp(5432, 7), cordon(5433, 8), with_ramp(5434, 9)]);
    fake.guards.insert(5435, 99);
    let own = [id(5432, 7), id(5433, 8), id(5434, 2), id(5435, 4)];
    assert_eq!(lift_own_to_ramp(&mut fake, &own).unwrap().len(), 2);
    assert_eq!(seen(&fake, 5432), Some((7, Phase::Ramp)));
    assert_eq!(seen(&fake, 5433), None);
    assert_eq!(seen(&fake, 5434), Some((9, Phase::Closed)), "another's");
    assert!(fake.guards.is_empty(), "what was flushed does not come back");
}
