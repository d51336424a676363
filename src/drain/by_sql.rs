//! The rung of SQL: what the servers say, and whom they tell to end.

use super::server::{self, Answer, Facts};
use super::sql::{Held, ServerId};
use super::{DrainError, Ladder, choices};
use crate::clients::{self, Socket};
use crate::postgres::Row;
use crate::window::{self, Guards};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

impl<F: Guards> Ladder<'_, F> {
    /// Takes in what a server has said.
    pub(super) fn hear(&mut self, id: ServerId, answer: Answer) -> Result<(), DrainError> {
        let server = &mut self.sql[id];
        match answer {
            Answer::Failed { why, passing } => {
                tracing::debug!(%why, "SQL is not to be had");
                server.state = server::State::Unavailable { why, passing, at: Instant::now() };
            }
            Answer::Rows(session, facts) => {
                server.state = server::State::Ready(session);
                if !server.answered {
                    server.answered = true;
                    self.let_through(id, &facts)?;
                }
                let pids = self.meet(id, &facts.rows)?;
                tracing::debug!(after = ?self.began.elapsed(), remote = pids.len(), "rows are read");
                self.cancel_or_tell(id, pids)?;
            }
            Answer::Cancelled(session, pids) => {
                server.state = server::State::Ready(session);
                self.tell(id, pids)?;
            }
            Answer::Told(session, told) => {
                server.state = server::State::Ready(session);
                tracing::debug!(after = ?self.began.elapsed(), backends = told.len(), "backends are told to end");
                for (pid, outcome) in told {
                    if let Err(error) = outcome {
                        // The sockets' rung tells it directly.
                        tracing::debug!(pid, %error, "pg_terminate_backend was refused");
                        self.mark_told(id, pid, false);
                        self.scan.owned.clear();
                    }
                }
            }
        }
        Ok(())
    }

    /// Lets those through who stay although they are remote.
    fn let_through(&mut self, id: ServerId, facts: &Facts) -> Result<(), DrainError> {
        let port = self.order.port;
        let facts = &self.credible(id, facts)?;
        let choices = choices::choose(&mut self.classifier, self.order, facts)
            .map_err(DrainError::Routing)?;
        if !choices.pass.is_empty() {
            self.let_addresses_through(&choices.pass)?;
        }
        if !choices.spared.is_empty() {
            self.stop.check()?;
            window::spare(self.firewall, port, choices.spared.clone())?;
            let is_spared = |row: &&Row| {
                server::client(row).is_some_and(|client| choices.spared.contains(&client))
            };
            let spared = facts.rows.iter().filter(is_spared);
            self.spared.extend(spared.map(|row| server::peer(port, Some(row.pid), row)));
            self.classifier.spare(choices.spared);
        }
        self.sql.last.extend(choices.last.into_iter().map(|pid| (id, pid)));
        for text in choices.warnings {
            self.warn(text);
        }
        self.scan.classify_again(&mut self.classifier)
    }

    /// A server's rows without those that would let somebody through and name a connection
    /// that no child of this postmaster holds: anybody may run a server on the port at
    /// another address, and let it tell what he likes.
    fn credible(&self, id: ServerId, facts: &Facts) -> Result<Facts, DrainError> {
        let server = &self.sql[id];
        let mut credible = facts.clone();
        credible.rows.clear();
        for row in &facts.rows {
            let socket = server::client(row).and_then(|client| {
                let mut open = self.scan.left.open.iter();
                open.find(|socket| {
                    socket.remote.ip() == client.ip() && socket.remote.port() == client.port()
                })
            });
            let holds = match (socket, server.host_pid(row.pid)) {
                _ if !choices::may_stay(self.order, row) => true,
                (Some(socket), Some(pid)) => {
                    clients::child_holds(&server.process, pid, socket.inode)?
                }
                _ => false,
            };
            if holds {
                credible.rows.push(row.clone());
            }
        }
        Ok(credible)
    }

    /// Puts the addresses of standbys on the pass list.
    pub(super) fn let_addresses_through(&mut self, addresses: &[IpAddr]) -> Result<(), DrainError> {
        self.stop.check()?;
        window::allow_standbys(self.firewall, self.order.port, addresses)?;
        self.classifier.allow(addresses);
        Ok(())
    }

    /// Watches the backends of remote rows, and returns those that are to be told now.
    fn meet(&mut self, id: ServerId, rows: &[Row]) -> Result<Vec<i32>, DrainError> {
        let open = self.scan.left.open.iter().cloned();
        let by_client: HashMap<_, _> =
            open.map(|socket| ((socket.remote.ip(), socket.remote.port()), socket)).collect();
        let mut pids = Vec::new();
        for row in rows {
            let Some(client) = server::client(row) else {
                continue;
            };
            let socket = by_client.get(&(client.ip(), client.port()));
            let interface = socket.map_or(0, |socket| socket.interface);
            if !self.cuts(client, interface)? {
                continue;
            }
            let pid = self.watch_row(id, row)?;
            if let Some(met) = pid.and_then(|pid| self.watch.alive_mut(pid)) {
                met.peer = server::peer(self.order.port, pid, row);
                if met.told {
                    continue;
                }
            }
            self.scan.owned.extend(socket.map(|socket| socket.inode));
            let cookie = socket.map(Socket::cookie);
            if self.sql.last.contains(&(id, row.pid)) {
                continue; // Told after all others.
            }
            match cookie.filter(|cookie| self.scan.may_not_be_read(*cookie)) {
                Some(cookie) => self.sql.held.push(Held { server: id, pid: row.pid, cookie }),
                None => pids.push(row.pid),
            }
        }
        Ok(pids)
    }

    /// Watches the process of a row; returns its pid on this host.
    fn watch_row(&mut self, id: ServerId, row: &Row) -> Result<Option<i32>, DrainError> {
        let server = &mut self.sql[id];
        let Some(pid) = server.host_pid(row.pid) else { return Ok(None) };
        server.host_pids.insert(row.pid, pid);
        if self.watch.is_alive(pid) {
            return Ok(Some(pid));
        }
        if let Some(pidfd) = clients::pidfd_of_child(&server.process, pid)? {
            let peer = server::peer(self.order.port, Some(pid), row);
            self.watch.add(pid, pidfd, peer).map_err(DrainError::Watch)?;
        }
        Ok(Some(pid))
    }

    /// Cancels statements first, if that is asked; else tells backends to end.
    fn cancel_or_tell(&mut self, id: ServerId, pids: Vec<i32>) -> Result<(), DrainError> {
        match self.order.cancel_first {
            Some(patience) if !pids.is_empty() && !self.sql[id].has_cancelled => {
                self.stop.check()?;
                self.sql[id].has_cancelled = true;
                self.sql.cancel(id, pids, patience);
                Ok(())
            }
            _ => self.tell(id, pids),
        }
    }

    /// Tells those that are to be cut last, when all others have ended or the farewell is
    /// over.
    pub(super) fn tell_last(&mut self) -> Result<(), DrainError> {
        let others = self.watch.alive() > self.sql.last.len();
        if self.sql.last.is_empty() || (others && !self.farewell_is_over()) {
            return Ok(());
        }
        for id in self.sql.ids() {
            if !matches!(self.sql[id].state, server::State::Ready(_)) {
                continue;
            }
            let (now, later): (Vec<_>, Vec<_>) =
                self.sql.last.iter().partition(|(server, _)| *server == id);
            self.sql.last = later;
            self.tell(id, now.into_iter().map(|(_, pid)| pid).collect())?;
        }
        Ok(())
    }

    /// Tells backends of a server to end, by SQL.
    pub(super) fn tell(&mut self, id: ServerId, pids: Vec<i32>) -> Result<(), DrainError> {
        let pids = self.still_there(id, pids)?;
        if pids.is_empty() {
            return Ok(());
        }
        self.begin_farewell()?;
        for pid in &pids {
            self.mark_told(id, *pid, true);
        }
        self.sql.tell(id, pids);
        Ok(())
    }

    /// Those backends that have not ended since they were met: a pid may be another's by now.
    fn still_there(&mut self, id: ServerId, pids: Vec<i32>) -> Result<Vec<i32>, DrainError> {
        self.watch.take_in().map_err(DrainError::Watch)?;
        let hosts = &self.sql[id].host_pids;
        let watch = &self.watch;
        let alive = |pid: &i32| hosts.get(pid).is_none_or(|host| watch.is_alive(*host));
        Ok(pids.into_iter().filter(alive).collect())
    }

    /// Notes whether a backend, by the server's own pid, was told to end.
    fn mark_told(&mut self, id: ServerId, pid: i32, told: bool) {
        let pid = self.sql[id].host_pids.get(&pid);
        if let Some(met) = pid.and_then(|pid| self.watch.alive_mut(*pid)) {
            met.told = told;
        }
    }
}
