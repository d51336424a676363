//! The drain: the ladder that ends remote connections, and the proof that nobody remains
//! (DESIGN.md section 5).
//!
//! Three rungs work at once. **SQL** reads `pg_stat_activity` and tells each remote backend
//! to end. **Sockets** are listed by the kernel, and find whom SQL does not show: clients
//! that have not authenticated, and everybody where SQL cannot be had. **Exits** are awaited
//! through pidfds. Normally a backend is told first and its socket left alone, so that its
//! last message and the close arrive; a socket is destroyed first where they cannot.

mod choices;
mod judge;
mod server;
mod survey;
mod watch;

pub use judge::Judge;
pub use survey::{Survey, SurveyError, survey};

use crate::clients::{
    self, Backend, DestroyError, Destroyed, PortInodes, Process, Socket, Sockets, Stage, State,
    sessions_without_socket,
};
use crate::cordon::{Backends, DrainReport, Fate, PassList, Peer, SqlOutcome, Staying};
use crate::firewall::Firewall;
use crate::postgres::{Row, Target};
use crate::window;
use ipnet::IpNet;
use server::{Answer, Facts, Questions, Server};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use watch::Watch;

/// For how long the sockets wait for SQL before backends are told directly: SQL also ends
/// the programs that a backend has started, a signal to the backend alone does not.
const SQL_GOES_FIRST: Duration = Duration::from_millis(250);

/// A send queue that has not moved for this long belongs to a client that does not read.
const STUCK: Duration = Duration::from_millis(200);

/// Between two looks at the sockets: TCP closes without telling anybody.
const TICK: Duration = Duration::from_millis(10);
/// The same while backends are still ending, which tells by itself.
const SLOW_TICK: Duration = Duration::from_millis(30);

/// A farewell that was written so recently need not be written again.
const FRESH: Duration = Duration::from_millis(100);

/// What is to be drained, and how.
#[derive(Debug, Clone)]
pub struct Order {
    /// The cordoned port.
    pub port: u16,
    /// Who passes.
    pub pass: PassList,
    /// Existing connections that are let through.
    pub spared: Vec<SocketAddr>,
    /// How long the last messages and the closes may take, from the first SIGTERM on.
    pub farewell: Duration,
    /// Whether the cordon was raised with this farewell just now.
    pub farewell_is_running: bool,
    /// Who stays beside the pass list.
    pub staying: Staying,
    /// For how long cancelled statements may take to end before their backends are told.
    pub cancel_first: Option<Duration>,
    /// When what is left are stragglers.
    pub timeout: Duration,
    /// The postmasters that listen on the port.
    pub servers: Vec<Process>,
    /// Why processes cannot be looked at, where the listener is not PostgreSQL.
    pub foreign_listener: Option<String>,
    /// How PostgreSQL is reached.
    pub access: Access,
}

/// How PostgreSQL is reached.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Directory of the Unix socket.
    pub socket_dir: Option<PathBuf>,
    /// Role.
    pub user: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// An address of this host, instead of the Unix socket.
    pub host: Option<IpAddr>,
    /// Password file.
    pub passfile: Option<PathBuf>,
}

impl Access {
    /// The session's target.
    #[must_use]
    pub fn target(&self, postmaster: i32, port: u16) -> Target {
        Target {
            postmaster,
            port,
            socket_dir: self.socket_dir.clone(),
            user: self.user.clone(),
            database: self.database.clone(),
            host: self.host,
            passfile: self.passfile.clone(),
        }
    }
}

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
    #[error("--spare needs SQL to know whose connections stay, and it cannot be had: {0}")]
    Spare(String),
}

/// Ends every remote connection of a port, and proves it.
///
/// It never fails: what could not be done is in the report.
pub async fn drain(firewall: &mut impl Firewall, order: &Order) -> DrainReport {
    let began = Instant::now();
    match Ladder::new(firewall, order, began) {
        Ok(mut ladder) => {
            let climbed = ladder.climb().await;
            ladder.report(climbed)
        }
        Err(error) => DrainReport {
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
        },
    }
}

