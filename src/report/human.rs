//! Reports for a person at a terminal, perhaps at three in the morning: what is the case,
//! until when, and what to do next.

use super::{Outcome, Report};
use crate::cordon::{
    Connection, DrainReport, Fate, Peer, Phase, Ramp, Rate, SqlOutcome, Verdict, Window,
    show_duration,
};
use crate::failure::Failure;
use crate::sys::terminal::{Paint, printable};
use std::fmt::Write;
use std::time::{Duration, SystemTime};

/// How many knocking addresses are listed.
const KNOCKS_SHOWN: usize = 10;
/// How much of a query is shown.
const QUERY_SHOWN: usize = 60;

/// A failure: what happened, and below it what to do next.
pub fn failure(failure: &Failure, paint: Paint) -> String {
    let mut text = format!(
        "{} {}",
        paint.error("pgcordon:"),
        printable(&failure.message)
    );
    if !failure.why.hint.is_empty() {
        let _ = write!(
            text,
            "\n  {} {}",
            paint.strong("hint:"),
            printable(&failure.why.hint)
        );
    }
    text
}

/// A whole report.
pub fn report(report: &Report, paint: Paint) -> String {
    let mut text = Text {
        lines: Vec::new(),
        paint,
    };
    text.headline(report);
    match (&report.drain, report.outcome) {
        (Some(drain), Outcome::Planned) => {
            text.planned(drain, report.ramp, report.connections.as_deref());
        }
        (Some(drain), outcome) if outcome != Outcome::Lifted => text.drain(drain),
        _ => {}
    }
    match report.outcome {
        Outcome::Status => {
            for window in &report.windows {
                let headline = text.sentence(report, window);
                text.lines.push(headline);
                text.window(window);
                text.connected(window.cordon.port, report.connections.as_deref());
            }
        }
        Outcome::Cordoned | Outcome::AlreadyCordoned | Outcome::Incomplete => text.way_out(report),
        _ => {}
    }
    match (&report.connections, report.outcome) {
        (Some(connections), outcome) if outcome != Outcome::Status => {
            text.connections(connections);
        }
        _ => {}
    }
    text.lines.join("\n")
}

struct Text {
    lines: Vec<String>,
    paint: Paint,
}

impl Text {
    fn headline(&mut self, report: &Report) {
        let none = report.windows.is_empty();
        let line = match report.outcome {
            Outcome::Status if none => "No window is in force: every port is open.".to_owned(),
            Outcome::NotCordoned => "There was no window; nothing was changed.".to_owned(),
            Outcome::Lifted if none => {
                "The port is open; its guard, which was about to close it again, is ended."
                    .to_owned()
            }
            Outcome::Planned | Outcome::Status => return,
            _ => {
                for window in &report.windows {
                    let line = self.sentence(report, window);
                    self.lines.push(line);
                }
                return;
            }
        };
        self.lines.push(line);
    }

    /// One sentence on one window.
    fn sentence(&self, report: &Report, window: &Window) -> String {
        let port = self.paint.strong(&format!("Port {}", window.cordon.port));
        let mut end = format!(
            "until {} ({} from now)",
            clock(window.ends_at),
            rounded(window.cordon.length)
        );
        if !window.is_closed() {
            return ramping(report, window, &port, &end);
        }
        if let Some(ramp) = window.cordon.ramp {
            let _ = write!(end, ", with {} after it", show_ramp(ramp));
        }
        match report.outcome {
            Outcome::Lifted => format!(
                "{port} is open again; the window had {} left.",
                rounded(window.cordon.length)
            ),
            Outcome::AlreadyCordoned => format!("{port} was cordoned already, {end}."),
            Outcome::Extended if !report.changed => format!("{port} stays cordoned {end}."),
            Outcome::Extended => format!("{port} is now cordoned {end}."),
            Outcome::Allowed => format!(
                "{port} lets {} through, {end}.",
                match window.cordon.pass.len() {
                    0 => "nobody remote".to_owned(),
                    1 => "1 network".to_owned(),
                    n => format!("{n} networks"),
                }
            ),
            _ => format!("{port} is cordoned {end}."),
        }
    }

