//! The drain: the ladder that ends remote connections, and the proof that nobody remains
//! (ARCHITECTURE.md, "Why the drain is as it is").
//!
//! Three rungs work at once. **SQL** reads `pg_stat_activity` and tells each remote backend
//! to end. **Sockets** are listed by the kernel, and find whom SQL does not show: clients
//! that have not authenticated, and everybody where SQL cannot be had. **Exits** are awaited
//! through pidfds. Normally a backend is told first and its socket left alone, so that its
//! last message and the close arrive; a socket is destroyed first where they cannot.

mod by_socket;
mod by_sql;
mod choices;
mod farewell;
mod judge;
mod listeners;
mod order;
mod proof;
mod report;
mod server;
mod survey;
mod watch;

pub use judge::Judge;
pub use listeners::{Listeners, ListenersError};
pub use order::{Order, Pace};
pub use survey::{Survey, SurveyError, connected, survey};

use self::watch::Watch;
use crate::clients::{self, Socket, Sockets};
use crate::cordon::{Backends, DrainReport, Peer, SqlOutcome};
use crate::sys::runtime::{in_thread, runtime};
use crate::window::{self, Guards};
use futures_util::future::join_all;
use server::{Questions, Server};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// For how long the sockets wait for SQL before backends are told directly: SQL also ends
/// the programs that a backend has started, a signal to the backend alone does not.
const SQL_GOES_FIRST: Duration = Duration::from_millis(250);

/// A send queue that has not moved for this long belongs to a client that does not read.
const STUCK: Duration = Duration::from_millis(200);

/// Between two looks at the sockets: TCP closes without telling anybody.
const TICK: Duration = Duration::from_millis(3);
/// The same while backends are still ending, which tells by itself.
const SLOW_TICK: Duration = Duration::from_millis(30);

/// A farewell that was written so recently need not be written again.
const FRESH: Duration = Duration::from_millis(100);

