//! Moving the end of windows, and who passes.

use super::*;
use std::net::SocketAddr;

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
        let outcomes = extend(&mut fake, &[5432], end, shorten, DAY).unwrap();
        assert_eq!(outcomes[0].changed, is_changed);
        let cordon = fake.window(5432).unwrap().cordon;
        assert!(cordon.length.abs_diff(length) < SECOND, "{end:?}");
        assert_eq!(cordon.ramp, with_ramp(5432, 7).ramp);
    }
}

#[test]
fn a_farewell_to_the_end_goes_with_it() {
    let mut without_drain = cordon(5432, 7);
    without_drain.farewell = without_drain.length;
    let mut fake = Fake::with([without_drain]);
    extend_to(&mut fake, 20 * MINUTE).unwrap();
    assert_eq!(fake.window(5432).unwrap().cordon.farewell, 20 * MINUTE);
}

#[test]
fn a_total_beyond_the_most_is_refused_for_all() {
    let mut long_ago = cordon(5433, 8);
    long_ago.identity.started_at = SystemTime::now() - DAY;
    let mut fake = Fake::with([cordon(5432, 7), long_ago]);
    let end = WindowEnd::In(20 * MINUTE);
    let extended = extend(&mut fake, &[5432, 5433], end, false, DAY);
    assert_eq!(outcome(extended), "TooLong");
    assert!(fake.changes.is_empty());
}

#[test]
fn there_must_be_a_window_and_what_is_left_of_one_is_removed() {
    let mut fake = Fake::with([with_ramp(5432, 7), cordon(5433, 8), cordon(5434, 9)]);
    fake.pass_time(10 * MINUTE + SECOND);
    fake.guards.insert(5434, 99);
    let table = [
        (5431, "None", false),
        (5432, "Ramp", true),
        (5433, "None", false),
        (5434, "None", true), // Its guard removes it.
    ];
    for (port, expected, stays) in table {
        let extended = extend(&mut fake, &[port], WindowEnd::By(MINUTE), false, DAY);
        assert_eq!(outcome(extended), expected);
        assert_eq!(fake.tables().contains(&port), stays);
    }
}

#[test]
fn networks_are_added_and_taken_out() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    let networks = ["10.0.0.0/8".parse().unwrap()];
    let ten = passing("10.0.0.0/8");
    let none = PassList::default();
    for (remove, is_changed, pass) in
        [(false, true, &ten), (false, false, &ten), (true, true, &none), (true, false, &none)]
    {
        let outcomes = allow(&mut fake, &[5432], &networks, remove).unwrap();
        assert_eq!(outcomes[0].changed, is_changed);
        assert_eq!(fake.window(5432).unwrap().cordon.pass, *pass);
    }
}

#[test]
fn a_farewell_is_renewed_and_ended() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    let now = |fake: &Fake| fake.window(5432).unwrap().cordon;
    renew_farewell(&mut fake, 5432, DAY).unwrap();
    assert_eq!(now(&fake).farewell, 10 * MINUTE, "not beyond the window");
    let client = SocketAddr::from(([203, 0, 113, 7], 40_000));
    end_farewell(&mut fake, 5432, vec![client]).unwrap();
    spare(&mut fake, 5432, vec![client]).unwrap();
    let now = now(&fake);
    assert_eq!((now.farewell, now.spared), (Duration::ZERO, vec![client]));
    assert_eq!(now.closing[0].client, client);
}
