//! What a lock that cannot be had means.

use super::*;

#[test]
fn a_lock_that_is_taken_is_respected() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    fake.lock_errors = [taken(1), taken(1)].into();
    let error = lift(&mut fake, &[5432]).unwrap_err();
    assert!(matches!(error, WindowError::Lock(LockError::Taken { .. })));
    shared(&mut fake, &[cordon(5433, 1)]).unwrap_err();
    assert_eq!(fake.tables(), [5432]);
}

#[test]
fn a_guard_that_sits_on_the_lock_is_ended() {
    let mut fake = Fake::with([cordon(5432, 7)]);
    fake.guards.insert(5432, 99);
    fake.lock_errors = [taken(99)].into();
    let end = WindowEnd::By(MINUTE);
    assert!(extend(&mut fake, &[5432], end, false, DAY).is_ok());
    assert!(fake.guards.is_empty());
}

#[test]
fn a_lock_that_cannot_be_had_keeps_no_port_closed_and_raises_no_window() {
    let mut fake = Fake::with([cordon(5432, 7), with_ramp(5433, 8)]);
    fake.lock_errors = [LockError::Untrusted].into();
    lift(&mut fake, &[5432]).unwrap();
    fake.lock_errors = [LockError::Untrusted].into();
    lift_own_to_ramp(&mut fake, &[id(5433, 8)]).unwrap();
    fake.lock_errors = [LockError::Untrusted].into();
    let error = shared(&mut fake, &[cordon(5434, 1)]).unwrap_err();
    assert!(matches!(error, WindowError::Lock(LockError::Untrusted)));
    assert_eq!(standing(&fake, 5433), Some((8, Phase::Ramp)));
    assert_eq!(fake.tables(), [5433]);
}
