//! The JSON contract. Fields may be added, never renamed; so all of its words stand here, and
//! a new name in another room changes none of them.

use super::{Body, CommandRun, Outcome, Report};
use crate::cordon::show::timestamp;
use crate::cordon::{
    Connection, Cordon, Counter, DrainReport, Knock, PassList, Peer, Phase, Ramp, SqlOutcome,
    Window,
};
use crate::failure::Failure;
use serde_json::{Value, json};
use std::time::Duration;

/// The version of this schema.
pub(super) const SCHEMA: u32 = 1;

/// A report as one JSON object.
pub fn report(report: &Report, warnings: &[String]) -> String {
    let complete = report.drain.as_ref().filter(|drain| drain.is_complete());
    let mut view = json!({
        "schema": SCHEMA,
        "command": report.command,
        "changed": report.changed,
        "result": match &report.body {
            Body::Windows(outcome) | Body::Run(outcome, _) => result(*outcome),
            Body::Plan { .. } => "planned",
            Body::Status(_) => "status",
        },
    });
    // What a report may lack altogether stands among what it always has.
    if let Some(path) = &report.policy {
        view["policy"] = json!(path.display().to_string());
    }
    view["windows"] = report.windows.iter().map(window).collect();
    view["drain"] = report.drain.as_ref().map(drain).into();
    match &report.body {
        Body::Windows(_) | Body::Run(_, None) | Body::Status(None) => {}
        Body::Plan { cordons, connections } => {
            if !cordons.is_empty() {
                view["planned"] = cordons.iter().map(planned).collect();
            }
            view["connections"] = connections.iter().map(connection).collect();
            if let Some(of_cordon) = cordons.iter().find_map(|cordon| cordon.ramp) {
                view["ramp"] = ramp(of_cordon);
            }
        }
        Body::Run(_, Some(cmd)) => view["cmd"] = command(cmd),
        Body::Status(Some(connections)) => {
            view["connections"] = connections.iter().map(connection).collect();
        }
    }
    view["timing"] = json!({
        "blocked_ms": report.blocked_after.map(milliseconds),
        "drained_ms": complete.map(|drain| milliseconds(drain.took)),
    });
    view["warnings"] = json!(warnings);
    view.to_string()
}

fn result(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Cordoned => "cordoned",
        Outcome::AlreadyCordoned => "already-cordoned",
        Outcome::Incomplete => "incomplete",
        Outcome::Drained => "drained",
        Outcome::Extended => "extended",
        Outcome::Allowed => "allowed",
        Outcome::Lifted | Outcome::Ramping => "lifted",
        Outcome::NotCordoned => "not-cordoned",
    }
}

/// A failure as one JSON object.
pub fn failure(command: &str, failure: &Failure) -> String {
    let view = json!({
        "schema": SCHEMA,
        "command": command,
        "changed": failure.why.changed,
        "result": "failed",
        "error": error(failure),
    });
    view.to_string()
}

pub(super) fn error(failure: &Failure) -> Value {
    json!({
        "kind": failure.why.kind.as_str(),
        "message": failure.message,
        "hint": failure.why.hint,
    })
}

fn window(window: &Window) -> Value {
    let Window { cordon, .. } = window;
    let identity = &cordon.identity;
    let Counter { packets, bytes } = window.blocked;
    let knock =
        |&Knock { address, packets }: &Knock| json!({ "address": address, "packets": packets });
    json!({
        "id": format!("{:016x}", identity.id),
        "port": cordon.port,
        "phase": match cordon.phase {
            Phase::Closed => "closed",
            Phase::Ramp => "ramp",
        },
        "started_at": timestamp(identity.started_at),
        "ends_at": timestamp(window.ends_at),
        "remaining_s": seconds(cordon.length),
        "verdict": cordon.verdict.as_str(),
        "reason": cordon.reason,
        "by": identity.by,
        "by_uid": identity.by_uid,
        "guard_pid": identity.guard,
        "healed": identity.healed,
        "blocked": { "packets": packets, "bytes": bytes },
        "knocks": window.knocks.iter().map(knock).collect::<Value>(),
        "pass": window.pass_was_read.then(|| networks(&cordon.pass)),
        "ramp": cordon.ramp.map(ramp),
    })
}

fn ramp(ramp: Ramp) -> Value {
    json!({ "for_s": seconds(ramp.length), "per_s": ramp.per_second })
}

fn planned(cordon: &Cordon) -> Value {
    json!({
        "port": cordon.port,
        "for_s": seconds(cordon.length),
        "verdict": cordon.verdict.as_str(),
        "reason": cordon.reason,
        "pass": networks(&cordon.pass),
        "ramp": cordon.ramp.map(ramp),
    })
}

fn networks(pass: &PassList) -> Value {
    pass.networks().map(|network| network.to_string()).collect()
}

fn drain(drain: &DrainReport) -> Value {
    let (backends, sockets) = (drain.backends, drain.sockets);
    json!({
        "sql": match &drain.sql {
            SqlOutcome::Used => "ok",
            SqlOutcome::NotUsed(why) => why,
        },
        "backends": {
            "found": backends.found,
            "ended": backends.ended,
            "left": backends.left,
        },
        "sockets": {
            "found": sockets.found,
            "destroyed": sockets.destroyed,
            "closing": sockets.closing,
            "left": sockets.left,
        },
        "signalled": drain.signalled,
        "spared": drain.spared.iter().map(peer).collect::<Value>(),
        "stragglers": drain.stragglers.iter().map(peer).collect::<Value>(),
        "unproven": drain.unproven,
    })
}

fn command(run: &CommandRun) -> Value {
    json!({
        "program": run.program,
        "pid": run.pid,
        "status": run.status,
        "signal": run.signal,
        "started_at": timestamp(run.started_at),
        "ended_at": timestamp(run.ended_at),
        "in_time": run.in_time,
    })
}

fn connection(connection: &Connection) -> Value {
    let mut view = peer(&connection.peer);
    view["verdict"] = json!(connection.fate.as_str());
    view["why"] = json!(connection.why);
    view
}

fn peer(peer: &Peer) -> Value {
    json!({
        "port": peer.port,
        "pid": peer.pid,
        "role": peer.role,
        "database": peer.database,
        "application": peer.application,
        "client": peer.client,
        "state": peer.state,
        "wait": peer.wait,
        "since_s": peer.since.map(seconds),
        "query": peer.query,
    })
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// To the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
