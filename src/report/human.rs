//! Reports for a person at a terminal, perhaps at three in the morning: what is the case,
//! until when, and what to do next.

use super::{Body, Outcome, Report};
use crate::cordon::{
    Connection, Cordon, DrainReport, Fate, Peer, Phase, Ramp, Rate, SqlOutcome, Verdict, Window,
    show,
};
use crate::failure::Failure;
use crate::sys::terminal::{Paint, printable};
use std::fmt::Write;

/// How many networks and knocking addresses are listed.
const ADDRESSES_SHOWN: usize = 10;
/// How much of a query is shown.
const QUERY_SHOWN: usize = 60;

/// A failure: what happened, and below it what to do next.
pub fn failure(failure: &Failure, paint: Paint) -> String {
    let mut text = format!("{} {}", paint.error("pgcordon:"), printable(&failure.message));
    if !failure.why.hint.is_empty() {
        let _ = write!(text, "\n  {} {}", paint.strong("hint:"), printable(&failure.why.hint));
    }
    text
}

/// A whole report.
pub fn report(report: &Report, paint: Paint) -> String {
    let lines = match &report.body {
        Body::Windows(outcome) | Body::Run(outcome, _) => windows(report, *outcome, paint),
        Body::Plan { cordons, connections } => plan(report.drain.as_ref(), cordons, connections),
        Body::Status(connections) => status(&report.windows, connections.as_deref(), paint),
    };
    lines.join("\n")
}

/// What has become of windows, and how to go on.
fn windows(report: &Report, outcome: Outcome, paint: Paint) -> Vec<String> {
    let mut lines = match outcome {
        Outcome::NotCordoned => vec!["There was no window; nothing was changed.".to_owned()],
        Outcome::Lifted if report.windows.is_empty() => vec![
            "The port is open; its guard, which was about to close it again, is ended.".to_owned(),
        ],
        _ => {
            let sentence = |window| sentence(window, outcome, report.changed, paint);
            report.windows.iter().map(sentence).collect()
        }
    };
    if let Some(found) = report.drain.as_ref().filter(|_| outcome != Outcome::Lifted) {
        lines.extend(drain(found, paint));
    }
    if matches!(outcome, Outcome::Cordoned | Outcome::AlreadyCordoned | Outcome::Incomplete) {
        lines.extend(way_out(report));
    }
    lines
}

/// One sentence on one window.
fn sentence(window: &Window, outcome: Outcome, changed: bool, paint: Paint) -> String {
    let cordon = &window.cordon;
    let port = paint.strong(&format!("Port {}", cordon.port));
    let left = show::rounded(cordon.length);
    let mut end = format!("until {} ({left} from now)", show::clock(window.ends_at));
    if !window.is_closed() {
        let rate = match cordon.ramp {
            Some(Ramp { per_second: 1, .. }) => "1 new connection a second is let in".to_owned(),
            Some(ramp) => format!("{} new connections a second are let in", ramp.per_second),
            None => "new connections are let in slowly".to_owned(),
        };
        return match outcome {
            Outcome::Lifted => {
                format!("{port} is open to everybody again; the ramp had {left} left.")
            }
            Outcome::Ramping if changed => {
                format!("{port} is open again, in a ramp {end}: {rate}.")
            }
            _ => format!("{port} is in its ramp {end}: {rate}."),
        };
    }
    if let Some(ramp) = cordon.ramp {
        let _ = write!(end, ", with {} after it", a_ramp(ramp));
    }
    match outcome {
        Outcome::Lifted => format!("{port} is open again; the window had {left} left."),
        Outcome::AlreadyCordoned => format!("{port} was cordoned already, {end}."),
        Outcome::Extended if !changed => format!("{port} stays cordoned {end}."),
        Outcome::Extended => format!("{port} is now cordoned {end}."),
        Outcome::Allowed => {
            let through = match cordon.pass.len() {
                0 => "nobody remote".to_owned(),
                1 => "1 network".to_owned(),
                n => format!("{n} networks"),
            };
            format!("{port} lets {through} through, {end}.")
        }
        _ => format!("{port} is cordoned {end}."),
    }
}

fn drain(drain: &DrainReport, paint: Paint) -> Vec<String> {
    let (backends, sockets) = (drain.backends, drain.sockets);
    let state = match drain.is_complete() {
        true => "Nobody remote is left".to_owned(),
        false => paint.warning("The drain is incomplete"),
    };
    let destroyed = match sockets.destroyed {
        0 => String::new(),
        1 => ", 1 connection was reset".to_owned(),
        n => format!(", {n} connections were reset"),
    };
    let closing = match sockets.closing {
        0 => String::new(),
        1 => ", 1 is finishing its close".to_owned(),
        n => format!(", {n} are finishing their close"),
    };
    let met = backends.found + sockets.found > 0;
    let mut lines = vec![match met {
        false => format!("{state}: nobody was connected."),
        true => format!(
            "{state}: {} of {} remote backends ended{destroyed}{closing}.",
            backends.ended, backends.found
        ),
    }];
    match &drain.sql {
        SqlOutcome::NotUsed(why) if met || !drain.is_complete() => {
            lines.push(format!("  SQL was not used: {}", printable(why)));
        }
        _ => {}
    }
    if let Some(why) = &drain.unproven {
        lines.push(format!("  not proven: {}", printable(why)));
    }
    for straggler in &drain.stragglers {
        let label = paint.warning("still there:");
        lines.push(format!("  {label} {}", peer(straggler)));
    }
    lines
}

