//! One session with each server that listens on the port, and the questions under way.

use super::server::{self, Answer, Server, State};
use super::{NO_SERVER, Order, SQL_GOES_FIRST};
use crate::cordon::SqlOutcome;
use crate::postgres::Session;
use std::collections::HashMap;
use std::ops::{Index, IndexMut};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerId(usize);

/// The servers and whom they have still to tell.
pub struct SqlRung {
    servers: Vec<Server>,
    questions: JoinSet<(ServerId, Answer)>,
    /// Backends that wait until it is clear whether their client reads.
    pub held: Vec<Held>,
    /// Backends that are told after all others, by the server's own pid.
    pub last: Vec<(ServerId, i32)>,
}

/// A backend whose client may not be reading, by the server's own pid and the socket's cookie.
pub struct Held {
    pub server: ServerId,
    pub pid: i32,
    pub cookie: u64,
}

impl Index<ServerId> for SqlRung {
    type Output = Server;

    fn index(&self, id: ServerId) -> &Server {
        &self.servers[id.0]
    }
}

impl IndexMut<ServerId> for SqlRung {
    fn index_mut(&mut self, id: ServerId) -> &mut Server {
        &mut self.servers[id.0]
    }
}

impl SqlRung {
    pub fn new(order: &Order) -> Self {
        Self {
            servers: order.servers.iter().cloned().map(Server::new).collect(),
            questions: JoinSet::new(),
            held: Vec::new(),
            last: Vec::new(),
        }
    }

    pub fn ids(&self) -> impl Iterator<Item = ServerId> + use<> {
        (0..self.servers.len()).map(ServerId)
    }

    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Asks each server that was not asked yet, or that may have a free slot now.
    pub fn ask(&mut self, order: &Order) {
        for id in self.ids() {
            let server = &mut self[id];
            if server.may_be_asked() {
                let target = order.target(server.process.pid);
                server.state = State::Asking;
                let question = async move { (id, server::open(target).await) };
                self.questions.spawn(question);
            }
        }
    }

    pub fn ask_again(&mut self, id: ServerId) {
        self.put(id, server::rows);
    }

    /// Cancels the statements of backends, if there is a session, and waits until they have
    /// ended, for `patience` at most.
    pub fn cancel(&mut self, id: ServerId, pids: Vec<i32>, patience: Duration) {
        self.put(id, async move |session| {
            let cancelling = server::cancel(&session, &pids);
            // What does not obey is told to end all the same.
            let _obeyed = tokio::time::timeout(patience, cancelling).await;
            Answer::Cancelled(session, pids)
        });
    }

    pub fn tell(&mut self, id: ServerId, pids: Vec<i32>) {
        self.put(id, async move |session| {
            let told = session.terminate(&pids).await;
            Answer::Told(session, told)
        });
    }

    fn put<Q>(&mut self, id: ServerId, question: impl FnOnce(Session) -> Q)
    where
        Q: Future<Output = Answer> + Send + 'static,
    {
        if let State::Ready(session) = std::mem::replace(&mut self[id].state, State::Asking) {
            let answer = question(session);
            self.questions.spawn(async move { (id, answer.await) });
        }
    }

    /// The next answer; `None` if nothing was asked.
    pub async fn answer(&mut self) -> Option<(ServerId, Answer)> {
        self.questions.join_next().await?.ok()
    }

    pub fn is_asking(&self) -> bool {
        let asking = |server: &Server| matches!(server.state, State::Asking);
        self.servers.iter().any(asking)
    }

    pub fn has_answered(&self) -> bool {
        !self.servers.is_empty() && self.servers.iter().all(|server| server.answered)
    }

    /// Whether SQL has answered, has failed, or has had time enough.
    pub fn had_its_turn(&self, began: Instant) -> bool {
        let had =
            |server: &Server| server.answered || matches!(server.state, State::Unavailable { .. });
        self.servers.iter().all(had) || began.elapsed() >= SQL_GOES_FIRST
    }

    /// The held backends of whose clients it is clear by now whether they read, as far as their
    /// server can tell them now.
    pub fn release(
        &mut self,
        may_not_be_read: impl Fn(u64) -> bool,
    ) -> HashMap<ServerId, Vec<i32>> {
        let mut ready: HashMap<ServerId, Vec<i32>> = HashMap::new();
        for held in std::mem::take(&mut self.held) {
            let idle = matches!(self[held.server].state, State::Ready(_));
            if may_not_be_read(held.cookie) || !idle {
                self.held.push(held);
            } else {
                ready.entry(held.server).or_default().push(held.pid);
            }
        }
        ready
    }

    pub fn outcome(&self) -> SqlOutcome {
        let mut reasons = Vec::new();
        for server in &self.servers {
            match &server.state {
                State::Unavailable { why, .. } => reasons.push(why.clone()),
                State::Idle => {
                    reasons.push("it was not needed: nobody remote was connected".to_owned());
                }
                State::Asking if !server.answered => {
                    reasons.push("PostgreSQL did not answer".to_owned());
                }
                State::Asking | State::Ready(_) => {}
            }
        }
        if self.servers.is_empty() {
            reasons.push(NO_SERVER.to_owned());
        }
        if reasons.is_empty() {
            return SqlOutcome::Used;
        }
        reasons.dedup();
        SqlOutcome::NotUsed(reasons.join("; "))
    }
}
