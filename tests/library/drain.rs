//! What a drain reports of what it did, with a firewall in memory and a real PostgreSQL.

use crate::clients::net::{LONG, Remote, SERVER, in_namespace, within};
use crate::clients::server::{Server, log_in};
use crate::cordon::cordon;
use crate::window::fake::{Call, Fake, When};
use caps::{CapSet, Capability};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgcordon::testing::clients::{PortInodes, Process, Sockets, backends};
use pgcordon::testing::drain::{Listeners, Order, Pace, drain};
use pgcordon::testing::postgres::Access;
use std::time::Duration;

const PORT: u16 = 5432;

/// Drains one remote client without SQL, and tells how many backends were signalled. `before`
/// happens when the drain is about to send the SIGTERM: the farewell begins just before it.
fn signalled(before: fn(backend: i32)) -> usize {
    let remote = Remote::linked();
    let server = Server::start(SERVER, PORT, &[]);
    let mut client = remote.connect(format!("{SERVER}:{PORT}").parse().unwrap());
    log_in(&mut client);
    let connected = Sockets::open().unwrap().connected(PORT).unwrap();
    let postmaster = Process::read(server.pid()).unwrap().unwrap();
    let backend = backends(&postmaster, &PortInodes::new(&[], &connected)).unwrap()[0].pid;

    let mut firewall = Fake::with([cordon(PORT, 1)]);
    firewall.on(When::Before(Call::Change), 1, move |_| {
        before(backend);
        Ok(())
    });
    let window = firewall.window(PORT).unwrap();
    let listeners = Listeners::of(PORT, false).unwrap();
    let pace = Pace { farewell: Duration::from_secs(1), ..Pace::default() };
    let access = Access { user: Some("no such role".parse().unwrap()), ..Access::default() };
    let report = drain(&mut firewall, &Order::for_window(&window, &listeners, pace, access));
    // For the server's end, if `before` has given it up.
    caps::raise(None, CapSet::Effective, Capability::CAP_KILL).unwrap();
    report.signalled
}

#[test]
fn a_backend_that_gets_its_sigterm_is_counted_as_signalled() {
    in_namespace(|| assert_eq!(signalled(|_| {}), 1));
}

#[test]
fn a_backend_that_has_ended_before_its_sigterm_is_not_counted_as_signalled() {
    let end = |backend| {
        let pid = Pid::from_raw(backend);
        kill(pid, Signal::SIGTERM).unwrap();
        within(LONG, "the backend's end", || kill(pid, None).is_err().then_some(()));
    };
    in_namespace(move || assert_eq!(signalled(end), 0));
}

#[test]
fn a_backend_whose_sigterm_is_refused_is_not_counted_as_signalled() {
    let lose_the_right = |_| {
        // Of this thread alone.
        caps::drop(None, CapSet::Effective, Capability::CAP_KILL).unwrap();
    };
    in_namespace(move || assert_eq!(signalled(lose_the_right), 0));
}
