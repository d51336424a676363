//! The JSON contract. Fields may be added, never renamed; so all of its words stand here, and
//! a new name in another room changes none of them.

use super::{Body, CommandRun, Outcome, Report};
use crate::cordon::show::timestamp;
use crate::cordon::{
    Connection, Cordon, Counter, DrainReport, Knock, PassList, Peer, Phase, Ramp, Reason,
    SqlOutcome, Window,
};
use crate::failure::Failure;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The version of this schema.
pub(super) const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct ReportView<'a> {
    schema: u32,
    command: &'a str,
    changed: bool,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    windows: Vec<WindowView<'a>>,
    drain: Option<DrainView<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    planned: Vec<PlannedView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<Vec<ConnectionView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ramp: Option<RampView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd: Option<CommandView<'a>>,
    timing: TimingView,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct WindowView<'a> {
    id: String,
    port: u16,
    phase: &'static str,
    started_at: String,
    ends_at: String,
    remaining_s: f64,
    verdict: &'static str,
    reason: Option<&'a str>,
    by: &'a str,
    by_uid: u32,
    guard_pid: Option<u32>,
    healed: u32,
    blocked: CounterView,
    knocks: Vec<KnockView>,
    pass: Option<Vec<String>>,
    ramp: Option<RampView>,
}

#[derive(Serialize)]
struct CounterView {
    packets: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct KnockView {
    address: IpAddr,
    packets: u64,
}

#[derive(Serialize)]
struct RampView {
    for_s: f64,
    per_s: u32,
}

#[derive(Serialize)]
struct PlannedView<'a> {
    port: u16,
    for_s: f64,
    verdict: &'static str,
    reason: Option<&'a str>,
    pass: Vec<String>,
    ramp: Option<RampView>,
}

#[derive(Serialize)]
struct DrainView<'a> {
    sql: &'a str,
    backends: BackendsView,
    sockets: SocketsView,
    signalled: usize,
    spared: Vec<PeerView<'a>>,
    stragglers: Vec<PeerView<'a>>,
    unproven: Option<&'a str>,
}

#[derive(Serialize)]
struct BackendsView {
    found: usize,
    ended: usize,
    left: usize,
}

#[derive(Serialize)]
struct SocketsView {
    found: usize,
    destroyed: usize,
    closing: usize,
    left: usize,
}

#[derive(Serialize)]
struct PeerView<'a> {
    port: u16,
    pid: Option<i32>,
    role: &'a str,
    database: &'a str,
    application: &'a str,
    client: Option<SocketAddr>,
    state: &'a str,
    wait: &'a str,
    since_s: Option<f64>,
    query: &'a str,
}

#[derive(Serialize)]
struct ConnectionView<'a> {
    #[serde(flatten)]
    peer: PeerView<'a>,
    verdict: &'static str,
    why: &'a str,
}

#[derive(Serialize)]
struct CommandView<'a> {
    program: &'a str,
    pid: i32,
    status: u8,
    signal: Option<i32>,
    started_at: String,
    ended_at: String,
    in_time: bool,
}

#[derive(Serialize)]
struct TimingView {
    blocked_ms: Option<f64>,
    drained_ms: Option<f64>,
}

#[derive(Serialize)]
pub(super) struct ErrorView<'a> {
    kind: &'static str,
    message: &'a str,
    hint: &'a str,
}

impl<'a> From<&'a Failure> for ErrorView<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self { kind: failure.why.kind.as_str(), message: &failure.message, hint: &failure.why.hint }
    }
}

#[derive(Serialize)]
struct FailureView<'a> {
    schema: u32,
    command: &'a str,
    changed: bool,
    result: &'static str,
    error: ErrorView<'a>,
}

