//! What stories about a cordon say again and again.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::host::{Host, Reach};
use super::outcome::Outcome;
use super::processes::GLANCE;

/// A window that is long enough for every story, and cuts nobody.
pub const START: &str = "start --for 10m --no-drain";

/// For what has to come to pass, however busy the machine is. It only bounds a wait: no story
/// is about how soon something comes within it.
pub const SOON: Duration = Duration::from_secs(30);

/// How long a client waits that is to be blocked. It may be short: what a slow machine makes of
/// it is one more client that gets no answer.
pub const GLIMPSE: Duration = Duration::from_millis(250);

impl Host {
    /// Runs `pgcordon LINE -o json` to its end. The line is split at spaces.
    pub fn try_cordon(&self, line: &str) -> Outcome {
        self.tool().args(line.split(' ')).args(["-o", "json"]).run()
    }

    /// The same where it must exit with 0; gives what it printed.
    #[track_caller]
    pub fn cordon(&self, line: &str) -> Value {
        self.try_cordon(line).assert_status(0).json()
    }

    /// The only window that `status` shows.
    #[track_caller]
    pub fn window(&self) -> Value {
        only_window(&self.cordon("status"))
    }

    /// Waits until the only window here is over and its ramp has begun, and gives that.
    #[track_caller]
    pub fn wait_for_ramp(&self) -> Value {
        let deadline = Instant::now() + SOON * 2;
        loop {
            let window = self.window();
            if window["phase"] == "ramp" {
                return window;
            }
            assert!(Instant::now() < deadline, "no ramp: {window}");
            std::thread::sleep(GLANCE);
        }
    }

    /// Waits until the guard has put the only window here back so often, and gives that.
    #[track_caller]
    pub fn wait_healed(&self, times: u64) -> Value {
        let deadline = Instant::now() + SOON;
        loop {
            let report = self.cordon("status");
            let window = &report["windows"][0];
            if window["healed"].as_u64() >= Some(times) {
                return only_window(&report);
            }
            assert!(Instant::now() < deadline, "healed {times} times? {report}");
            std::thread::sleep(GLANCE);
        }
    }

    /// Fails unless every one of these connections can be made from here.
    #[track_caller]
    pub fn assert_reaches(&self, targets: &[SocketAddr]) {
        for target in targets {
            let reach = self.reach(*target, SOON);
            assert_eq!(reach, Reach::Connected, "from {} to {target}", self.v4);
        }
    }

    /// Fails unless none of these connections gets any answer.
    #[track_caller]
    pub fn assert_blocked(&self, targets: &[SocketAddr]) {
        for target in targets {
            let reach = self.reach(*target, GLIMPSE);
            assert_eq!(reach, Reach::Silence, "from {} to {target}", self.v4);
        }
    }

    /// The elements of a port's window, by set, as `nft -j` shows them: those that block
    /// or let pass for a time.
    pub fn timed_elements(&self, port: u16) -> Vec<(&'static str, Value)> {
        let table = format!("pgcordon_{port}");
        let objects = self.nft_json();
        let mut elements = Vec::new();
        for set in ["window", "armed", "farewell", "ramp", "flows4", "flows6"] {
            let found = objects
                .iter()
                .map(|object| &object["set"])
                .find(|found| found["table"] == *table && found["name"] == set);
            let found = found.and_then(|found| found["elem"].as_array());
            elements.extend(found.into_iter().flatten().map(|e| (set, e.clone())));
        }
        elements
    }

    /// Fails if an element of a port's window would stay for ever.
    #[track_caller]
    pub fn assert_every_element_ends(&self, port: u16) {
        for (set, element) in self.timed_elements(port) {
            let expires = element["elem"]["expires"].as_u64();
            assert!(expires.is_some(), "set {set}: {element} has no end");
        }
    }
}

/// The only window of a report.
#[track_caller]
pub fn only_window(report: &Value) -> Value {
    match report["windows"].as_array().map(Vec::as_slice) {
        Some([window]) => window.clone(),
        _ => panic!("one window expected in {report}"),
    }
}

/// Whether one of a report's warnings holds all of these texts.
pub fn warns(report: &Value, texts: &[&str]) -> bool {
    let warnings = report["warnings"].as_array().expect("a list of warnings");
    let holds = |warning: &Value| {
        let warning = warning.as_str().expect("a warning is text");
        texts.iter().all(|text| warning.contains(text))
    };
    warnings.iter().any(holds)
}

/// A time in JSON, in milliseconds since 1970.
#[track_caller]
pub fn milliseconds(time: &Value) -> u128 {
    let text = time.as_str().unwrap_or_else(|| panic!("a time: {time}"));
    humantime::parse_rfc3339(text)
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_millis()
}

/// Fails unless two times are the same end: it is told by the time that is left, and a busy
/// machine pauses between two looks.
#[track_caller]
pub fn assert_same_end(one: &Value, other: &Value) {
    let apart = milliseconds(one).abs_diff(milliseconds(other));
    assert!(apart <= 1000, "{one} and {other} are {apart} ms apart");
}

/// Tells a story whose windows, of so many seconds, have to last until something has been done
/// in them: with longer ones where the story says, by None, that the machine was too slow.
#[track_caller]
pub fn with_time_enough<T>(story: impl FnMut(u64) -> Option<T>) -> T {
    let told = [2, 6, 20, 60].into_iter().find_map(story);
    told.expect("a machine on which a window of a minute is long enough")
}

impl Outcome {
    /// Fails unless it is a failure of this exit status and kind: one JSON object on
    /// stdout, and on stderr one line with the message and one with a hint. Gives the
    /// message.
    #[track_caller]
    pub fn assert_failure(&self, status: i32, kind: &str) -> String {
        let report = self.assert_status(status).json();
        let error = &report["error"];
        assert_eq!(report["schema"], 1, "{self}");
        assert_eq!(report["changed"], false, "{self}");
        assert_eq!(report["result"], "failed", "{self}");
        assert_eq!(error["kind"], kind, "{self}");
        let message = error["message"].as_str().expect("a message");
        let lines: Vec<_> = self.stderr.lines().collect();
        let [first, second] = lines[..] else {
            panic!("one line and a hint expected on stderr of {self}");
        };
        // What could upset a terminal is escaped there.
        if message.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            assert_eq!(first, format!("pgcordon: {message}"), "{self}");
        }
        assert!(first.starts_with("pgcordon: "), "{self}");
        assert!(second.trim_start().starts_with("hint: "), "{self}");
        message.to_owned()
    }
}
