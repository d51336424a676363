//! Raising windows, and going along with those in force.

use super::*;

#[test]
fn fresh_windows_and_those_found_are_told_apart() {
    let mut fake = Fake::with([cordon(5433, 7)]);
    let asked = [cordon(5432, 1), cordon(5433, 2), cordon(5434, 3)];
    let raised = shared(&mut fake, &asked).unwrap();
    let fresh: Vec<_> = raised.fresh.iter().map(Window::id).collect();
    assert_eq!(fresh, [id(5432, 1), id(5434, 3)]);
    assert_eq!(raised.found[0].window.id(), id(5433, 7));
    assert!(!raised.found[0].changed);
    assert_eq!(fake.changes, [Raise]);
}

#[test]
fn a_window_in_force_is_shared_on_the_same_terms_only() {
    let other = |change: fn(&mut Cordon)| {
        let mut asked = with_ramp(5433, 2);
        change(&mut asked);
        asked
    };
    let table = [
        (Ownership::Exclusive, other(|_| ()), "Occupied"),
        (Ownership::Shared, other(|_| ()), "done"),
        (Ownership::Shared, other(|c| c.length = MINUTE), "done"),
        (Ownership::Shared, other(|c| c.verdict = Verdict::Reset), "Differs"),
        (Ownership::Shared, other(|c| c.pass = passing("10.0.0.0/8")), "Differs"),
    ];
    for (ownership, asked, expected) in table {
        let mut fake = Fake::with([cordon(5433, 7)]);
        let raised = raise(&mut fake, &[cordon(5432, 1), asked], ownership);
        let is_raised = raised.is_ok();
        assert_eq!(outcome(raised), expected);
        assert_eq!(fake.window(5432).is_some(), is_raised, "all or none");
        assert_eq!(seen(&fake, 5433), Some((7, Phase::Closed)));
    }
}

#[test]
fn a_window_with_standbys_is_the_one_that_was_asked_for_without_them() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    let standby = "10.0.0.9".parse().unwrap();
    allow_standbys(&mut fake, 5432, &[standby]).unwrap();
    assert!(fake.window(5432).unwrap().cordon.pass.contains(standby));
    assert_eq!(outcome(shared(&mut fake, &[cordon(5432, 1)])), "done");
}

#[test]
fn a_ramp_or_what_is_left_of_a_window_makes_room_in_the_same_transaction() {
    for (before, passed) in
        [(with_ramp(5432, 7), 10 * MINUTE + SECOND), (cordon(5432, 7), 11 * MINUTE)]
    {
        let mut fake = Fake::with([before]);
        fake.pass_time(passed);
        let raised = shared(&mut fake, &[cordon(5432, 1)]).unwrap();
        assert_eq!(raised.fresh[0].id(), id(5432, 1));
        assert_eq!(fake.changes, [Raise]);
    }
}

#[test]
fn a_damaged_window_is_put_back_with_its_time() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    fake.pass_time(MINUTE);
    let fault = "chain cordon is missing or changed".to_owned();
    fake.state.tables.get_mut(&5432).unwrap().faults = vec![fault.clone()];
    let raised = shared(&mut fake, &[cordon(5432, 1)]).unwrap();
    let found = &raised.found[0];
    assert_eq!(found.mended, [fault]);
    let cordon = &found.window.cordon;
    assert_eq!((cordon.length, cordon.farewell), (9 * MINUTE, Duration::ZERO));
    assert_eq!(cordon.identity.healed, 1);
}

#[test]
fn a_damaged_window_lasts_no_longer_while_another_one_is_read() {
    let mut fake = Fake::with([cordon(5432, 7), cordon(5433, 8)]);
    let fault = "chain cordon is missing or changed".to_owned();
    fake.state.tables.get_mut(&5432).unwrap().faults = vec![fault];
    fake.on(Before(Read), 2, |state| {
        state.now += MINUTE;
        Ok(())
    });
    shared(&mut fake, &[cordon(5432, 1), cordon(5433, 2)]).unwrap();
    let left = fake.window(5432).unwrap().cordon.length;
    assert_eq!(left, 9 * MINUTE);
}

#[test]
fn what_is_not_as_written_is_rolled_back() {
    let mut fake = Fake::default();
    fake.on(After(Raise), 1, |state| {
        let table = state.tables.get_mut(&5433).unwrap();
        table.cordon.verdict = Verdict::Reset;
        Ok(())
    });
    let raised = shared(&mut fake, &[cordon(5432, 1), cordon(5433, 2)]);
    assert_eq!(outcome(raised), "Firewall::Differs");
    assert!(fake.tables().is_empty());
}

#[test]
fn what_cannot_be_taken_back_is_said_to_be_left() {
    let table: [(When, Surprise, &str); 3] = [
        (Before(Remove), refused, "Left"),
        (Before(Remove), lost, "Left"),
        (After(Remove), lost, "Firewall::NoAnswer"),
    ];
    for (when, surprise, expected) in table {
        let mut fake = Fake::default();
        fake.on(After(Raise), 1, lost);
        fake.on(when, 1, surprise);
        let raised = shared(&mut fake, &[cordon(5432, 1), cordon(5433, 2)]);
        assert_eq!(outcome(raised), expected);
        assert_eq!(fake.window(5433), None, "the other port is open");
    }
}

#[test]
fn what_another_program_has_raised_meanwhile_is_not_taken_back() {
    let mut fake = Fake::default();
    fake.on(Before(Raise), 1, |state| {
        state.write(cordon(5432, 7));
        Ok(())
    });
    let raised = shared(&mut fake, &[cordon(5432, 1)]);
    assert_eq!(outcome(raised), "Firewall::Exists");
    assert_eq!(seen(&fake, 5432), Some((7, Phase::Closed)));
}
