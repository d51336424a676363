//! What commands have done, for the record.

use crate::audit::{Action, Event};
use crate::cordon::{Cordon, DrainReport, Window};
use crate::drain::Order;
use crate::report::Report;
use ipnet::IpNet;

/// As many networks are listed.
const NETWORKS_SHOWN: usize = 10;

/// Windows that were raised here.
pub fn started(command: &'static str, report: &Report, cordons: &[Cordon]) {
    let ours = |window: &&Window| {
        let mut ids = cordons.iter().map(|cordon| cordon.identity.id);
        ids.any(|id| id == window.cordon.identity.id)
    };
    let blocked = report.blocked_after.map(|after| after.as_secs_f64() * 1e3);
    for window in report.windows.iter().filter(ours) {
        Event::new(Action::Start)
            .window(window)
            .with("command", command)
            .with("verdict", window.cordon.verdict)
            .with("pass", window.cordon.pass.len())
            .with_some("blocked_ms", blocked.map(|ms| format!("{ms:.3}")))
            .record();
    }
}

/// What was drained on these ports.
pub fn drained(orders: &[Order], drain: Option<&DrainReport>) {
    if let Some(drain) = drain {
        let ports: Vec<String> = orders.iter().map(|order| order.port.to_string()).collect();
        Event::new(Action::Drain)
            .with("port", ports.join(","))
            .drain(drain)
            .record();
    }
}

/// A damaged cordon that was put back.
pub fn healed(window: &Window, faults: &[String]) {
    Event::new(Action::Heal)
        .window(window)
        .why(faults.join("; "))
        .record();
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