struct Ladder<'a, F> {
    firewall: &'a mut F,
    order: &'a Order,
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
    /// Sockets whose backend is known, by inode.
    owned: HashSet<u32>,
    /// Sockets with a send queue, by cookie.
    queues: HashMap<u64, Queue>,
    /// Whether statements were cancelled.
    has_cancelled: bool,
    /// Backends that wait until it is clear whether their client reads.
    held: Vec<Held>,
    /// Backends that are told after all others, by server and the server's own pid.
    last: Vec<(usize, i32)>,
    /// Connections that were let through.
    spared: Vec<Peer>,
    signalled: usize,
    /// The sockets of the last look.
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

impl<'a, F: Firewall> Ladder<'a, F> {
    fn new(firewall: &'a mut F, order: &'a Order, began: Instant) -> Result<Self, DrainError> {
        let farewell = match (order.farewell.is_zero(), order.farewell_is_running) {
            (true, _) => Farewell::Over,
            (false, true) => Farewell::Until(began + order.farewell),
            (false, false) => Farewell::Waiting,
        };
        let mut judge = Judge::new(order.pass.clone()).map_err(DrainError::Routing)?;
        judge.spare(order.spared.iter().copied());
        Ok(Self {
            firewall,
            order,
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
            owned: HashSet::new(),
            queues: HashMap::new(),
            has_cancelled: false,
            held: Vec::new(),
            last: Vec::new(),
            spared: Vec::new(),
            signalled: 0,
            left: Left::default(),
            warnings: Vec::new(),
        })
    }