fn way_out(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(policy) = &report.policy {
        let policy = printable(&policy.display().to_string());
        lines.push(format!("  policy   {policy}"));
    }
    if let Some(window) = report.windows.first() {
        let port = match report.windows.len() {
            1 => String::new(),
            _ => format!(" --port {}", window.cordon.port),
        };
        lines.push(format!("To open the port before that: pgcordon lift{port}"));
    }
    lines
}

/// What a call would do, and to whom.
fn plan(
    drain: Option<&DrainReport>,
    cordons: &[Cordon],
    connections: &[Connection],
) -> Vec<String> {
    let count = |fate| connections.iter().filter(|c| c.fate == fate).count();
    let mut lines = vec![format!(
        "Would cut {} of {} connections; {} pass, {} are spared, {} are local.",
        count(Fate::Cut),
        connections.len(),
        count(Fate::Pass),
        count(Fate::Spared),
        count(Fate::Local)
    )];
    if let Some(SqlOutcome::NotUsed(why)) = drain.map(|drain| &drain.sql) {
        lines.push(format!("  SQL could not be used: {}", printable(why)));
    }
    if let Some(ramp) = cordons.iter().find_map(|cordon| cordon.ramp) {
        lines.push(format!("After the window there would be {}.", a_ramp(ramp)));
    }
    if connections.is_empty() {
        lines.push("Nobody is connected to the port.".to_owned());
    }
    lines.extend(connections.iter().map(|connection| {
        format!(
            "  {:<6} {} ({})",
            connection.fate.as_str(),
            peer(&connection.peer),
            printable(&connection.why)
        )
    }));
    lines
}

/// Every window, with who is connected in numbers where that is known.
fn status(windows: &[Window], connections: Option<&[Connection]>, paint: Paint) -> Vec<String> {
    if windows.is_empty() {
        return vec!["No window is in force: every port is open.".to_owned()];
    }
    let mut lines = Vec::new();
    for window in windows {
        lines.push(sentence(window, Outcome::Cordoned, false, paint));
        let mut facts = facts(window);
        if let Some(connections) = connections {
            let here = connections.iter().filter(|c| c.peer.port == window.cordon.port);
            let count = |fate| here.clone().filter(|c| c.fate == fate).count();
            facts.push((
                "clients",
                format!(
                    "{} local, {} that pass, {} spared, {} other remote",
                    count(Fate::Local),
                    count(Fate::Pass),
                    count(Fate::Spared),
                    count(Fate::Cut)
                ),
            ));
        }
        let facts = facts.into_iter();
        lines.extend(facts.map(|(name, value)| format!("  {name:<8} {value}")));
    }
    lines
}

fn facts(window: &Window) -> Vec<(&'static str, String)> {
    let cordon = &window.cordon;
    let identity = &cordon.identity;
    let mut facts = Vec::new();
    if let Some(reason) = &cordon.reason {
        facts.push(("reason", printable(reason.as_str())));
    }
    facts.push((
        "started",
        format!(
            "{} by {} (uid {})",
            show::clock(identity.started_at),
            printable(&identity.by),
            identity.by_uid
        ),
    ));
    facts.push((
        "blocked",
        format!("{} packets, {} bytes", window.blocked.packets, window.blocked.bytes),
    ));
    if cordon.verdict == Verdict::Reset {
        facts.push(("verdict", "reset".to_owned()));
    }
    if !cordon.pass.is_empty() {
        facts.push(("pass", some_of(cordon.pass.networks(), cordon.pass.len())));
    }
    let guard = match (identity.guard, cordon.phase) {
        (Some(pid), _) => format!("process {pid}, healed {}", identity.healed),
        (None, Phase::Closed) => "none: the kernel's timer ends the window".to_owned(),
        (None, Phase::Ramp) => "none: the kernel's timer ends the ramp".to_owned(),
    };
    facts.push(("guard", guard));
    if !window.knocks.is_empty() {
        let knocks = window.knocks.iter();
        let knocks = knocks.map(|knock| format!("{} ({})", knock.address, knock.packets));
        facts.push(("knocks", some_of(knocks, window.knocks.len())));
    }
    facts
}

/// The first of many, and how many more there are.
fn some_of(names: impl Iterator<Item = impl ToString>, all: usize) -> String {
    let shown: Vec<String> = names.take(ADDRESSES_SHOWN).map(|name| name.to_string()).collect();
    match all - shown.len() {
        0 => shown.join(" "),
        more => format!("{} and {more} more", shown.join(" ")),
    }
}

/// `a ramp of 30s at 10/s`
fn a_ramp(ramp: Ramp) -> String {
    let (length, rate) = (show::rounded(ramp.length), Rate(ramp.per_second));
    format!("a ramp of {length} at {rate}")
}

/// One connection in one line, as much of it as is known.
fn peer(peer: &Peer) -> String {
    let mut line = String::new();
    match peer.pid {
        Some(pid) => _ = write!(line, "backend {pid}"),
        None => line.push_str("connection without a known backend"),
    }
    match peer.client {
        Some(client) => _ = write!(line, " of {client}"),
        None => line.push_str(" on the Unix socket"),
    }
    let named = [
        ("role", &peer.role),
        ("database", &peer.database),
        ("application", &peer.application),
        ("state", &peer.state),
        ("wait", &peer.wait),
    ];
    for (name, value) in named.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(line, ", {name} {}", printable(value));
    }
    if let Some(since) = peer.since {
        let _ = write!(line, ", since {}", show::rounded(since));
    }
    if !peer.query.is_empty() {
        let short: String = peer.query.chars().take(QUERY_SHOWN).collect();
        let more = if short.len() < peer.query.len() { "…" } else { "" };
        let _ = write!(line, ", query: {}{more}", printable(&short));
    }
    line
}
