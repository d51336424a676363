//! Moving the end of windows.

use super::*;

fn to(fake: &mut Fake, end: WindowEnd, shorten: bool) -> Result<Vec<Outcome>, WindowError> {
    extend(fake, &[5432], end, shorten, DAY)
}

#[test]
fn the_end_moves_and_only_on_demand_to_an_earlier_time() {
    let table = [
        (WindowEnd::By(MINUTE), false, 10 * MINUTE, true),
        (WindowEnd::In(20 * MINUTE), false, 20 * MINUTE, true),
        (WindowEnd::In(5 * MINUTE), false, 9 * MINUTE, false),
        (WindowEnd::In(5 * MINUTE), true, 5 * MINUTE, true),
    ];
    for (end, shorten, length, is_changed) in table {
        let mut fake = Fake::with([with_ramp(5432, 7)]);
        fake.pass_time(MINUTE);
        let outcome = to(&mut fake, end, shorten).unwrap().remove(0);
        assert_eq!(outcome.changed, is_changed);
        let cordon = fake.window(5432).unwrap().cordon;
        assert!(
            cordon.length.abs_diff(length) < SECOND,
            "{:?}",
            cordon.length
        );
        assert_eq!(cordon.ramp, Some(RAMP));
    }
}

#[test]
fn a_farewell_to_the_end_goes_with_it() {
    let without_drain = Cordon {
        farewell: 10 * MINUTE,
        ..cordon(5432, 7)
    };
    let mut fake = Fake::with([without_drain]);
    to(&mut fake, WindowEnd::In(20 * MINUTE), false).unwrap();
    assert_eq!(fake.window(5432).unwrap().cordon.farewell, 20 * MINUTE);
}

#[test]
fn a_total_beyond_the_most_is_refused_for_all() {
    let mut long_ago = cordon(5433, 8);
    long_ago.identity.started_at = SystemTime::now() - DAY;
    let mut fake = Fake::with([cordon(5432, 7), long_ago]);
    let end = WindowEnd::In(20 * MINUTE);
    let error = extend(&mut fake, &[5432, 5433], end, false, DAY).unwrap_err();
    assert!(matches!(error, WindowError::TooLong { port: 5433, .. }));
    assert!(fake.changes.is_empty());
}

#[test]
fn a_lost_answer_is_read() {
    let end = WindowEnd::In(20 * MINUTE);
    let mut made = Fake::with([cordon(5432, 7)]);
    made.on(After(Change), 1, lost);
    assert!(to(&mut made, end, false).unwrap()[0].changed);

    let mut not_made = Fake::with([cordon(5432, 7)]);
    not_made.on(Before(Change), 1, lost);
    let error = to(&mut not_made, end, false).unwrap_err();
    assert!(matches!(
        error,
        WindowError::Firewall(FirewallError::Differs { .. })
    ));

    let mut unread = Fake::with([cordon(5432, 7)]);
    unread.on(Before(Read), 2, unreadable);
    let error = to(&mut unread, end, false).unwrap_err();
    assert!(matches!(error, WindowError::Unverified { .. }));
}

#[test]
fn there_must_be_a_window_and_what_is_left_of_one_is_removed() {
    let mut fake = Fake::with([with_ramp(5432, 7), cordon(5433, 8), cordon(5434, 9)]);
    fake.pass_time(10 * MINUTE + SECOND);
    fake.guards.insert(5434, 99);
    let mut at = |port| {
        let error = settle_error(&mut fake, port);
        (error, fake.tables().contains(&port))
    };
    assert_eq!(at(5431), ("none", false));
    assert_eq!(at(5432), ("ramp", true));
    assert_eq!(at(5433), ("none", false));
    assert_eq!(at(5434), ("none", true), "its guard removes it");
}

fn settle_error(fake: &mut Fake, port: u16) -> &'static str {
    match extend(fake, &[port], WindowEnd::By(MINUTE), false, DAY).unwrap_err() {
        WindowError::None { .. } => "none",
        WindowError::Ramp { .. } => "ramp",
        other => panic!("{other}"),
    }
}
