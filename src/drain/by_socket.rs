//! The rung of sockets: who is connected whatever SQL says, and the two ways to end it.

use super::server::{self, Server};
use super::{DrainError, Ladder, Left, Queue, SQL_GOES_FIRST, STUCK, choices, nobody};
use crate::clients::{
    self, Backend, Client, DestroyError, Destroyed, PortInodes, Signalled, Socket, Stage, State,
};
use crate::cordon::Peer;
use crate::window::Guards;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Instant;

impl<F: Guards> Ladder<'_, F> {
    /// Lists the remote sockets; destroys those whose client a farewell cannot reach, and
    /// tells backends that SQL does not know.
    pub(super) fn look(&mut self) -> Result<(), DrainError> {
        self.watch.take_in().map_err(DrainError::Watch)?;
        let sockets = self.remote_sockets()?;
        let over = self.farewell_is_over();
        let chosen = self.chosen();
        let undecided = self.undecided(&sockets)?;
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
                || !self.judge.is_own(&socket).map_err(DrainError::Routing)?;
            let may_be_cut = chosen && !undecided.contains(&socket.inode);
            if unreachable || (may_be_cut && (over || self.is_stuck(&socket))) {
                self.destroy(&socket);
            }
            left.open.push(socket);
        }
        // A socket that has gone meanwhile leaves no question whether its client reads.
        let open: HashSet<u64> = left.open.iter().map(Socket::cookie).collect();
        self.queues.retain(|cookie, _| open.contains(cookie));
        self.left = left;
        self.release_held()?;
        self.tell_last()?;
        self.look_for_owners()
    }

    /// Every remote socket but those in TIME_WAIT, which no process and no byte can use.
    pub(super) fn remote_sockets(&mut self) -> Result<Vec<Socket>, DrainError> {
        let all = self.sockets.connected(self.order.port);
        self.scan = all.map_err(DrainError::Scan)?;
        self.judge.look_again();
        let mut remote = Vec::new();
        for socket in &self.scan {
            let counts = socket.state.is_open() || socket.state.is_closing();
            if counts && self.judge.cuts(socket).map_err(DrainError::Routing)? {
                remote.push(socket.clone());
            }
        }
        Ok(remote)
    }

    /// Destroys a socket; that it has gone meanwhile is as good.
    pub(super) fn destroy(&mut self, socket: &Socket) {
        if self.until.is_stopped() {
            return;
        }
        match self.sockets.destroy(socket) {
            Ok(Destroyed::Done) => {
                self.destroyed.insert(socket.cookie());
                self.reset.push(socket.remote);
            }
            Ok(Destroyed::Gone | Destroyed::Closing) | Err(DestroyError::NotOpen(..)) => {}
            Err(error) => self.warn(error.to_string()),
        }
    }

    /// Keeps track of a send queue.
    pub(super) fn follow_queue(&mut self, socket: &Socket) {
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
    pub(super) fn may_not_be_read(&self, cookie: u64) -> bool {
        let queue = self.queues.get(&cookie);
        queue.is_some_and(|queue| !queue.moved) && !self.destroyed.contains(&cookie)
    }

    /// Whether a socket's client has not read for so long that it will not read a farewell.
    /// Once its backend was told the queue holds the last message itself, which may take its
    /// time on a slow link.
    pub(super) fn is_stuck(&self, socket: &Socket) -> bool {
        let waits = !self.owned.contains(&socket.inode)
            || self.held.iter().any(|held| held.cookie == socket.cookie());
        let queue = self.queues.get(&socket.cookie());
        // On a slow link an acknowledgement, or one that was lost and its repetition, takes
        // longer; and the one reset that such a client is sent may be lost as well.
        let patience = STUCK + 4 * socket.round_trip;
        waits && queue.is_some_and(|queue| !queue.moved && queue.since.elapsed() >= patience)
    }

    /// Tells those backends of whose clients it is clear by now whether they read.
    pub(super) fn release_held(&mut self) -> Result<(), DrainError> {
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
    pub(super) fn look_for_owners(&mut self) -> Result<(), DrainError> {
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
                if backend.is_walsender() && (self.is_waited_for(number) || !chosen) {
                    continue;
                }
                if self.stays_by_title(&backend)? {
                    continue;
                }
                if chosen || backend.stage == Stage::Startup {
                    self.warn_of_standby(number, &backend);
                    self.end_backend(backend)?;
                }
            }
        }
        self.check_spare()
    }

    /// Lets a standby through by its title, which is all there is to go by without SQL.
    fn stays_by_title(&mut self, backend: &Backend) -> Result<bool, DrainError> {
        let Client::Address { address, .. } = backend.client else {
            return Ok(false);
        };
        if !self.order.staying.replication || !backend.is_walsender() {
            return Ok(false);
        }
        self.let_address_through(&[address.ip()])?;
        Ok(true)
    }

    /// Local commits may wait for a standby that is cut, and without SQL nobody can say so.
    fn warn_of_standby(&mut self, number: usize, backend: &Backend) {
        if !backend.is_walsender() || self.servers[number].answered {
            return;
        }
        if let Client::Address { address, .. } = backend.client {
            self.warn(choices::unknown_standby(address.ip()));
        }
    }

    /// The inodes of standbys' sockets, as long as SQL may still say that they stay.
    fn undecided(&mut self, sockets: &[Socket]) -> Result<HashSet<u32>, DrainError> {
        let mut undecided = HashSet::new();
        if !self.chosen() || !(0..self.servers.len()).any(|number| self.is_waited_for(number)) {
            return Ok(undecided);
        }
        let listening = self.sockets.listening(self.order.port);
        let inodes = PortInodes::new(&listening.map_err(DrainError::Scan)?, sockets);
        for number in 0..self.servers.len() {
            if self.is_waited_for(number) {
                let backends = clients::backends(&self.servers[number].process, &inodes)?;
                let standbys = backends.iter().filter(|backend| backend.is_walsender());
                undecided.extend(standbys.flat_map(|backend| &backend.inodes));
            }
        }
        Ok(undecided)
    }

    /// Whether a server may still say which standbys stay. It is waited for longer than for
    /// the sake of other clients: a synchronous standby that is cut stops local commits.
    fn is_waited_for(&self, number: usize) -> bool {
        let server = &self.servers[number];
        let failed = match &server.state {
            server::State::Unavailable { passing, .. } => !passing,
            _ => false,
        };
        let patience = server::SQL_TIMEOUT.min(self.order.timeout / 2);
        !server.answered && !failed && self.began.elapsed() < patience
    }

    /// Whether SQL has answered, has failed, or has had time enough.
    pub(super) fn sql_had_its_turn(&self) -> bool {
        let had = |server: &Server| {
            server.answered || matches!(server.state, server::State::Unavailable { .. })
        };
        self.servers.iter().all(had) || self.began.elapsed() >= SQL_GOES_FIRST
    }

    /// Whether it is known who stays: nobody past the startup is cut before that.
    pub(super) fn chosen(&self) -> bool {
        if self.order.staying.spare.is_empty() {
            return self.sql_had_its_turn();
        }
        !self.servers.is_empty() && self.servers.iter().all(|server| server.answered)
    }

    /// `--spare` without SQL: nobody may be cut, since nobody knows who is meant.
    pub(super) fn check_spare(&self) -> Result<(), DrainError> {
        if self.chosen() || self.order.staying.spare.is_empty() {
            return Ok(());
        }
        if self.servers.is_empty() {
            let nobody = || "no process listens on the port".to_owned();
            let why = self.order.foreign_listener.clone();
            return Err(DrainError::Spare(why.unwrap_or_else(nobody)));
        }
        for server in &self.servers {
            let late = self.began.elapsed() > server::SQL_TIMEOUT;
            match &server.state {
                server::State::Unavailable { why, passing, .. } if late || !passing => {
                    return Err(DrainError::Spare(why.clone()));
                }
                _ => {}
            }
        }
        if Instant::now() >= self.deadline {
            let late = "PostgreSQL did not answer within the drain's time";
            return Err(DrainError::Spare(late.to_owned()));
        }
        Ok(())
    }

    /// Ends one backend without SQL.
    pub(super) fn end_backend(&mut self, backend: Backend) -> Result<(), DrainError> {
        let held: Vec<Socket> = self
            .left
            .open
            .iter()
            .filter(|socket| backend.inodes.contains(&socket.inode))
            .cloned()
            .collect();
        let client = held.first().map(|socket| socket.remote);
        if backend.stage == Stage::Startup {
            for socket in &held {
                self.destroy(socket);
            }
            // What has arrived before it may read on, and even log in: it has to end.
            return self.watch_backend(backend, client);
        }
        if held
            .iter()
            .any(|socket| self.may_not_be_read(socket.cookie()))
        {
            return Ok(()); // It is looked at again soon.
        }
        self.owned.extend(&backend.inodes);
        self.signal(backend, client)
    }

    /// Sends SIGTERM to a backend past its startup, and watches it.
    pub(super) fn signal(
        &mut self,
        backend: Backend,
        client: Option<SocketAddr>,
    ) -> Result<(), DrainError> {
        let pid = backend.pid;
        let was_told = self.watch.alive_mut(pid).is_some_and(|met| met.told);
        let is_told = backend.stage == Stage::Running && !was_told;
        if is_told {
            self.begin_farewell()?;
            match clients::signal(&backend) {
                Ok(signalled) => self.signalled += sigterms(signalled),
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
    pub(super) fn watch_backend(
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

    pub(super) fn warn(&mut self, text: String) {
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }
}

/// How many SIGTERMs were sent: a process that had ended before got none.
fn sigterms(signalled: Signalled) -> usize {
    match signalled {
        Signalled::Sent => 1,
        Signalled::Gone => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_had_ended_is_not_counted_as_signalled() {
        let signalled = [Signalled::Sent, Signalled::Gone, Signalled::Sent];
        assert_eq!(signalled.into_iter().map(sigterms).sum::<usize>(), 2);
    }
}
