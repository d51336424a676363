//! What happens to windows when the firewall does what it is told, and when it does not.

mod change;
pub mod fake;
mod lift;
mod raise;

use crate::cordon::cordon;
use fake::Call::{Change, Ports, Raise, Read, Remove};
use fake::When::{self, After, Before};
use fake::{Fake, State};
use pgcordon::testing::cordon::{
    Cordon, PassList, Phase, Ramp, Verdict, Window, WindowEnd, WindowId,
};
use pgcordon::testing::firewall::FirewallError;
use pgcordon::testing::window::{
    LockError, Outcome, Ownership, Raised, RampWish, WindowError, allow, allow_standbys,
    end_farewell, extend, lift, lift_own, lift_own_to_ramp, lift_to_ramp, raise, renew_farewell,
    spare, sweep,
};
use std::time::{Duration, SystemTime};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn with_ramp(port: u16, id: u64) -> Cordon {
    let ramp = Some(Ramp { length: MINUTE, per_second: 10 });
    Cordon { ramp, ..cordon(port, id) }
}

fn id(port: u16, id: u64) -> WindowId {
    WindowId { port, id }
}

fn passing(network: &str) -> PassList {
    PassList::new([network.parse().unwrap()]).unwrap()
}

/// Which window is on a port, and its phase.
fn seen(fake: &Fake, port: u16) -> Option<(u64, Phase)> {
    let window = fake.window(port)?;
    Some((window.cordon.identity.id, window.cordon.phase))
}

/// The variant of an error, or "done".
fn outcome<T>(result: Result<T, WindowError>) -> String {
    let Err(error) = result else {
        return "done".to_owned();
    };
    let debug = format!("{error:?}");
    let mut names = debug.split(|c: char| !c.is_alphanumeric());
    match names.next().unwrap() {
        room @ ("Firewall" | "Lock") => format!("{room}::{}", names.next().unwrap()),
        name => name.to_owned(),
    }
}

fn lost(_: &mut State) -> Result<(), FirewallError> {
    Err(FirewallError::NoAnswer)
}

fn refused(_: &mut State) -> Result<(), FirewallError> {
    let step = "create the table".to_owned();
    Err(FirewallError::Privilege { step })
}

fn unreadable(_: &mut State) -> Result<(), FirewallError> {
    Err(FirewallError::Read(std::io::ErrorKind::TimedOut.into()))
}

fn shared(fake: &mut Fake, cordons: &[Cordon]) -> Result<Raised, WindowError> {
    raise(fake, cordons, Ownership::Shared)
}

fn extend_to(fake: &mut Fake, length: Duration) -> Result<Vec<Outcome>, WindowError> {
    extend(fake, &[5432], WindowEnd::In(length), false, DAY)
}

type Surprise = fn(&mut State) -> Result<(), FirewallError>;
type Deed = fn(&mut Fake) -> String;

#[test]
fn what_is_not_known_is_read_and_what_cannot_be_read_is_told() {
    let start: Deed = |fake| outcome(shared(fake, &[cordon(5433, 1)]));
    let extend: Deed = |fake| outcome(extend_to(fake, 20 * MINUTE));
    let allow: Deed = |fake| {
        let networks = ["10.0.0.0/8".parse().unwrap()];
        outcome(allow(fake, &[5432], &networks, false))
    };
    let lift_it: Deed = |fake| outcome(lift(fake, &[5432]));
    let ramp: Deed = |fake| outcome(lift_to_ramp(fake, &[5432], RampWish::default()));
    let table: [(Deed, When, usize, Surprise, &str); 15] = [
        (start, Before(Raise), 1, lost, "Firewall::NoAnswer"),
        (start, After(Raise), 1, lost, "Firewall::NoAnswer"),
        (start, Before(Raise), 1, refused, "Firewall::Privilege"),
        (start, Before(Read), 2, unreadable, "Firewall::Read"),
        (extend, Before(Change), 1, lost, "Firewall::Differs"),
        (extend, After(Change), 1, lost, "done"),
        (extend, Before(Read), 2, unreadable, "Unverified"),
        (allow, Before(Change), 1, lost, "Firewall::Differs"),
        (allow, After(Change), 1, lost, "done"),
        (lift_it, Before(Remove), 1, lost, "Firewall::NoAnswer"),
        (lift_it, After(Remove), 1, lost, "done"),
        (lift_it, Before(Read), 2, unreadable, "LiftUnverified"),
        (ramp, Before(Raise), 1, lost, "Firewall::Differs"),
        (ramp, After(Raise), 1, lost, "done"),
        (ramp, Before(Read), 2, unreadable, "LiftUnverified"),
    ];
    for (deed, when, nth, surprise, expected) in table {
        let mut fake = Fake::with([with_ramp(5432, 7)]);
        fake.on(when, nth, surprise);
        assert_eq!(deed(&mut fake), expected, "{when:?} {nth}");
        // Nothing of a start that has failed is in force.
        assert_eq!(fake.window(5433), None);
    }
}

#[test]
fn a_lock_that_is_taken_is_respected_unless_a_stopped_guard_sits_on_it() {
    let taken = |pid| LockError::Taken {
        port: 5432,
        holder: format!("pgcordon process {pid}"),
        pid: Some(pid),
    };
    for (holder, expected) in [(98, "Lock::Taken"), (99, "done")] {
        let mut fake = Fake::with([cordon(5432, 7)]);
        fake.guards.insert(5432, 99);
        fake.lock_errors = [taken(holder)].into();
        assert_eq!(outcome(extend_to(&mut fake, 20 * MINUTE)), expected);
        fake.lock_errors = [taken(98)].into();
        assert_eq!(outcome(lift(&mut fake, &[5432])), "Lock::Taken");
    }
}

#[test]
fn a_guard_that_was_stopped_before_it_could_heal_is_ended_by_a_lift_which_says_so() {
    let mut fake = Fake::default();
    fake.guards.insert(5432, 99);
    let (port, holder, pid) = (5432, "pgcordon process 99".to_owned(), Some(99));
    fake.lock_errors = [LockError::Taken { port, holder, pid }].into();
    assert!(lift(&mut fake, &[5432]).unwrap().has_dismissed);
    assert!(fake.guards.is_empty());
    assert!(!lift(&mut fake, &[5432]).unwrap().has_dismissed);
}

#[test]
fn a_lock_that_cannot_be_had_keeps_no_port_closed_and_raises_no_window() {
    let mut fake = Fake::with([cordon(5432, 7), with_ramp(5433, 8)]);
    let mut without_lock = |deed: Deed| {
        fake.lock_errors = [LockError::Untrusted].into();
        deed(&mut fake)
    };
    let table: [(Deed, &str); 3] = [
        (|fake| outcome(lift(fake, &[5432])), "done"),
        (|fake| outcome(lift_own_to_ramp(fake, &[id(5433, 8)])), "done"),
        (|fake| outcome(shared(fake, &[cordon(5434, 1)])), "Lock::Untrusted"),
    ];
    for (deed, expected) in table {
        assert_eq!(without_lock(deed), expected);
    }
    assert_eq!(seen(&fake, 5433), Some((8, Phase::Ramp)));
    assert_eq!(fake.tables(), [5433]);
}
