//! Raising windows, and going along with those in force.

use super::*;

#[test]
fn fresh_windows_and_those_found_are_told_apart() {
    let mut fake = Fake::with([cordon(5433, 7)]);
    let asked = [cordon(5432, 1), cordon(5433, 2), cordon(5434, 3)];
    let raised = shared(&mut fake, &asked).unwrap();
    let fresh: Vec<_> = raised.fresh.iter().map(Window::id).collect();
    assert_eq!(fresh, [id(5432, 1), id(5434, 3)]);
    assert_eq!(raised.found.len(), 1);
    assert_eq!(raised.found[0].window.id(), id(5433, 7));
    assert!(!raised.found[0].changed);
    assert_eq!(fake.changes, [Raise]);
}

#[test]
fn a_window_of_somebody_else_is_refused_to_whoever_needs_an_own_one() {
    let mut fake = Fake::with([cordon(5433, 7)]);
    let asked = [cordon(5432, 1), cordon(5433, 2)];
    let error = raise(&mut fake, &asked, Ownership::Exclusive).unwrap_err();
    assert!(matches!(error, WindowError::Occupied { port: 5433 }));
    assert_eq!(fake.tables(), [5433]);
}

#[test]
fn a_window_on_other_terms_is_refused_and_nothing_is_raised() {
    let other_verdict = Cordon {
        verdict: Verdict::Reset,
        ..cordon(5433, 2)
    };
    let other_pass = Cordon {
        pass: passing("10.0.0.0/8"),
        ..cordon(5433, 2)
    };
    for (asked, told) in [
        (other_verdict, "the verdict drop instead of reset"),
        (other_pass, "the pass list empty instead of 10.0.0.0/8"),
    ] {
        let mut fake = Fake::with([cordon(5433, 7)]);
        let error = shared(&mut fake, &[cordon(5432, 1), asked]).unwrap_err();
        match error {
            WindowError::Differs { port, differences } => {
                assert_eq!((port, differences), (5433, vec![told.to_owned()]));
            }
            other => panic!("{other}"),
        }
        assert_eq!(fake.tables(), [5433]);
    }
}

#[test]
fn another_end_ramp_or_reason_is_the_same_window() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    let asked = Cordon {
        length: MINUTE,
        reason: crate::cordon::Reason::new("upgrade").ok(),
        ..with_ramp(5432, 1)
    };
    let raised = shared(&mut fake, &[asked]).unwrap();
    assert_eq!(raised.found[0].window.id(), id(5432, 7));
}

#[test]
fn a_window_with_standbys_is_the_one_that_was_asked_for_without_them() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    allow_standbys(&mut fake, 5432, &["10.0.0.9".parse().unwrap()]).unwrap();
    assert!(
        fake.window(5432)
            .unwrap()
            .cordon
            .pass
            .contains("10.0.0.9".parse().unwrap())
    );
    let raised = shared(&mut fake, &[cordon(5432, 1)]).unwrap();
    assert_eq!(raised.found[0].window.id(), id(5432, 7));
}

#[test]
fn a_ramp_or_what_is_left_of_a_window_makes_room_in_the_same_transaction() {
    for (before, passed) in [
        (with_ramp(5432, 7), 10 * MINUTE + SECOND),
        (cordon(5432, 7), 11 * MINUTE),
    ] {
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
    assert_eq!(found.window.cordon.length, 9 * MINUTE);
    assert_eq!(found.window.cordon.identity.healed, 1);
    assert_eq!(found.window.cordon.farewell, Duration::ZERO);
    assert!(raised.fresh.is_empty());
}

#[test]
fn what_is_not_as_written_is_rolled_back() {
    let mut fake = Fake::default();
    fake.on(After(Raise), 1, |state| {
        let damaged = state.tables.get_mut(&5433).unwrap();
        damaged.cordon.verdict = Verdict::Reset;
        Ok(())
    });
    let asked = [cordon(5432, 1), cordon(5433, 2)];
    let error = shared(&mut fake, &asked).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the verdict reset instead of drop"),
        "{error}"
    );
    assert!(fake.tables().is_empty());
}

#[test]
fn what_cannot_be_read_back_is_rolled_back() {
    let mut fake = Fake::default();
    fake.on(Before(Read), 2, unreadable);
    let error = shared(&mut fake, &[cordon(5432, 1)]).unwrap_err();
    assert!(matches!(
        error,
        WindowError::Firewall(FirewallError::Read(_))
    ));
    assert!(fake.tables().is_empty());
}

#[test]
fn a_lost_answer_is_taken_back_whether_it_was_made_or_not() {
    for is_made in [true, false] {
        let mut fake = Fake::default();
        let when = if is_made { After(Raise) } else { Before(Raise) };
        fake.on(when, 1, lost);
        let error = shared(&mut fake, &[cordon(5432, 1)]).unwrap_err();
        assert!(matches!(
            error,
            WindowError::Firewall(FirewallError::NoAnswer)
        ));
        assert!(fake.tables().is_empty());
        assert_eq!(fake.changes.contains(&Remove), is_made);
    }
}

#[test]
fn what_cannot_be_taken_back_is_said_to_be_left() {
    let mut fake = Fake::default();
    fake.on(After(Raise), 1, lost);
    fake.on(Before(Remove), 1, refused);
    let asked = [cordon(5432, 1), cordon(5433, 2)];
    match shared(&mut fake, &asked).unwrap_err() {
        WindowError::Left { ports, source } => {
            assert_eq!(ports, [5432]);
            assert!(matches!(
                *source,
                WindowError::Firewall(FirewallError::NoAnswer)
            ));
        }
        other => panic!("{other}"),
    }
    assert_eq!(fake.tables(), [5432], "the other port is open");
}

#[test]
fn taking_back_goes_by_what_the_kernel_has() {
    // The answer to the removal is lost as well: what is there tells.
    for (is_made, is_left) in [(true, false), (false, true)] {
        let mut fake = Fake::default();
        fake.on(After(Raise), 1, lost);
        let when = if is_made {
            After(Remove)
        } else {
            Before(Remove)
        };
        fake.on(when, 1, lost);
        let error = shared(&mut fake, &[cordon(5432, 1)]).unwrap_err();
        assert_eq!(
            matches!(error, WindowError::Left { .. }),
            is_left,
            "{error}"
        );
    }
}

#[test]
fn what_another_program_has_raised_meanwhile_is_not_taken_back() {
    let mut fake = Fake::default();
    fake.on(Before(Raise), 1, |state| {
        let theirs = Fake::with([cordon(5432, 7)]);
        state.tables = theirs.state.tables;
        Ok(())
    });
    let error = shared(&mut fake, &[cordon(5432, 1)]).unwrap_err();
    assert!(matches!(
        error,
        WindowError::Firewall(FirewallError::Exists)
    ));
    assert_eq!(standing(&fake, 5432), Some((7, Phase::Closed)));
}
