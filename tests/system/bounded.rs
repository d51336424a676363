//! Promise 1: a block never outlasts its window, whatever dies.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::lab::{
    Host, Lab, Reach, SOON, START, milliseconds, only_window, warns, with_time_enough,
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// Tries to connect again and again until it is answered. Gives, in milliseconds since
/// 1970, when the last attempt that failed was begun and when one succeeded.
fn first_answer(client: &Host, to: SocketAddr) -> (i128, i128) {
    let deadline = Instant::now() + SOON * 4;
    let mut failed = 0;
    client.inside(|| {
        while Instant::now() < deadline {
            let began = now();
            match std::net::TcpStream::connect_timeout(&to, Duration::from_millis(15)) {
                Ok(_) => return (failed, now()),
                // Nobody listens on the port, and the kernel says so.
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
                    return (failed, now());
                }
                Err(_) => failed = began,
            }
        }
        panic!("{to} stays blocked");
    })
}

/// Who is there when windows end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Present {
    /// Every pgcordon was killed.
    Nobody,
    /// Each window has its guard.
    Guards,
}

/// How many milliseconds from its end a port may be seen to open. The kernel is exact to a few;
/// this allows for what a busy machine makes of the looking.
const PUNCTUAL: i128 = 2000;

/// How a window comes to its end, by the number of its port. None where it has come before it
/// was moved.
fn begin(server: &Host, number: u16, seconds: u64) -> Option<SocketAddr> {
    let port = 6000 + number;
    let cordon = |line: String| {
        let outcome = server.try_cordon(&format!("{line} --port {port}"));
        outcome.status.success().then_some(())
    };
    match number % 5 {
        0 | 1 => cordon(format!("start --for {seconds}s --no-drain"))?,
        // Made shorter.
        2 => {
            cordon("start --for 5m --no-drain".to_owned())?;
            cordon(format!("extend --for {seconds}s --shorten"))?;
        }
        // Made longer.
        3 => {
            cordon(format!("start --for {}s --no-drain", seconds / 2))?;
            cordon(format!("extend --by {}s", seconds / 2))?;
        }
        // In the place of another one.
        _ => {
            cordon("start --for 5m --no-drain --verdict reset".to_owned())?;
            cordon("lift".to_owned())?;
            cordon(format!("start --for {seconds}s --no-drain"))?;
        }
    }
    Some(match number % 2 {
        0 => server.at_v4(port),
        _ => server.at_v6(port),
    })
}