    /// The whole drain: the farewell with all rungs at work, its end, and the proof.
    async fn climb(&mut self) -> Result<(), DrainError> {
        self.look()?;
        while !self.is_quiet() && !self.farewell_is_over() {
            self.ask_servers();
            self.event(self.farewell_end()).await?;
            self.look()?;
        }
        while !self.chosen() && !self.is_quiet() {
            self.event(self.deadline).await?;
            self.look()?;
        }
        self.end_farewell()?;
        while !self.is_proven().await? && Instant::now() < self.deadline {
            self.ask_servers();
            self.event(self.deadline).await?;
        }
        Ok(())
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
                        return Ok(());
                    }
                }
                () = tokio::time::sleep_until(tick) => return Ok(()),
            }
        }
    }

    // ---- the rung of SQL ----

    /// Asks each server that was not asked yet, or that may have a free slot now.
    fn ask_servers(&mut self) {
        for (number, server) in self.servers.iter_mut().enumerate() {
            if server.may_be_asked() {
                server.ask(number, self.order, &mut self.questions);
            }
        }
    }

    /// Takes in what a server has said.
    fn hear(&mut self, number: usize, answer: Answer) -> Result<(), DrainError> {
        let server = &mut self.servers[number];
        match answer {
            Answer::Failed { why, passing } => {
                tracing::debug!(%why, "SQL is not to be had");
                server.state = server::State::Unavailable {
                    why,
                    passing,
                    at: Instant::now(),
                };
            }
            Answer::Rows(session, facts) => {
                server.state = server::State::Ready(session);
                if !server.answered {
                    server.answered = true;
                    self.let_through(number, &facts)?;
                }
                let pids = self.meet(number, &facts.rows)?;
                self.cancel_or_tell(number, pids)?;
            }
            Answer::Cancelled(session, pids) => {
                server.state = server::State::Ready(session);
                self.tell(number, pids)?;
            }
            Answer::Told(session, told) => {
                server.state = server::State::Ready(session);
                for (pid, outcome) in told {
                    if let Err(error) = outcome {
                        // The sockets' rung tells it directly.
                        tracing::debug!(pid, %error, "pg_terminate_backend was refused");
                        self.mark_told(number, pid, false);
                        self.owned.clear();
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets those through who stay although they are remote.
    fn let_through(&mut self, number: usize, facts: &Facts) -> Result<(), DrainError> {
        let port = self.order.port;
        let choices = choices::choose(&mut self.judge, self.order, facts);
        let choices = choices.map_err(DrainError::Routing)?;
        if !choices.pass.is_empty() {
            let networks: Vec<IpNet> = choices.pass.iter().copied().map(IpNet::from).collect();
            window::allow(self.firewall, port, &networks, false)?;
            self.judge.allow(&choices.pass);
        }
        if !choices.spared.is_empty() {
            window::spare(self.firewall, port, choices.spared.clone())?;
            let is_spared = |row: &&Row| {
                server::client(row).is_some_and(|client| choices.spared.contains(&client))
            };
            let spared = facts.rows.iter().filter(is_spared);
            self.spared
                .extend(spared.map(|row| server::peer(port, Some(row.pid), row)));
            self.judge.spare(choices.spared);
        }
        self.last
            .extend(choices.last.iter().map(|pid| (number, *pid)));
        choices
            .warnings
            .into_iter()
            .for_each(|text| self.warn(text));
        self.remote_again()
    }

    /// Judges the sockets of the last look again: some may stay by now.
    fn remote_again(&mut self) -> Result<(), DrainError> {
        let mut open = std::mem::take(&mut self.left.open);
        for socket in open.drain(..) {
            if self.judge.cuts(&socket).map_err(DrainError::Routing)? {
                self.left.open.push(socket);
            }
        }
        Ok(())
    }

    /// Watches the backends of remote rows, and returns those that are to be told now.
    fn meet(&mut self, number: usize, rows: &[Row]) -> Result<Vec<i32>, DrainError> {
        let mut by_client = HashMap::new();
        for socket in &self.left.open {
            by_client.insert((socket.remote.ip(), socket.remote.port()), socket.clone());
        }
        let mut pids = Vec::new();
        for row in rows {
            let Some(client) = server::client(row) else {
                continue;
            };
            let socket = by_client.get(&(client.ip(), client.port()));
            let interface = socket.map_or(0, |socket| socket.interface);
            let fate = self.judge.fate(client, interface);
            if fate.map_err(DrainError::Routing)? != Fate::Cut {
                continue;
            }
            let pid = self.watch_row(number, row)?;
            if let Some(met) = pid.and_then(|pid| self.watch.alive_mut(pid)) {
                met.peer = server::peer(self.order.port, pid, row);
                if met.told {
                    continue;
                }
            }
            self.owned.extend(socket.map(|socket| socket.inode));
            let cookie = socket.map(Socket::cookie);
            if self.last.contains(&(number, row.pid)) {
                continue; // Told after all others.
            }
            match cookie.filter(|cookie| self.may_not_be_read(*cookie)) {
                Some(cookie) => self.held.push(Held {
                    server: number,
                    pid: row.pid,
                    cookie,
                }),
                None => pids.push(row.pid),
            }
        }
        Ok(pids)
    }

    /// Watches the process of a row; returns its pid on this host.
    fn watch_row(&mut self, number: usize, row: &Row) -> Result<Option<i32>, DrainError> {
        let server = &mut self.servers[number];
        let server::State::Ready(session) = &server.state else {
            return Ok(None);
        };
        let Some(pid) = session.host_pid(row.pid) else {
            return Ok(None);
        };
        server.host_pids.insert(row.pid, pid);
        if self.watch.alive_mut(pid).is_none()
            && let Some(pidfd) = clients::pidfd_of_child(&server.process, pid)?
        {
            let peer = server::peer(self.order.port, Some(pid), row);
            self.watch
                .add(pid, pidfd, peer)
                .map_err(DrainError::Watch)?;
        }
        Ok(Some(pid))
    }

    /// Cancels statements first, if that is asked; else tells backends to end.
    fn cancel_or_tell(&mut self, number: usize, pids: Vec<i32>) -> Result<(), DrainError> {
        match self.order.cancel_first {
            Some(patience) if !pids.is_empty() && !self.has_cancelled => {
                self.has_cancelled = true;
                self.servers[number].cancel(number, pids, patience, &mut self.questions);
                Ok(())
            }
            _ => self.tell(number, pids),
        }
    }

    /// Tells those that are to be cut last, when all others have ended or the farewell is
    /// over.
    fn tell_last(&mut self) -> Result<(), DrainError> {
        let others = self.watch.alive() > self.last.len();
        if self.last.is_empty() || (others && !self.farewell_is_over()) {
            return Ok(());
        }
        for number in 0..self.servers.len() {
            if !matches!(self.servers[number].state, server::State::Ready(_)) {
                continue;
            }
            let (now, later): (Vec<_>, Vec<_>) =
                self.last.iter().partition(|(server, _)| *server == number);
            self.last = later;
            self.tell(number, now.into_iter().map(|(_, pid)| pid).collect())?;
        }
        Ok(())
    }

    /// Tells backends of a server to end, by SQL.
    fn tell(&mut self, number: usize, pids: Vec<i32>) -> Result<(), DrainError> {
        if pids.is_empty() {
            return Ok(());
        }
        self.begin_farewell()?;
        for pid in &pids {
            self.mark_told(number, *pid, true);
        }
        self.servers[number].tell(number, pids, &mut self.questions);
        Ok(())
    }

    /// Notes whether a backend, by the server's own pid, was told to end.
    fn mark_told(&mut self, number: usize, pid: i32, told: bool) {
        let pid = self.servers[number].host_pids.get(&pid);
        if let Some(met) = pid.and_then(|pid| self.watch.alive_mut(*pid)) {
            met.told = told;
        }
    }

    // ---- the rung of sockets ----

    /// Lists the remote sockets; destroys those whose client a farewell cannot reach, and
    /// tells backends that SQL does not know.
    fn look(&mut self) -> Result<(), DrainError> {
        self.watch.take_in().map_err(DrainError::Watch)?;
        let sockets = self.remote_sockets()?;
        let over = self.farewell_is_over();
        let mut left = Left::default();
        for socket in sockets {
            self.found.insert(socket.cookie());
            if socket.state.is_closing() {
                left.closing.push(socket.remote);
            }
            if !socket.state.is_open() {
                continue;
            }
            self.follow_queue(&socket);
            let unreachable = socket.is_unaccepted()
                || socket.state == State::SynReceived
                || self.is_stuck(&socket)
                || !self.judge.is_own(&socket).map_err(DrainError::Routing)?;
            if (over && self.chosen()) || unreachable {
                self.destroy(&socket);
            }
            left.open.push(socket);
        }
        self.left = left;
        self.release_held()?;
        self.tell_last()?;
        self.look_for_owners()
    }

    /// Every remote socket but those in TIME_WAIT, which no process and no byte can use.
    fn remote_sockets(&mut self) -> Result<Vec<Socket>, DrainError> {
        let all = self.sockets.connected(self.order.port);
        self.judge.look_again();
        let mut remote = Vec::new();
        for socket in all.map_err(DrainError::Scan)? {
            let counts = socket.state.is_open() || socket.state.is_closing();
            if counts && self.judge.cuts(&socket).map_err(DrainError::Routing)? {
                remote.push(socket);
            }
        }
        Ok(remote)
    }

    /// Destroys a socket; that it has gone meanwhile is as good.
    fn destroy(&mut self, socket: &Socket) {
        match self.sockets.destroy(socket) {
            Ok(Destroyed::Done) => {
                self.destroyed.insert(socket.cookie());
            }
            Ok(Destroyed::Gone | Destroyed::Closing(_)) | Err(DestroyError::NotOpen(..)) => {}
            Err(error) => self.warn(error.to_string()),
        }
    }

    /// Keeps track of a send queue.
    fn follow_queue(&mut self, socket: &Socket) {
        if socket.send_queue == 0 {
            self.queues.remove(&socket.cookie());
            return;
        }
        let queue = self.queues.entry(socket.cookie()).or_insert(Queue {
            acknowledged: socket.acknowledged,
            since: Instant::now(),
            moved: false,
        });
        queue.moved |= queue.acknowledged != socket.acknowledged;
    }

    /// Whether it is not yet clear that a socket's client reads.
    fn may_not_be_read(&self, cookie: u64) -> bool {
        let queue = self.queues.get(&cookie);
        queue.is_some_and(|queue| !queue.moved) && !self.destroyed.contains(&cookie)
    }

    /// Whether a socket's client has not read for so long that it will not read a farewell.
    /// Once its backend was told the queue holds the last message itself, which may take its
    /// time on a slow link.
    fn is_stuck(&self, socket: &Socket) -> bool {
        let waits = !self.owned.contains(&socket.inode)
            || self.held.iter().any(|held| held.cookie == socket.cookie());
        let queue = self.queues.get(&socket.cookie());
        waits && queue.is_some_and(|queue| !queue.moved && queue.since.elapsed() >= STUCK)
    }

    /// Tells those backends of whose clients it is clear by now whether they read.
    fn release_held(&mut self) -> Result<(), DrainError> {
        let held = std::mem::take(&mut self.held);
        let mut ready: HashMap<usize, Vec<i32>> = HashMap::new();
        for held in held {
            let idle = matches!(self.servers[held.server].state, server::State::Ready(_));
            if self.may_not_be_read(held.cookie) || !idle {
                self.held.push(held);
            } else {
                ready.entry(held.server).or_default().push(held.pid);
            }
        }
        for (number, pids) in ready {
            self.tell(number, pids)?;
        }
        Ok(())
    }

    /// Looks for the processes behind sockets that SQL has not named: those in startup lose
    /// their socket, all others are told to end.
    fn look_for_owners(&mut self) -> Result<(), DrainError> {
        let unknown = |socket: &&Socket| socket.inode != 0 && !self.owned.contains(&socket.inode);
        if !self.left.open.iter().any(|socket| unknown(&socket)) || !self.sql_had_its_turn() {
            return Ok(());
        }
        let chosen = self.chosen();
        let listening = self.sockets.listening(self.order.port);
        let listening = listening.map_err(DrainError::Scan)?;
        let inodes = PortInodes::new(&listening, &self.left.open);
        for number in 0..self.servers.len() {
            for backend in clients::backends(&self.servers[number].process, &inodes)? {
                if chosen || backend.stage == Stage::Startup {
                    self.end_backend(backend)?;
                }
            }
        }
        self.check_spare()
    }

    /// Whether SQL has answered, has failed, or has had time enough.
    fn sql_had_its_turn(&self) -> bool {
        let had = |server: &Server| {
            server.answered || matches!(server.state, server::State::Unavailable { .. })
        };
        self.servers.iter().all(had) || self.began.elapsed() >= SQL_GOES_FIRST
    }

    /// Whether it is known who stays: nobody past the startup is cut before that.
    fn chosen(&self) -> bool {
        if self.order.staying.spare.is_empty() {
            return self.sql_had_its_turn();
        }
        self.servers.iter().all(|server| server.answered)
    }

    /// `--spare` without SQL: nobody may be cut, since nobody knows who is meant.
    fn check_spare(&self) -> Result<(), DrainError> {
        if self.chosen() {
            return Ok(());
        }
        for server in &self.servers {
            if let server::State::Unavailable { why, passing, .. } = &server.state
                && (!passing || self.began.elapsed() > server::PATIENCE)
            {
                return Err(DrainError::Spare(why.clone()));
            }
        }
        Ok(())
    }

    /// Ends one backend without SQL.
    fn end_backend(&mut self, backend: Backend) -> Result<(), DrainError> {
        let held: Vec<Socket> = self
            .left
            .open
            .iter()
            .filter(|socket| backend.inodes.contains(&socket.inode))
            .cloned()
            .collect();
        if backend.stage == Stage::Startup {
            for socket in &held {
                self.destroy(socket);
            }
            return Ok(());
        }
        if held
            .iter()
            .any(|socket| self.may_not_be_read(socket.cookie()))
        {
            return Ok(()); // It is looked at again soon.
        }
        self.owned.extend(&backend.inodes);
        let client = held.first().map(|socket| socket.remote);
        self.signal(backend, client)
    }

    /// Sends SIGTERM to a backend past its startup, and watches it.
    fn signal(&mut self, backend: Backend, client: Option<SocketAddr>) -> Result<(), DrainError> {
        let pid = backend.pid;
        let was_told = self.watch.alive_mut(pid).is_some_and(|met| met.told);
        let is_told = backend.stage == Stage::Running && !was_told;
        if is_told {
            self.begin_farewell()?;
            match clients::signal(&backend) {
                Ok(_) => self.signalled += 1,
                Err(error) => self.warn(error.to_string()),
            }
        }
        self.watch_backend(backend, client)?;
        if let Some(met) = self.watch.alive_mut(pid) {
            met.told |= is_told;
        }
        Ok(())
    }

    /// Waits for a backend that SQL has not named.
    fn watch_backend(
        &mut self,
        backend: Backend,
        client: Option<SocketAddr>,
    ) -> Result<(), DrainError> {
        let peer = Peer {
            pid: Some(backend.pid),
            state: backend.title.trim().to_owned(),
            ..nobody(self.order.port, client)
        };
        let added = self.watch.add(backend.pid, backend.pidfd, peer);
        added.map_err(DrainError::Watch)
    }

    fn warn(&mut self, text: String) {
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    // ---- the farewell ----

    /// Called before each SIGTERM: the farewell is counted from the first one.
    fn begin_farewell(&mut self) -> Result<(), DrainError> {
        let fresh = match self.farewell {
            Farewell::Over => true,
            Farewell::Waiting => false,
            Farewell::Until(_) => {
                self.watch.found() > self.watch.alive()
                    || self.signalled > 0
                    || self.began.elapsed() < FRESH
            }
        };
        if !fresh {
            window::renew_farewell(self.firewall, self.order.port, self.order.farewell)?;
            self.farewell = Farewell::Until(Instant::now() + self.order.farewell);
        }
        Ok(())
    }

    fn farewell_is_over(&self) -> bool {
        match self.farewell {
            Farewell::Over => true,
            Farewell::Waiting => false,
            Farewell::Until(end) => Instant::now() >= end,
        }
    }

    fn farewell_end(&self) -> Instant {
        match self.farewell {
            Farewell::Until(end) => end.min(self.deadline),
            Farewell::Waiting | Farewell::Over => self.deadline,
        }
    }

    /// Ends the farewell: what is still open is destroyed, what is closing may finish, and
    /// what came in through a handshake that was under way is destroyed too.
    fn end_farewell(&mut self) -> Result<(), DrainError> {
        let was_open = !matches!(self.farewell, Farewell::Waiting | Farewell::Over);
        self.farewell = Farewell::Over;
        self.look()?;
        if was_open || !self.left.closing.is_empty() {
            let closing = self.left.closing.clone();
            window::end_farewell(self.firewall, self.order.port, closing)?;
            self.look()?;
        }
        Ok(())
    }

    // ---- the proof ----

    /// Whether nobody remote is left: two scans without an open socket, then no row and no
    /// process, and every process that was watched has ended.
    async fn is_proven(&mut self) -> Result<bool, DrainError> {
        self.look()?;
        let first = self.left.open.is_empty();
        self.look()?;
        if !first || !self.left.open.is_empty() {
            return Ok(false);
        }
        let mut clean = true;
        for number in 0..self.servers.len() {
            clean &= match &self.servers[number].state {
                server::State::Ready(_) => self.no_row(number).await?,
                _ => self.no_session(number)?,
            };
        }
        self.watch.take_in().map_err(DrainError::Watch)?;
        Ok(clean && self.watch.alive() == 0 && self.held.is_empty())
    }

    /// Whether a server has no remote row. One that came in meanwhile is told to end.
    async fn no_row(&mut self, number: usize) -> Result<bool, DrainError> {
        self.servers[number].ask_again(number, &mut self.questions);
        while matches!(self.servers[number].state, server::State::Asking) {
            let Some(Ok((answering, answer))) = self.questions.join_next().await else {
                return Ok(false);
            };
            let rows = match &answer {
                Answer::Rows(_, facts) if answering == number => self.count_remote(&facts.rows)?,
                _ => 1,
            };
            self.hear(answering, answer)?;
            if answering == number {
                return Ok(rows == 0);
            }
        }
        Ok(false)
    }

    fn count_remote(&mut self, rows: &[Row]) -> Result<usize, DrainError> {
        let mut remote = 0;
        for client in rows.iter().filter_map(server::client) {
            let fate = self.judge.fate(client, 0).map_err(DrainError::Routing)?;
            remote += usize::from(fate == Fate::Cut);
        }
        Ok(remote)
    }

    /// Whether no child of a postmaster is a remote session, told without SQL. One whose
    /// client has reset its connection has no socket any more, and runs on: it is ended.
    fn no_session(&mut self, number: usize) -> Result<bool, DrainError> {
        let port = self.order.port;
        let scan = |result: io::Result<Vec<Socket>>| result.map_err(DrainError::Scan);
        let listening = scan(self.sockets.listening(port))?;
        let connected = scan(self.sockets.connected(port))?;
        let inodes = PortInodes::new(&listening, &connected);
        let process = self.servers[number].process.clone();
        let mut clean = true;
        for backend in sessions_without_socket(&process, port, &inodes)? {
            let own_is_loopback = backend.unlisted.is_some_and(|own| own.ip().is_loopback());
            let client = match &backend.client {
                clients::Client::Address { address, .. } => Some(*address),
                clients::Client::Unix => continue,
                clients::Client::Unknown if own_is_loopback => continue,
                clients::Client::Unknown => None,
            };
            let Some(client) = client else {
                // Whose connection it holds cannot be told: it may be a local one, so it is
                // not signalled, and as long as it lasts nothing is proven.
                clean = false;
                self.watch_backend(backend, None)?;
                continue;
            };
            let fate = self.judge.fate(client, 0).map_err(DrainError::Routing)?;
            if fate == Fate::Cut {
                clean = false;
                self.signal(backend, Some(client))?;
            }
        }
        Ok(clean)
    }

    // ---- the report ----

    fn report(mut self, climbed: Result<(), DrainError>) -> DrainReport {
        let mut stragglers = self.watch.left();
        let known: HashSet<_> = stragglers.iter().filter_map(|peer| peer.client).collect();
        for socket in &self.left.open {
            if !known.contains(&socket.remote) {
                let state = format!("{:?}", socket.state);
                stragglers.push(Peer {
                    state,
                    ..nobody(self.order.port, Some(socket.remote))
                });
            }
        }
        let found = self.watch.found();
        let left = self.watch.alive();
        let (unproven, refused) = match climbed {
            Err(error @ DrainError::Spare(_)) => (None, Some(error.to_string())),
            Err(error) => (Some(error.to_string()), None),
            Ok(()) => (self.order.foreign_listener.clone(), None),
        };
        DrainReport {
            sql: self.sql_outcome(),
            backends: Backends {
                found,
                ended: found - left,
                left,
            },
            sockets: crate::cordon::Sockets {
                found: self.found.len(),
                destroyed: self.destroyed.len(),
                closing: self.left.closing.len(),
                left: self.left.open.len(),
            },
            signalled: self.signalled,
            spared: std::mem::take(&mut self.spared),
            stragglers,
            unproven,
            refused,
            took: self.began.elapsed(),
            warnings: std::mem::take(&mut self.warnings),
        }
    }

    fn sql_outcome(&self) -> SqlOutcome {
        if let Some(why) = &self.order.foreign_listener {
            return SqlOutcome::NotUsed(why.clone());
        }
        let mut reasons = Vec::new();
        for server in &self.servers {
            match &server.state {
                server::State::Unavailable { why, .. } => reasons.push(why.clone()),
                server::State::Idle => {
                    reasons.push("it was not needed: nobody remote was connected".to_owned());
                }
                server::State::Asking if !server.answered => {
                    reasons.push("PostgreSQL did not answer".to_owned());
                }
                server::State::Asking | server::State::Ready(_) => {}
            }
        }
        if self.servers.is_empty() {
            reasons.push("no process listens on the port".to_owned());
        }
        if reasons.is_empty() {
            return SqlOutcome::Used;
        }
        reasons.dedup();
        SqlOutcome::NotUsed(reasons.join("; "))
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
