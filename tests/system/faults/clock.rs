//! The clock is set, by a day back or forward: CLOCK_REALTIME as pgcordon sees it, by
//! libfaketime; the machine's own is never touched.
//!
//! | command, its clock a day off | outcome |
//! | --- | --- |
//! | `start`, `hold` | the kernel ends the window after the time that was asked for |
//! | `status`, `lift` | the time left is right; `ends_at` is told by the clock as it is now |
//! | `extend`, the clock a day back | 0; the total counts from now, as if just started |
//! | `extend`, the clock a day forward | 2, `too-long`: the window seems a day old, and `--max` permits more |

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::case::WINDOW;
use crate::lab::{Host, Lab, Outcome, Program, SOON, milliseconds, only_window};
use serde_json::Value;

const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// Milliseconds of a day.
const DAY: i128 = 24 * 60 * 60 * 1000;

/// How far the clock is off, for libfaketime and in milliseconds.
const SHIFTS: [(&str, i128); 2] = [("-1d", -DAY), ("+1d", DAY)];

/// What a test may take between two looks at a clock.
const SLACK: i128 = 60_000;

fn under(tool: Program) -> Program {
    assert!(Path::new(LIBRARY).exists(), "libfaketime is missing; tests/run installs it");
    tool.env("LD_PRELOAD", LIBRARY).env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// Runs a command whose clock is off.
fn cordon_at(server: &Host, shift: &str, line: &str) -> Outcome {
    let tool = server.tool().args(line.split(' ')).args(["-o", "json"]);
    under(tool).env("FAKETIME", shift).run()
}

fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_millis().try_into().unwrap()
}

/// Fails unless the only window of a report has so many seconds left, and its end is told by
/// a clock that is so far off.
#[track_caller]
fn assert_ends(report: &Value, seconds: i128, off: i128) {
    let window = only_window(report);
    let left = (window["remaining_s"].as_f64().unwrap() * 1000.0) as i128;
    let about = |value: i128, wanted: i128| (wanted - SLACK..=wanted + 1000).contains(&value);
    assert!(about(left, seconds * 1000), "{left} ms left in {report}");
    let end = i128::try_from(milliseconds(&window["ends_at"])).unwrap();
    let told = end - now() - off;
    assert!(about(told, seconds * 1000), "an end in {told} ms in {report}");
}

#[test]
fn a_window_lasts_as_long_as_was_asked_whatever_the_clock_says() {
    let lab = Lab::bare(1);
    let server = &lab.server;
    for (shift, off) in SHIFTS {
        let started = cordon_at(server, shift, WINDOW);
        assert_ends(&started.assert_status(0).json(), 600, off);
        let left = super::case::left(server).unwrap();
        assert!((500..=600).contains(&left), "{left} s");
        // A clock that is right again tells the same end in its own words.
        assert_ends(&server.cordon("status"), 600, 0);
        assert_ends(&cordon_at(server, "+0d", "status").json(), 600, 0);
        let lifted = cordon_at(server, shift, "lift");
        assert_ends(&lifted.assert_status(0).json(), 600, off);
        assert_eq!(server.ruleset(), "");
    }
}

#[test]
fn what_is_told_of_a_window_is_right_by_the_clock_that_is_there() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon(WINDOW);
    for (shift, off) in SHIFTS {
        let status = cordon_at(server, shift, "status --check");
        assert_ends(&status.assert_status(0).json(), 600, off);
        let again = cordon_at(server, shift, WINDOW).assert_status(0).json();
        assert_eq!(again["result"], "already-cordoned");
        assert_ends(&again, 600, off);
    }
}

#[test]
fn an_extend_by_a_wrong_clock_is_done_or_refused_and_bounded() {
    let lab = Lab::bare(0);
    let server = &lab.server;
    server.cordon(WINDOW);
    let left = || super::case::left(server).unwrap();

    // A day forward, the window seems to be a day old.
    let refused = cordon_at(server, "+1d", "extend --by 5m");
    let message = refused.assert_failure(2, "too-long");
    assert!(message.contains("1day"), "{message}");
    assert!(refused.stderr.contains("--max"), "{refused}");
    assert!((500..=600).contains(&left()));
    let permitted = cordon_at(server, "+1d", "extend --by 5m --max 48h");
    assert_ends(&permitted.assert_status(0).json(), 900, DAY);
    assert!((800..=900).contains(&left()));

    // A day back, it has not begun yet: what is left is the total.
    let back = cordon_at(server, "-1d", "extend --by 5m");
    assert_ends(&back.assert_status(0).json(), 1200, -DAY);
    assert!((1100..=1200).contains(&left()));
    let refused = cordon_at(server, "-1d", "extend --by 24h");
    refused.assert_failure(2, "too-long");
    assert!((1100..=1200).contains(&left()));
}

#[test]
fn a_hold_ends_on_time_although_the_clock_is_set_meanwhile() {
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    for (shift, _) in SHIFTS {
        let session = client.connect(server.at_v4(5432));
        server.write("/run/clock", "+0d");
        let line = ["hold", "--for", "5s", "-o", "json"];
        let hold = under(server.tool().args(line))
            .env("FAKETIME_TIMESTAMP_FILE", "/run/clock")
            .env("FAKETIME_NO_CACHE", "1")
            .spawn();
        session.wait_end(SOON).assert_farewell();
        server.write("/run/clock", shift);
        let outcome = hold.wait(SOON * 2);
        let report = outcome.assert_status(0).json();
        assert_eq!(report["result"], "lifted");
        // A clock that counted would have ended it at once, or after a day.
        assert!(outcome.took >= Duration::from_millis(4900), "{outcome}");
        assert_eq!(server.ruleset(), "");
    }
}