/// Lets so many windows end side by side; gives for each how many milliseconds after its
/// end the last attempt was begun that failed, and one succeeded. None where one was over
/// before it was looked at.
fn let_end(lab: &Lab, windows: u16, present: Present, seconds: u64) -> Option<Vec<(i128, i128)>> {
    let (server, client) = (&lab.server, &lab.clients[0]);
    server.cordon("lift --all");
    let targets: Option<Vec<SocketAddr>> = thread::scope(|scope| {
        let begun = (0..windows).map(|number| scope.spawn(move || begin(server, number, seconds)));
        let begun: Vec<_> = begun.collect();
        begun.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let targets = targets?;
    let report = server.cordon("status");
    let ends: BTreeMap<u64, i128> = report["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|window| {
            let end = i128::try_from(milliseconds(&window["ends_at"])).unwrap();
            (window["port"].as_u64().unwrap(), end)
        })
        .collect();
    if ends.len() < usize::from(windows) {
        return None;
    }
    match present {
        Present::Nobody => server.kill_every_pgcordon(),
        Present::Guards => {
            let guards = server.pids_of("pgcordon-guard").len();
            if guards < usize::from(windows) {
                return None;
            }
            assert_eq!(guards, usize::from(windows));
        }
    }
    thread::scope(|scope| {
        let trying = targets.iter().map(|to| {
            let end = ends[&u64::from(to.port())];
            scope.spawn(move || {
                let (failed, answered) = first_answer(client, *to);
                (failed > 0).then_some((failed - end, answered - end))
            })
        });
        let trying: Vec<_> = trying.collect();
        trying.into_iter().map(|one| one.join().unwrap()).collect()
    })
}

#[test]
fn fifty_windows_end_at_their_time() {
    let lab = Lab::bare(1);
    for present in [Present::Nobody, Present::Guards] {
        let batches =
            (0..5).flat_map(|_| with_time_enough(|seconds| let_end(&lab, 10, present, seconds)));
        let batches: Vec<_> = batches.collect();
        let latest = batches.iter().map(|(blocked, _)| blocked).max().unwrap();
        let earliest = batches.iter().map(|(_, open)| open).min().unwrap();
        println!("{present:?}: blocked until {latest} ms, open from {earliest} ms after the end");
        assert_eq!(batches.len(), 50);
        for (blocked, open) in &batches {
            assert!(*blocked <= PUNCTUAL, "blocked {blocked} ms after the end");
            assert!(*open >= -PUNCTUAL, "open {open} ms after the end");
        }
    }
}

/// Runs the tool once in a host of its own and says how long that takes: kills are spread
/// over this time, so that they meet it everywhere between its first and its last step.
fn usual_time(host: &Host, line: &str) -> Duration {
    let took = host.try_cordon(line).assert_status(0).took;
    took.clamp(Duration::from_millis(8), Duration::from_secs(1))
}

/// Starts the tool and kills it after so long.
fn kill_after(host: &Host, line: &str, delay: Duration) {
    let mut running = host.tool().args(line.split(' ')).spawn();
    let deadline = Instant::now() + delay;
    while Instant::now() < deadline {
        std::hint::spin_loop();
    }
    if running.is_running() {
        running.signal(Signal::SIGKILL);
    }
    drop(running.wait(SOON));
}

const KILLS: u32 = 120;

/// After how long the tool is killed each time: spread over the time that it usually takes, and
/// over twice as long again and again until it was met on both sides of its deed.
fn kills(longest: Duration, mut kill: impl FnMut(Duration) -> bool) {
    let mut longest = longest;
    let mut sides = BTreeMap::<bool, u32>::new();
    while sides.len() < 2 {
        for number in 0..KILLS {
            *sides.entry(kill(longest * number / KILLS)).or_default() += 1;
        }
        println!("kills within {longest:?}, and how many came after the deed: {sides:?}");
        assert!(longest < SOON, "the kills met one side alone");
        longest *= 2;
    }
}

#[test]
fn a_start_that_is_killed_leaves_a_whole_cordon_or_none() {
    let lab = Lab::bare(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    let longest = usual_time(server, START);
    server.cordon("lift");
    let mut takes_over = false;
    kills(longest, |delay| {
        kill_after(server, START, delay);
        server.assert_every_element_ends(5432);
        let elements = server.timed_elements(5432);
        let names: Vec<_> = elements.iter().map(|(set, _)| *set).collect();
        if names.is_empty() {
            assert_eq!(server.ruleset(), "", "after {delay:?}");
        } else {
            assert_eq!(names, ["window", "armed", "farewell"]);
        }
        // What is left, the next call takes over, or clears away.
        takes_over = !takes_over;
        if takes_over {
            let again = server.cordon(START);
            assert_eq!(again["changed"], names.is_empty());
            assert_eq!(only_window(&server.cordon("status"))["port"], 5432);
        }
        server.cordon("lift");
        assert_eq!(server.ruleset(), "");
        !names.is_empty()
    });
    assert_eq!(client.reach(server.at_v4(5432), SOON), Reach::Refused);
}

#[test]
fn an_extend_that_is_killed_leaves_the_old_end_or_the_new_one() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon(START);
    let longest = usual_time(server, "extend --for 11m");
    let mut expected = milliseconds(&server.window()["ends_at"]);
    kills(longest, |delay| {
        kill_after(server, "extend --by 1m", delay);
        server.assert_every_element_ends(5432);
        let report = server.cordon("status");
        assert!(!warns(&report, &["damaged"]), "after {delay:?}: {report}");
        let end = milliseconds(&only_window(&report)["ends_at"]);
        let moved = (end + 30_000).saturating_sub(expected) / 60_000 == 1;
        let apart = end.abs_diff(expected + if moved { 60_000 } else { 0 });
        assert!(apart <= 1000, "after {delay:?} the end is off by {apart} ms");
        expected = end;
        moved
    });
    server.cordon("lift");
    assert_eq!(server.ruleset(), "");
}

/// Waits until the element that blocks a port has gone.
fn wait_window_over(server: &Host) {
    let blocks = |(set, _): &(&str, Value)| *set == "window";
    let deadline = Instant::now() + SOON;
    while server.timed_elements(5432).iter().any(blocks) {
        assert!(Instant::now() < deadline, "the window goes on");
    }
}

#[test]
fn what_a_window_leaves_behind_is_removed_by_the_next_start_or_lift() {
    let lab = Lab::bare(1);
    let hosts = [&lab.server, &lab.clients[0]];
    for host in hosts {
        host.cordon("start --for 1s --no-drain --no-guard --reason old");
    }
    for host in hosts {
        wait_window_over(host);
        // Whoever only looks leaves it alone.
        assert_eq!(host.cordon("status")["windows"], json!([]));
        host.try_cordon("status --check").assert_status(4);
        assert!(host.ruleset().contains("pgcordon_5432"));
    }
    let [started, lifted] = hosts;

    let again = started.cordon(START);
    assert_eq!((&again["result"], &again["changed"]), (&json!("cordoned"), &json!(true)));
    assert_eq!(only_window(&again)["reason"], Value::Null);
    started.cordon("lift");
    let nothing = lifted.cordon("lift");
    assert_eq!((&nothing["result"], &nothing["changed"]), (&json!("not-cordoned"), &json!(false)));
    assert_eq!(lifted.ruleset(), "");
}

#[test]
fn extend_removes_what_an_old_window_has_left_behind() {
    for line in ["extend --by 5m", "extend --by 5m --port 5432"] {
        let lab = Lab::bare(0);
        let server = &lab.server;
        server.cordon("start --for 1s --no-drain --no-guard");
        wait_window_over(server);
        server.try_cordon(line).assert_failure(4, "no-window");
        assert_eq!(server.ruleset(), "", "{line}");
    }
}
