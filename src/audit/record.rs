//! What commands have done to windows, as events.

use super::{Action, Event};
use crate::cordon::{DrainReport, Window, show};
use ipnet::IpNet;
use std::time::Duration;

/// As many networks are listed.
const NETWORKS_SHOWN: usize = 10;

/// Windows that a command has raised, so long after it was called.
pub fn started(command: &str, fresh: &[Window], blocked_after: Duration) {
    let blocked_ms = blocked_after.as_secs_f64() * 1e3;
    for window in fresh {
        Event::new(Action::Start)
            .window(window)
            .with("command", command)
            .with("verdict", window.cordon.verdict)
            .with("pass", window.cordon.pass.len())
            .with("blocked_ms", format!("{blocked_ms:.3}"))
            .record();
    }
}

/// What was drained on these ports.
pub fn drained(ports: impl IntoIterator<Item = u16>, drain: &DrainReport) {
    Event::new(Action::Drain).with("port", show::joined(ports, ",")).drain(drain).record();
}

/// A damaged cordon that was put back.
pub fn healed(window: &Window, faults: &[String]) {
    Event::new(Action::Heal).window(window).why(faults.join("; ")).record();
}

/// A window whose end was moved.
pub fn extended(window: &Window, why: &str) {
    Event::new(Action::Extend).window(window).why(why).record();
}

/// A pass list that was changed.
pub fn allowed(window: &Window, networks: &[IpNet], removed: bool) {
    let name = if removed { "removed" } else { "added" };
    let shown = networks.iter().take(NETWORKS_SHOWN);
    let mut words: Vec<String> = shown.map(IpNet::to_string).collect();
    if networks.len() > NETWORKS_SHOWN {
        words.push(format!("and {} more", networks.len() - NETWORKS_SHOWN));
    }
    Event::new(Action::Allow)
        .window(window)
        .with(name, words.join(" "))
        .with("pass", window.cordon.pass.len())
        .record();
}

/// Windows that were ended before their time.
pub fn lifted(windows: &[Window], why: &str) {
    for window in windows {
        Event::new(Action::Lift).window(window).why(why).record();
    }
}

/// A window whose time is over.
pub fn ended(window: &Window) {
    Event::new(Action::End).window(window).record();
}
