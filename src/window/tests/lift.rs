//! Ending windows, and removing what old ones have left.

use super::*;

#[test]
fn the_window_and_its_guard_end() {
    let mut fake = Fake::with([cordon(5432, 7), cordon(5433, 8)]);
    fake.guards.insert(5432, 99);
    let lifted = lift(&mut fake, &[5431, 5432]).unwrap();
    assert_eq!(lifted.len(), 1);
    assert_eq!(lifted[0].id(), id(5432, 7));
    assert_eq!(fake.tables(), [5433]);
    assert!(fake.guards.is_empty());
}

#[test]
fn only_the_own_window_is_lifted() {
    let mut fake = Fake::with([cordon(5432, 7), cordon(5433, 8)]);
    fake.guards.insert(5433, 99);
    let own = [id(5432, 7), id(5433, 2)];
    assert_eq!(lift_own(&mut fake, &own).unwrap().len(), 1);
    assert_eq!(standing(&fake, 5433), Some((8, Phase::Closed)));
    assert_eq!(fake.guards.get(&5433), Some(&99));
}

#[test]
fn an_own_window_that_stays_is_told() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    fake.on(Before(Remove), 1, refused);
    let error = lift_own(&mut fake, &[id(5432, 7)]).unwrap_err();
    assert!(matches!(error, WindowError::Left { ports, .. } if ports == [5432]));
}

#[test]
fn what_somebody_else_removes_at_the_same_moment_is_gone() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    fake.on(Before(Remove), 1, |state| {
        state.tables.clear();
        Ok(())
    });
    assert_eq!(lift(&mut fake, &[5432]).unwrap().len(), 1);
}

#[test]
fn a_lost_answer_is_read() {
    let mut made = Fake::with([cordon(5432, 7)]);
    made.on(After(Remove), 1, lost);
    assert!(lift(&mut made, &[5432]).is_ok());

    let mut not_made = Fake::with([cordon(5432, 7)]);
    not_made.on(Before(Remove), 1, lost);
    let error = lift(&mut not_made, &[5432]).unwrap_err();
    assert!(matches!(
        error,
        WindowError::Firewall(FirewallError::NoAnswer)
    ));

    let mut unread = Fake::with([cordon(5432, 7)]);
    unread.on(After(Remove), 1, lost);
    unread.on(Before(Ports), 1, unreadable);
    let error = lift(&mut unread, &[5432]).unwrap_err();
    assert!(matches!(error, WindowError::LiftUnverified { .. }));
}

#[test]
fn a_table_that_is_back_at_once_is_an_error() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    fake.on(After(Remove), 1, |state| {
        state.tables = Fake::with([cordon(5432, 7)]).state.tables;
        Ok(())
    });
    let error = lift(&mut fake, &[5432]).unwrap_err();
    assert!(
        error.to_string().contains("the table is still there"),
        "{error}"
    );
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
