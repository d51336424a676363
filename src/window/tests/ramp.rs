//! Ending windows into their ramps.

use super::*;

fn wish(length: Option<Duration>, per_second: Option<u32>) -> RampWish {
    RampWish { length, per_second }
}

#[test]
fn lifting_into_a_ramp_keeps_what_was_counted() {
    let mut fake = Fake::with([with_ramp(5432, 7)]);
    fake.state.tables.get_mut(&5432).unwrap().blocked.packets = 3;
    let outcome = lift_to_ramp(&mut fake, &[5432], RampWish::default()).unwrap();
    assert_eq!(outcome[0].window.blocked.packets, 3);
    assert!(outcome[0].changed);
    assert_eq!(standing(&fake, 5432), Some((7, Phase::Ramp)));
    assert_eq!(fake.window(5432).unwrap().cordon.length, MINUTE);
}

#[test]
fn a_ramp_needs_a_length_from_somebody() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    let error = lift_to_ramp(&mut fake, &[5432], RampWish::default()).unwrap_err();
    assert!(matches!(error, WindowError::NoRamp { port: 5432 }));
    assert_eq!(standing(&fake, 5432), Some((7, Phase::Closed)));
    lift_to_ramp(&mut fake, &[5432], wish(Some(MINUTE), None)).unwrap();
    assert_eq!(standing(&fake, 5432), Some((7, Phase::Ramp)));
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
        let outcome = lift_to_ramp(&mut fake, &[5432], wish).unwrap();
        assert_eq!(outcome[0].changed, is_changed);
        let cordon = fake.window(5432).unwrap().cordon;
        assert_eq!(cordon.length, length);
        assert_eq!(cordon.ramp.unwrap().per_second, per_second);
    }
}

#[test]
fn a_lost_answer_is_read() {
    let mut made = Fake::with([with_ramp(5432, 7)]);
    made.on(After(Raise), 1, lost);
    assert!(lift_to_ramp(&mut made, &[5432], RampWish::default()).is_ok());

    let mut not_made = Fake::with([with_ramp(5432, 7)]);
    not_made.on(Before(Raise), 1, lost);
    let error = lift_to_ramp(&mut not_made, &[5432], RampWish::default()).unwrap_err();
    assert!(
        error.to_string().contains("the window is not over"),
        "{error}"
    );

    let mut unread = Fake::with([with_ramp(5432, 7)]);
    unread.on(Before(Read), 2, unreadable);
    let error = lift_to_ramp(&mut unread, &[5432], RampWish::default()).unwrap_err();
    assert!(matches!(error, WindowError::LiftUnverified { .. }));
}

#[test]
fn own_windows_end_as_they_were_raised_to() {
    let mut fake = Fake::with([with_ramp(5432, 7), cordon(5433, 8), with_ramp(5434, 9)]);
    fake.guards.insert(5435, 99);
    let own = [id(5432, 7), id(5433, 8), id(5434, 2), id(5435, 4)];
    let lifted = lift_own_to_ramp(&mut fake, &own).unwrap();
    assert_eq!(lifted.len(), 2);
    assert_eq!(standing(&fake, 5432), Some((7, Phase::Ramp)));
    assert_eq!(fake.window(5433), None);
    assert_eq!(standing(&fake, 5434), Some((9, Phase::Closed)), "another's");
    assert!(
        fake.guards.is_empty(),
        "what was flushed does not come back"
    );
}