    fn drain(&mut self, drain: &DrainReport) {
        let backends = drain.backends;
        let sockets = drain.sockets;
        let state = if drain.is_complete() {
            "Nobody remote is left".to_owned()
        } else {
            self.paint.warning("The drain is incomplete")
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
        self.lines.push(match backends.found + sockets.found {
            0 => format!("{state}: nobody was connected."),
            _ => format!(
                "{state}: {} of {} remote backends ended{destroyed}{closing}.",
                backends.ended, backends.found
            ),
        });
        let met = backends.found + sockets.found > 0;
        match &drain.sql {
            SqlOutcome::NotUsed(why) if met || !drain.is_complete() => self
                .lines
                .push(format!("  SQL was not used: {}", printable(why))),
            _ => {}
        }
        if let Some(why) = &drain.unproven {
            self.lines.push(format!("  not proven: {}", printable(why)));
        }
        for straggler in &drain.stragglers {
            let label = self.paint.warning("still there:");
            self.lines.push(format!("  {label} {}", peer(straggler)));
        }
    }

    /// What a drain would do.
    fn planned(
        &mut self,
        drain: &DrainReport,
        ramp: Option<Ramp>,
        connections: Option<&[Connection]>,
    ) {
        let connections = connections.unwrap_or_default();
        let count = |fate| connections.iter().filter(|c| c.fate == fate).count();
        self.lines.push(format!(
            "Would cut {} of {} connections; {} pass, {} are spared, {} are local.",
            count(Fate::Cut),
            connections.len(),
            count(Fate::Pass),
            count(Fate::Spared),
            count(Fate::Local)
        ));
        if let SqlOutcome::NotUsed(why) = &drain.sql {
            self.lines
                .push(format!("  SQL could not be used: {}", printable(why)));
        }
        if let Some(ramp) = ramp {
            let line = format!("After the window there would be {}.", show_ramp(ramp));
            self.lines.push(line);
        }
    }

    /// Who is connected to the port of a window, in numbers; nothing where it is not known.
    fn connected(&mut self, port: u16, connections: Option<&[Connection]>) {
        let Some(connections) = connections else {
            return;
        };
        let here = connections.iter().filter(|c| c.peer.port == port);
        let count = |fate| here.clone().filter(|c| c.fate == fate).count();
        self.lines.push(format!(
            "  {:<8} {} local, {} that pass, {} spared, {} other remote",
            "clients",
            count(Fate::Local),
            count(Fate::Pass),
            count(Fate::Spared),
            count(Fate::Cut)
        ));
    }

    fn window(&mut self, window: &Window) {
        let identity = &window.cordon.identity;
        let mut facts = vec![
            (
                "started",
                format!(
                    "{} by {} (uid {})",
                    clock(identity.started_at),
                    printable(&identity.by),
                    identity.by_uid
                ),
            ),
            (
                "blocked",
                format!(
                    "{} packets, {} bytes",
                    window.blocked.packets, window.blocked.bytes
                ),
            ),
        ];
        if let Some(reason) = &window.cordon.reason {
            facts.insert(0, ("reason", printable(reason.as_str())));
        }
        if window.cordon.verdict == Verdict::Reset {
            facts.push(("verdict", "reset".to_owned()));
        }
        if !window.cordon.pass.is_empty() {
            let shown: Vec<_> = window.cordon.pass.networks().take(KNOCKS_SHOWN).collect();
            let names = shown
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ");
            facts.push((
                "pass",
                and_more(names, window.cordon.pass.len(), shown.len()),
            ));
        }
        match identity.guard {
            Some(pid) => facts.push((
                "guard",
                format!("process {pid}, healed {}", identity.healed),
            )),
            None => facts.push((
                "guard",
                match window.cordon.phase {
                    Phase::Closed => "none: the kernel's timer ends the window".to_owned(),
                    Phase::Ramp => "none: the kernel's timer ends the ramp".to_owned(),
                },
            )),
        }
        if !window.knocks.is_empty() {
            let shown = window.knocks.len().min(KNOCKS_SHOWN);
            let names = window.knocks[..shown]
                .iter()
                .map(|knock| format!("{} ({})", knock.address, knock.packets))
                .collect::<Vec<_>>()
                .join(" ");
            facts.push(("knocks", and_more(names, window.knocks.len(), shown)));
        }
        for (name, value) in facts {
            self.lines.push(format!("  {name:<8} {value}"));
        }
    }

    fn way_out(&mut self, report: &Report) {
        if let Some(policy) = &report.policy {
            let policy = printable(&policy.display().to_string());
            self.lines.push(format!("  policy   {policy}"));
        }
        if let Some(window) = report.windows.first() {
            let port = match report.windows.len() {
                1 => String::new(),
                _ => format!(" --port {}", window.cordon.port),
            };
            self.lines
                .push(format!("To open the port before that: pgcordon lift{port}"));
        }
    }

    fn connections(&mut self, connections: &[Connection]) {
        if connections.is_empty() {
            self.lines
                .push("Nobody is connected to the port.".to_owned());
        }
        for connection in connections {
            let fate = format!("{:?}", connection.fate).to_lowercase();
            self.lines.push(format!(
                "  {fate:<6} {} ({})",
                peer(&connection.peer),
                printable(&connection.why)
            ));
        }
    }
}

/// One sentence on a port whose window is over and whose ramp is not.
fn ramping(report: &Report, window: &Window, port: &str, end: &str) -> String {
    let rate = match window.cordon.ramp {
        Some(Ramp { per_second: 1, .. }) => "1 new connection a second is let in".to_owned(),
        Some(ramp) => format!("{} new connections a second are let in", ramp.per_second),
        None => "new connections are let in slowly".to_owned(),
    };
    match report.outcome {
        Outcome::Lifted => format!(
            "{port} is open to everybody again; the ramp had {} left.",
            rounded(window.cordon.length)
        ),
        Outcome::Ramping if report.changed => {
            format!("{port} is open again, in a ramp {end}: {rate}.")
        }
        _ => format!("{port} is in its ramp {end}: {rate}."),
    }
}

/// `a ramp of 30s at 10/s`
fn show_ramp(ramp: Ramp) -> String {
    let (length, rate) = (rounded(ramp.length), Rate(ramp.per_second));
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
        let _ = write!(line, ", since {}", rounded(since));
    }
    if !peer.query.is_empty() {
        let short: String = peer.query.chars().take(QUERY_SHOWN).collect();
        let more = if short.len() < peer.query.len() {
            "…"
        } else {
            ""
        };
        let _ = write!(line, ", query: {}{more}", printable(&short));
    }
    line
}

fn and_more(names: String, all: usize, shown: usize) -> String {
    match all - shown {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// Whole seconds, rounded: a window of ten minutes shows as `10m`, not as `9m 59s`.
fn rounded(duration: Duration) -> String {
    if duration < Duration::from_millis(500) {
        return "0s".to_owned();
    }
    show_duration(Duration::from_secs(duration.as_secs_f64().round() as u64))
}

/// UTC to the second.
fn clock(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time)
        .to_string()
        .replace('T', " ")
}
