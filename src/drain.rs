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
mod classify;
mod farewell;
mod listeners;
mod order;
mod proof;
mod report;
mod scan;
mod server;
mod sql;
mod stop;
mod survey;
mod watch;

pub use classify::Classifier;
pub use listeners::{Listeners, ListenersError};
pub use order::{Order, Pace};
pub use survey::{SurveyError, connected, survey};

use self::watch::Watch;
use crate::clients;
use crate::cordon::{DrainReport, Fate, Peer, SqlOutcome};
use crate::sys::runtime::{in_thread, runtime};
use crate::window::{self, Guards};
use farewell::Farewell;
use futures_util::future::join_all;
use scan::SocketScan;
use sql::SqlRung;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stop::Stop;

/// For how long the sockets wait for SQL before backends are told directly: SQL also ends
/// the programs that a backend has started, a signal to the backend alone does not.
const SQL_GOES_FIRST: Duration = Duration::from_millis(250);

/// Between two looks at the sockets: TCP closes without telling anybody.
const TICK: Duration = Duration::from_millis(3);
/// The same while backends are still ending, which tells by itself.
const SLOW_TICK: Duration = Duration::from_millis(30);

/// Why SQL cannot be had where the port has no listener that can be seen.
const NO_SERVER: &str = "no process listens on the port";

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
    let (_wanted, stop) = Stop::new();
    let drains = orders.iter().map(async |order| {
        let (mut firewall, order, stop) = (firewall.clone(), order.clone(), stop.clone());
        let drained = in_thread(move || drain_unless_stopped(&mut firewall, &order, stop)).await;
        drained.unwrap_or_else(|error| failed(&error, Instant::now()))
    });
    join_all(drains).await.into_iter().reduce(DrainReport::and)
}

/// Ends every remote connection of a port, and proves it. The calling thread waits.
///
/// It never fails: what could not be done is in the report.
pub fn drain(firewall: &mut impl Guards, order: &Order) -> DrainReport {
    let (_wanted, stop) = Stop::new();
    drain_unless_stopped(firewall, order, stop)
}

fn drain_unless_stopped(firewall: &mut impl Guards, order: &Order, stop: Stop) -> DrainReport {
    let began = Instant::now();
    let climbed = runtime().map(|runtime| runtime.block_on(climb(firewall, order, began, stop)));
    match climbed.map_err(DrainError::Runtime) {
        Ok(Ok(report)) => report,
        Ok(Err(error)) | Err(error) => failed(&error, began),
    }
}

async fn climb(
    firewall: &mut impl Guards,
    order: &Order,
    began: Instant,
    mut stop: Stop,
) -> Result<DrainReport, DrainError> {
    let mut ladder = Ladder::new(firewall, order, began, stop.clone())?;
    let climbed = tokio::select! {
        biased;
        () = stop.stopped() => Err(DrainError::Stopped),
        climbed = ladder.climb() => climbed,
    };
    let is_refused = matches!(climbed, Err(DrainError::Spare(_) | DrainError::Stopped));
    if climbed.is_err() && !is_refused {
        ladder.give_up();
    }
    Ok(ladder.report(climbed))
}

/// The report of a drain that could not begin.
fn failed(error: &dyn std::error::Error, began: Instant) -> DrainReport {
    DrainReport {
        sql: SqlOutcome::NotUsed(error.to_string()),
        unproven: Some(error.to_string()),
        took: began.elapsed(),
        ..DrainReport::default()
    }
}

/// The rungs, and what they have in common.
struct Ladder<'a, F> {
    firewall: &'a mut F,
    order: &'a Order,
    stop: Stop,
    began: Instant,
    deadline: Instant,
    classifier: Classifier,
    sql: SqlRung,
    scan: SocketScan,
    watch: Watch,
    farewell: Farewell,
    /// Connections that were let through.
    spared: Vec<Peer>,
    signalled: usize,
    warnings: Vec<String>,
}

impl<'a, F: Guards> Ladder<'a, F> {
    fn new(
        firewall: &'a mut F,
        order: &'a Order,
        began: Instant,
        stop: Stop,
    ) -> Result<Self, DrainError> {
        let deadline = began + order.timeout + order.cancel_first.unwrap_or_default();
        let classifier = Classifier::new(&order.pass, &order.spared);
        let mut classifier = classifier.map_err(DrainError::Routing)?;
        classifier.only.clone_from(&order.only);
        Ok(Self {
            firewall,
            order,
            stop,
            began,
            deadline,
            classifier,
            sql: SqlRung::new(order),
            scan: SocketScan::new(order.port)?,
            watch: Watch::new().map_err(DrainError::Watch)?,
            farewell: Farewell::new(order, began),
            spared: Vec::new(),
            signalled: 0,
            warnings: Vec::new(),
        })
    }

    /// Three rungs at once until the farewell is over, then its end, and the proof. Says whether
    /// it is proven.
    async fn climb(&mut self) -> Result<bool, DrainError> {
        self.check_spare()?;
        self.look()?;
        // Nobody is cut before it is known who stays, with or without a farewell.
        while !(self.is_quiet() || self.farewell_is_over() && self.chosen()) {
            if Instant::now() >= self.deadline {
                break;
            }
            self.sql.ask(self.order);
            let until = match self.farewell_is_over() {
                true => self.deadline,
                false => self.farewell_end(),
            };
            self.event(until).await?;
            self.look()?;
        }
        self.check_spare()?;
        tracing::debug!(after = ?self.began.elapsed(), left = self.scan.left.open.len(), "the farewell is over");
        self.end_farewell()?;
        tracing::debug!(after = ?self.began.elapsed(), "the farewell's end is in force");
        loop {
            // The last look names who cannot be told: it begins when the time is up.
            let is_last = Instant::now() >= self.deadline;
            if self.is_proven().await? {
                return Ok(true);
            }
            if is_last {
                return Ok(false);
            }
            self.sql.ask(self.order);
            self.event(self.deadline).await?;
        }
    }

    /// Nobody remote is seen any more, and nothing that was asked is still open.
    fn is_quiet(&self) -> bool {
        self.scan.left.open.is_empty()
            && self.scan.left.closing.is_empty()
            && self.watch.alive() == 0
            && self.sql.held.is_empty()
            && (!self.sql.is_asking() || self.began.elapsed() > SQL_GOES_FIRST)
    }

    /// Waits for the next thing that matters: a server's answer, the last exit, or a tick.
    async fn event(&mut self, until: Instant) -> Result<(), DrainError> {
        let alive = self.watch.alive() > 0;
        let tick = Instant::now() + if alive { SLOW_TICK } else { TICK };
        let tick = tokio::time::Instant::from_std(tick.min(until));
        loop {
            let alive = self.watch.alive() > 0;
            tokio::select! {
                Some((id, answer)) = self.sql.answer() => return self.hear(id, answer),
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

    /// Whether the connection of a client is to be cut; see [`Classifier::fate`].
    fn cuts(&mut self, client: SocketAddr, interface: u32) -> Result<bool, DrainError> {
        let fate = self.classifier.fate(client, interface);
        Ok(fate.map_err(DrainError::Routing)? == Fate::Cut)
    }

    fn warn(&mut self, text: String) {
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }
}

/// A connection of which nothing but the client is known.
fn nobody(port: u16, client: Option<SocketAddr>) -> Peer {
    Peer { port, client, ..Peer::default() }
}
