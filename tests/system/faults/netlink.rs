//! Netlink failing at each request of each command, once or from there on: not sent, refused
//! by the kernel, done and not acknowledged. One fault alone leaves nothing in doubt: `left`
//! and `read-back` come only where netlink goes on failing, or refuses for want of a
//! privilege. A lost acknowledgement is none: what was done is read.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::case::{Case, Command, WINDOW, left};
use crate::lab::{Fault, Host, Lab, Netlink, SOON};
use nix::errno::Errno;

/// Labs side by side.
const LABS: usize = 3;

/// What fails once at each request.
const ONCE: [Fault; 7] = [
    Fault::Send(Errno::ENOBUFS),
    Fault::Refused(Errno::EPERM),
    Fault::Refused(Errno::EINVAL),
    Fault::Refused(Errno::ENOBUFS),
    Fault::Refused(Errno::EBUSY),
    Fault::Receive(Errno::ENOBUFS),
    Fault::Lost,
];

/// What fails at each request and all later ones.
const FROM_THERE_ON: [Fault; 3] =
    [Fault::Refused(Errno::EPERM), Fault::Refused(Errno::ENOBUFS), Fault::Lost];

/// Runs a command in a lab with a fault at the request of this number, and judges what came
/// of it. Says how it ended, if it has come to the fault at all.
fn run(lab: &Lab, command: Command, number: usize, fault: Fault, once: bool) -> Option<String> {
    let (server, client) = (&lab.server, &lab.clients[0]);
    let session = client.connect(server.at_v4(5432));
    command.prepare(server);
    let mut netlink = match once {
        true => Netlink::fail(number, fault),
        false => Netlink::fail_from(number, fault),
    };
    let tool = command.tool(server);
    let (outcome, _) = tool.run_traced(|call| netlink.order(call));
    let request = netlink.requests.get(number).cloned().unwrap_or_default();
    let when = if once { "at" } else { "from" };
    let name = format!("{fault:?} {when} request {number} of {command:?} ({request})");
    let refused = fault == Fault::Refused(Errno::EPERM);
    let mut case = Case::of(server, &name, outcome);
    case.passes = once && !refused;
    if netlink.has_failed() {
        case.judge(command);
        case.check(case.status != 77 || refused, "77 is a missing privilege");
    } else {
        case.outcome.assert_status(0);
    }
    assert!(lab.cluster().connect_local().is_alive(), "{name}");
    server.cordon("lift");
    assert_eq!(server.ruleset(), "", "{name}");
    drop(session);
    netlink.has_failed().then(|| case.ending())
}

/// Lets each request of a command fail, and says how often.
fn run_all(labs: &[Lab], command: Command) -> usize {
    let endings = Mutex::new(BTreeMap::<String, usize>::new());
    let once = ONCE.map(|fault| (fault, true));
    let on = FROM_THERE_ON.map(|fault| (fault, false));
    for (fault, once) in once.into_iter().chain(on) {
        let next = AtomicUsize::new(0);
        let one = |lab: &Lab| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(ending) = run(lab, command, number, fault, once) else {
                return false;
            };
            *endings.lock().unwrap().entry(ending).or_default() += 1;
            true
        };
        thread::scope(|scope| {
            for lab in labs {
                scope.spawn(|| while one(lab) {});
            }
        });
    }
    let endings = endings.into_inner().unwrap();
    let count = endings.values().sum();
    let line = format!("faults: netlink failed {count} times in {command:?}: {endings:?}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    count
}

#[test]
fn netlink_failing_at_any_request_ends_in_a_stated_outcome() {
    let labs: Vec<Lab> = (0..LABS).map(|_| Lab::new(1)).collect();
    let counts = Command::ALL.map(|command| run_all(&labs, command));
    let count: usize = counts.iter().sum();
    assert!(count > 1000, "only {count} faults");
}

/// The number of a command's request that changes the firewall.
fn transaction(server: &Host, line: &str) -> usize {
    let mut netlink = Netlink::watch();
    let tool = server.tool().args(line.split(' '));
    let (outcome, _) = tool.run_traced(|call| netlink.order(call));
    outcome.assert_status(0);
    // NFNL_MSG_BATCH_BEGIN
    let begins = |request: &String| request.contains("type 0x10,");
    netlink.requests.iter().position(begins).expect("one")
}

#[test]
fn an_acknowledgement_that_never_comes_is_waited_for_no_longer_than_is_said() {
    let lab = Lab::bare(1);
    let server = &lab.server;
    let lines = [WINDOW, "extend --by 5m", "lift"];
    let numbers = lines.map(|line| transaction(server, line));
    for (before, line, number, status) in [
        (None, lines[0], numbers[0], 1),
        (Some(WINDOW), lines[1], numbers[1], 0),
        (None, lines[2], numbers[2], 0),
    ] {
        before.map(|before| server.cordon(before));
        let mut netlink = Netlink::fail(number, Fault::LostSlowly);
        let tool = server.tool().args(line.split(' ')).args(["-o", "json"]);
        let (outcome, _) = tool.run_traced(|call| netlink.order(call));
        outcome.assert_status(status);
        let patience = Duration::from_secs(5)..SOON;
        assert!(patience.contains(&outcome.took), "{:?}", outcome.took);
        match line {
            "extend --by 5m" => assert!(left(server).unwrap() > 700, "{outcome}"),
            _ => assert_eq!(server.ruleset(), "", "{outcome}"),
        }
        if status == 1 {
            outcome.assert_failure(1, "no-answer");
        }
    }
}

#[test]
fn a_raised_cordon_that_cannot_be_asked_how_long_it_lasts_is_not_called_undone() {
    let lab = Lab::bare(1);
    let server = &lab.server;
    // A list so long that the guard's end is taken from the kernel, not from what was written.
    let networks = (0..5000).map(|n| format!("10.{}.{}.0/32\n", n / 256, n % 256));
    server.write("/run/pass", networks.collect::<String>());
    let line = "start --for 10m --no-drain --allow @/run/pass";
    let number = transaction(server, line);
    server.cordon("lift");
    let mut netlink = Netlink::fail_from(number + 1, Fault::Refused(Errno::ENOBUFS));
    let tool = server.tool().args(line.split(' ')).args(["-o", "json"]);
    let (outcome, _) = tool.run_traced(|call| netlink.order(call));
    assert!(left(server).unwrap() > 590, "{outcome}");
    let report = outcome.assert_status(3).json();
    assert_eq!(report["error"]["kind"], "left", "{outcome}");
    server.cordon("lift");
    assert_eq!(server.ruleset(), "");
}
