//! The rung of sockets: who is connected whatever SQL says, and the two ways to end it.

use super::scan::Left;
use super::server;
use super::sql::ServerId;
use super::{DrainError, Ladder, NO_SERVER, choices, nobody};
use crate::clients::{self, Backend, PortInodes, Signalled, Socket, Stage, State};
use crate::cordon::Peer;
use crate::window::Guards;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Instant;

impl<F: Guards> Ladder<'_, F> {
    /// Lists the remote sockets; destroys those whose client a farewell cannot reach, and
    /// tells backends that SQL does not know.
    pub(super) fn look(&mut self) -> Result<(), DrainError> {
        self.watch.take_in().map_err(DrainError::Watch)?;
        let sockets = self.scan.remote(&mut self.classifier)?;
        let over = self.farewell_is_over();
        let chosen = self.chosen();
        let undecided = self.undecided(&sockets)?;
        let mut left = Left::default();
        for socket in sockets {
            self.scan.found.insert(socket.cookie());
            if socket.state.is_closing() {
                left.closing.push(socket.remote);
            }
            if !socket.state.is_open() {
                continue;
            }
            self.scan.follow_queue(&socket);
            let may_be_cut = chosen && !undecided.contains(&socket.inode);
            let is_to_end = may_be_cut && (over || self.is_stuck(&socket));
            if self.is_unreachable(&socket)? || is_to_end {
                self.destroy(&socket);
            }
            left.open.push(socket);
        }
        self.scan.take_over(left);
        self.release_held()?;
        self.tell_last()?;
        self.look_for_owners()
    }

    /// Destroys a socket, unless nobody wants that any more.
    pub(super) fn destroy(&mut self, socket: &Socket) {
        if self.stop.is_stopped() {
            return;
        }
        if let Err(error) = self.scan.destroy(socket) {
            self.warn(error.to_string());
        }
    }

    /// Whether no farewell can reach its client: nobody serves it yet, or its own address has
    /// left this host.
    fn is_unreachable(&mut self, socket: &Socket) -> Result<bool, DrainError> {
        if socket.is_unaccepted() || socket.state == State::SynReceived {
            return Ok(true);
        }
        let is_own = self.classifier.is_own(socket);
        Ok(!is_own.map_err(DrainError::Routing)?)
    }

    fn is_stuck(&self, socket: &Socket) -> bool {
        let mut held = self.sql.held.iter();
        let is_held = held.any(|held| held.cookie == socket.cookie());
        self.scan.is_stuck(socket, is_held)
    }

    /// Tells those backends of whose clients it is clear by now whether they read.
    fn release_held(&mut self) -> Result<(), DrainError> {
        let scan = &self.scan;
        let ready = self.sql.release(|cookie| scan.may_not_be_read(cookie));
        for (id, pids) in ready {
            self.tell(id, pids)?;
        }
        Ok(())
    }

    /// Looks for the processes behind sockets that SQL has not named: those in startup lose
    /// their socket, all others are told to end.
    fn look_for_owners(&mut self) -> Result<(), DrainError> {
        let unknown =
            |socket: &&Socket| socket.inode != 0 && !self.scan.owned.contains(&socket.inode);
        if !self.scan.left.open.iter().any(|socket| unknown(&socket))
            || !self.sql.had_its_turn(self.began)
        {
            return Ok(());
        }
        let chosen = self.chosen();
        let listening = self.scan.listening()?;
        let inodes = PortInodes::new(&listening, &self.scan.left.open);
        for id in self.sql.ids() {
            for backend in clients::backends(&self.sql[id].process, &inodes)? {
                if backend.is_walsender() && (self.is_waited_for(id) || !chosen) {
                    continue;
                }
                let standby = choices::standby_by_title(&backend);
                if let Some(address) = standby.filter(|_| self.order.keep.replication) {
                    self.let_addresses_through(&[address])?;
                } else if chosen || backend.stage == Stage::Startup {
                    if let Some(address) = standby.filter(|_| !self.sql[id].answered) {
                        self.warn(choices::unknown_standby(address));
                    }
                    self.end_backend(backend)?;
                }
            }
        }
        self.check_spare()
    }

    /// The inodes of standbys' sockets, as long as SQL may still say that they stay.
    fn undecided(&mut self, sockets: &[Socket]) -> Result<HashSet<u32>, DrainError> {
        let mut undecided = HashSet::new();
        if !self.chosen() || !self.sql.ids().any(|id| self.is_waited_for(id)) {
            return Ok(undecided);
        }
        let inodes = PortInodes::new(&self.scan.listening()?, sockets);
        for id in self.sql.ids() {
            if self.is_waited_for(id) {
                let backends = clients::backends(&self.sql[id].process, &inodes)?;
                let standbys = backends.iter().filter(|backend| backend.is_walsender());
                undecided.extend(standbys.flat_map(|backend| &backend.inodes));
            }
        }
        Ok(undecided)
    }

    /// Whether a server may still say which standbys stay. It is waited for longer than for
    /// the sake of other clients: a synchronous standby that is cut stops local commits.
    fn is_waited_for(&self, id: ServerId) -> bool {
        let server = &self.sql[id];
        let failed = matches!(server.state, server::State::Unavailable { passing: false, .. });
        !server.answered && !failed && self.may_accept_late()
    }

    /// Whether a postmaster that has accepted nobody so far may be slow instead of hanging.
    pub(super) fn may_accept_late(&self) -> bool {
        self.began.elapsed() < server::SQL_TIMEOUT.min(self.order.timeout / 2)
    }

    /// Whether it is known who stays: nobody past the startup is cut before that.
    pub(super) fn chosen(&self) -> bool {
        if self.order.keep.spare.is_empty() {
            return self.sql.had_its_turn(self.began);
        }
        self.sql.has_answered()
    }

    /// `--spare` without SQL: nobody may be cut, since nobody knows who is meant.
    pub(super) fn check_spare(&self) -> Result<(), DrainError> {
        if self.chosen() || self.order.keep.spare.is_empty() {
            return Ok(());
        }
        if self.sql.servers().is_empty() {
            let why = self.order.foreign_listener.as_deref().unwrap_or(NO_SERVER);
            return Err(DrainError::Spare(why.to_owned()));
        }
        for server in self.sql.servers() {
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
    fn end_backend(&mut self, backend: Backend) -> Result<(), DrainError> {
        let is_held = |socket: &&Socket| backend.inodes.contains(&socket.inode);
        let open = self.scan.left.open.iter();
        let held: Vec<Socket> = open.filter(is_held).cloned().collect();
        let client = held.first().map(|socket| socket.remote);
        if backend.stage == Stage::Startup {
            for socket in &held {
                self.destroy(socket);
            }
            // What has arrived before it may read on, and even log in: it has to end.
            return self.watch_backend(backend, client);
        }
        let may_not_be_read = |socket: &Socket| self.scan.may_not_be_read(socket.cookie());
        if held.iter().any(may_not_be_read) {
            return Ok(()); // It is looked at again soon.
        }
        self.scan.owned.extend(&backend.inodes);
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
                Ok(Signalled::Sent) => self.signalled += 1,
                Ok(Signalled::Gone) => {}
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
}