/// Why a drain could not go on.
#[derive(Debug, thiserror::Error)]
enum DrainError {
    #[error("cannot list the port's sockets: {0}")]
    Scan(#[source] io::Error),
    #[error("cannot ask the kernel's routing who is local: {0}")]
    Routing(#[source] io::Error),
    #[error("cannot wait for backends to end: {0}")]
    Watch(#[source] io::Error),
    #[error(transparent)]
    Process(#[from] clients::ProcessError),
    #[error(transparent)]
    Window(#[from] window::WindowError),
    #[error("cannot prepare the process: {0}")]
    Runtime(#[source] io::Error),
    #[error("nobody wants the drain any more")]
    Stopped,
    #[error("--spare needs SQL to know whose connections stay, and it cannot be had: {0}")]
    Spare(String),
}

/// Drains ports at the same time, each in a thread of its own, so that one that is stuck delays
/// no other and not the caller. Dropped, it stops.
pub async fn drain_all<F>(firewall: &F, orders: &[Order]) -> Option<DrainReport>
where
    F: Guards + Clone + Send + 'static,
{
    let (_wanted, until) = Stop::new();
    let drains = orders.iter().map(async |order| {
        let (mut firewall, order, until) = (firewall.clone(), order.clone(), until.clone());
        let drained = in_thread(move || drain_until(&mut firewall, &order, until)).await;
        drained.unwrap_or_else(|error| failed(&error, Instant::now()))
    });
    join_all(drains).await.into_iter().reduce(DrainReport::and)
}

/// Ends every remote connection of a port, and proves it. The calling thread waits.
///
/// It never fails: what could not be done is in the report.
pub fn drain(firewall: &mut impl Guards, order: &Order) -> DrainReport {
    let (_wanted, until) = Stop::new();
    drain_until(firewall, order, until)
}

fn drain_until(firewall: &mut impl Guards, order: &Order, until: Stop) -> DrainReport {
    let began = Instant::now();
    let climbed = runtime().map(|runtime| runtime.block_on(climb(firewall, order, began, until)));
    match climbed.map_err(DrainError::Runtime) {
        Ok(Ok(report)) => report,
        Ok(Err(error)) | Err(error) => failed(&error, began),
    }
}

async fn climb(
    firewall: &mut impl Guards,
    order: &Order,
    began: Instant,
    mut until: Stop,
) -> Result<DrainReport, DrainError> {
    let mut ladder = Ladder::new(firewall, order, began, until.clone())?;
    let climbed = tokio::select! {
        biased;
        () = until.stopped() => Err(DrainError::Stopped),
        climbed = ladder.climb() => climbed,
    };
    if !matches!(
        climbed,
        Ok(_) | Err(DrainError::Spare(_) | DrainError::Stopped)
    ) {
        ladder.give_up();
    }
    Ok(ladder.report(climbed))
}

/// The report of a drain that could not begin.
fn failed(error: &dyn std::error::Error, began: Instant) -> DrainReport {
    DrainReport {
        sql: SqlOutcome::NotUsed(error.to_string()),
        backends: Backends::default(),
        sockets: crate::cordon::Sockets::default(),
        signalled: 0,
        spared: Vec::new(),
        stragglers: Vec::new(),
        unproven: Some(error.to_string()),
        refused: None,
        took: began.elapsed(),
        warnings: Vec::new(),
    }
}

/// Tells a drain that nobody wants it any more: whoever wanted it has dropped the other end.
/// From then on it ends no connection: the port may be open again.
#[derive(Clone)]
struct Stop(tokio::sync::watch::Receiver<()>);

impl Stop {
    fn new() -> (tokio::sync::watch::Sender<()>, Self) {
        let (wanted, until) = tokio::sync::watch::channel(());
        (wanted, Self(until))
    }

    fn is_stopped(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Fails if nobody wants the drain any more.
    fn check(&self) -> Result<(), DrainError> {
        match self.is_stopped() {
            true => Err(DrainError::Stopped),
            false => Ok(()),
        }
    }

    async fn stopped(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

struct Ladder<'a, F> {
    firewall: &'a mut F,
    order: &'a Order,
    until: Stop,
    began: Instant,
    deadline: Instant,
    farewell: Farewell,
    judge: Judge,
    sockets: Sockets,
    servers: Vec<Server>,
    questions: Questions,
    watch: Watch,
    /// Every remote socket that was seen, by cookie.
    found: HashSet<u64>,
    destroyed: HashSet<u64>,
    /// The clients of destroyed sockets.
    reset: Vec<SocketAddr>,
    /// Sockets whose backend is known, by inode.
    owned: HashSet<u32>,
    /// Sockets with a send queue, by cookie.
    queues: HashMap<u64, Queue>,
    /// Whether a backend was told to end.
    has_told: bool,
    /// Backends that wait until it is clear whether their client reads.
    held: Vec<Held>,
    /// Backends that are told after all others, by server and the server's own pid.
    last: Vec<(usize, i32)>,
    /// Connections that were let through.
    spared: Vec<Peer>,
    signalled: usize,
    /// All sockets of the last look, local ones too.
    scan: Vec<Socket>,
    /// The remote sockets of the last look.
    left: Left,
    warnings: Vec<String>,
}

/// How the farewell stands.
enum Farewell {
    /// Not begun: no SIGTERM was sent, and no packet of an existing connection passes.
    Waiting,
    /// Until then.
    Until(Instant),
    /// Over.
    Over,
}

/// A send queue that is not empty.
struct Queue {
    acknowledged: Option<u64>,
    since: Instant,
    moved: bool,
}

/// A backend whose client may not be reading.
struct Held {
    server: usize,
    pid: i32,
    cookie: u64,
}

/// The remote sockets of one look.
#[derive(Default)]
struct Left {
    open: Vec<Socket>,
    closing: Vec<SocketAddr>,
}

impl<'a, F: Guards> Ladder<'a, F> {
    fn new(
        firewall: &'a mut F,
        order: &'a Order,
        began: Instant,
        until: Stop,
    ) -> Result<Self, DrainError> {
        let farewell = match (order.farewell.is_zero(), order.farewell_is_running) {
            (true, _) => Farewell::Over,
            (false, true) => {
                // Where statements are cancelled first, it begins anew with the first SIGTERM.
                Farewell::Until(began + order.farewell + order.cancel_first.unwrap_or_default())
            }
            (false, false) => Farewell::Waiting,
        };
        let mut judge = Judge::new(order.pass.clone()).map_err(DrainError::Routing)?;
        judge.spare(order.spared.iter().copied());
        judge.restrict(order.only.clone());
        Ok(Self {
            firewall,
            order,
            until,
            began,
            deadline: began + order.timeout + order.cancel_first.unwrap_or_default(),
            farewell,
            judge,
            sockets: Sockets::open().map_err(DrainError::Scan)?,
            servers: order.servers.iter().cloned().map(Server::new).collect(),
            questions: Questions::new(),
            watch: Watch::new().map_err(DrainError::Watch)?,
            found: HashSet::new(),
            destroyed: HashSet::new(),
            reset: Vec::new(),
            owned: HashSet::new(),
            queues: HashMap::new(),
            has_told: false,
            held: Vec::new(),
            last: Vec::new(),
            spared: Vec::new(),
            signalled: 0,
            scan: Vec::new(),
            left: Left::default(),
            warnings: Vec::new(),
        })
    }

    /// The whole drain: the farewell with all rungs at work, its end, and the proof.
    /// Says whether it is proven.
    async fn climb(&mut self) -> Result<bool, DrainError> {
        self.check_spare()?;
        self.look()?;
        // Nobody is cut before it is known who stays, with or without a farewell.
        while !(self.is_quiet() || self.farewell_is_over() && self.chosen()) {
            if Instant::now() >= self.deadline {
                break;
            }
            self.ask_servers();
            let until = match self.farewell_is_over() {
                true => self.deadline,
                false => self.farewell_end(),
            };
            self.event(until).await?;
            self.look()?;
        }
        self.check_spare()?;
        tracing::debug!(after = ?self.began.elapsed(), left = self.left.open.len(), "the farewell is over");
        self.end_farewell()?;
        tracing::debug!(after = ?self.began.elapsed(), "the farewell's end is in force");
        while !self.is_proven().await? {
            if Instant::now() >= self.deadline {
                return Ok(false);
            }
            self.ask_servers();
            self.event(self.deadline).await?;
        }
        Ok(true)
    }

    /// Nobody remote is seen any more, and nothing that was asked is still open.
    fn is_quiet(&self) -> bool {
        let asking = |server: &Server| matches!(server.state, server::State::Asking);
        let sql_is_over = !self.servers.iter().any(asking) || self.began.elapsed() > SQL_GOES_FIRST;
        self.left.open.is_empty()
            && self.left.closing.is_empty()
            && self.watch.alive() == 0
            && self.held.is_empty()
            && sql_is_over
    }

    /// Waits for the next thing that matters: a server's answer, the last exit, or a tick.
    async fn event(&mut self, until: Instant) -> Result<(), DrainError> {
        let alive = self.watch.alive() > 0;
        let tick = Instant::now() + if alive { SLOW_TICK } else { TICK };
        let tick = tokio::time::Instant::from_std(tick.min(until));
        loop {
            let alive = self.watch.alive() > 0;
            tokio::select! {
                Some(Ok((number, answer))) = self.questions.join_next() => {
                    self.hear(number, answer)?;
                    return Ok(());
                }
                exit = self.watch.exit(), if alive => {
                    exit.map_err(DrainError::Watch)?;
                    // A thousand exits are not a thousand reasons to list the sockets.
                    if self.watch.alive() == 0 {
                        tracing::debug!(after = ?self.began.elapsed(), "every backend has ended");
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(tick) => return Ok(()),
            }
        }
    }
}

/// A connection of which nothing but the client is known.
fn nobody(port: u16, client: Option<SocketAddr>) -> Peer {
    Peer {
        port,
        pid: None,
        role: String::new(),
        database: String::new(),
        application: String::new(),
        client,
        state: String::new(),
        wait: String::new(),
        since: None,
        query: String::new(),
    }
}