/// A report as one JSON object.
pub fn report(report: &Report, warnings: &[String]) -> String {
    let mut view = ReportView {
        schema: SCHEMA,
        command: report.command,
        changed: report.changed,
        result: "",
        policy: report.policy.as_ref().map(|path| path.display().to_string()),
        windows: report.windows.iter().map(window).collect(),
        drain: report.drain.as_ref().map(drain),
        planned: Vec::new(),
        connections: None,
        ramp: None,
        cmd: None,
        timing: TimingView { blocked_ms: report.blocked_after.map(milliseconds), drained_ms: None },
        warnings,
    };
    let complete = report.drain.as_ref().filter(|drain| drain.is_complete());
    view.timing.drained_ms = complete.map(|drain| milliseconds(drain.took));
    match &report.body {
        Body::Windows(outcome) => view.result = result(*outcome),
        Body::Plan { cordons, connections } => {
            view.result = "planned";
            view.planned = cordons.iter().map(planned).collect();
            view.connections = Some(connections.iter().map(connection).collect());
            view.ramp = cordons.iter().find_map(|cordon| cordon.ramp).map(ramp);
        }
        Body::Run(outcome, cmd) => {
            view.result = result(*outcome);
            view.cmd = cmd.as_ref().map(command);
        }
        Body::Status(connections) => {
            view.result = "status";
            let connections = connections.as_ref();
            view.connections = connections.map(|all| all.iter().map(connection).collect());
        }
    }
    text(&view)
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
    text(&FailureView {
        schema: SCHEMA,
        command,
        changed: failure.why.changed,
        result: "failed",
        error: failure.into(),
    })
}

pub(super) fn text(view: &impl Serialize) -> String {
    // Every map in these views has text for keys, so that nothing can fail.
    serde_json::to_string(view).unwrap_or_default()
}

fn window(window: &Window) -> WindowView<'_> {
    let Window { cordon, .. } = window;
    let identity = &cordon.identity;
    let Counter { packets, bytes } = window.blocked;
    let knock = |&Knock { address, packets }: &Knock| KnockView { address, packets };
    WindowView {
        id: format!("{:016x}", identity.id),
        port: cordon.port,
        phase: match cordon.phase {
            Phase::Closed => "closed",
            Phase::Ramp => "ramp",
        },
        started_at: timestamp(identity.started_at),
        ends_at: timestamp(window.ends_at),
        remaining_s: seconds(cordon.length),
        verdict: cordon.verdict.as_str(),
        reason: cordon.reason.as_ref().map(Reason::as_str),
        by: &identity.by,
        by_uid: identity.by_uid,
        guard_pid: identity.guard,
        healed: identity.healed,
        blocked: CounterView { packets, bytes },
        knocks: window.knocks.iter().map(knock).collect(),
        pass: window.pass_was_read.then(|| networks(&cordon.pass)),
        ramp: cordon.ramp.map(ramp),
    }
}

fn ramp(ramp: Ramp) -> RampView {
    RampView { for_s: seconds(ramp.length), per_s: ramp.per_second }
}

fn planned(cordon: &Cordon) -> PlannedView<'_> {
    PlannedView {
        port: cordon.port,
        for_s: seconds(cordon.length),
        verdict: cordon.verdict.as_str(),
        reason: cordon.reason.as_ref().map(Reason::as_str),
        pass: networks(&cordon.pass),
        ramp: cordon.ramp.map(ramp),
    }
}

fn networks(pass: &PassList) -> Vec<String> {
    let networks = pass.networks();
    networks.map(|network| network.to_string()).collect()
}

fn drain(drain: &DrainReport) -> DrainView<'_> {
    let (backends, sockets) = (drain.backends, drain.sockets);
    DrainView {
        sql: match &drain.sql {
            SqlOutcome::Used => "ok",
            SqlOutcome::NotUsed(why) => why,
        },
        backends: BackendsView {
            found: backends.found,
            ended: backends.ended,
            left: backends.left,
        },
        sockets: SocketsView {
            found: sockets.found,
            destroyed: sockets.destroyed,
            closing: sockets.closing,
            left: sockets.left,
        },
        signalled: drain.signalled,
        spared: drain.spared.iter().map(peer).collect(),
        stragglers: drain.stragglers.iter().map(peer).collect(),
        unproven: drain.unproven.as_deref(),
    }
}

fn command(run: &CommandRun) -> CommandView<'_> {
    CommandView {
        program: &run.program,
        pid: run.pid,
        status: run.status,
        signal: run.signal,
        started_at: timestamp(run.started_at),
        ended_at: timestamp(run.ended_at),
        in_time: run.in_time,
    }
}

fn connection(connection: &Connection) -> ConnectionView<'_> {
    ConnectionView {
        peer: peer(&connection.peer),
        verdict: connection.fate.as_str(),
        why: &connection.why,
    }
}

fn peer(peer: &Peer) -> PeerView<'_> {
    PeerView {
        port: peer.port,
        pid: peer.pid,
        role: &peer.role,
        database: &peer.database,
        application: &peer.application,
        client: peer.client,
        state: &peer.state,
        wait: &peer.wait,
        since_s: peer.since.map(seconds),
        query: &peer.query,
    }
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// To the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
