//! The rung of SQL: what the servers say, and whom they tell to end.

use super::server::{self, Answer, Facts};
use super::{DrainError, Held, Ladder, choices};
use crate::clients::{self, Socket};
use crate::cordon::Fate;
use crate::postgres::Row;
use crate::window::{self, Guards};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

impl<F: Guards> Ladder<'_, F> {
    /// Asks each server that was not asked yet, or that may have a free slot now.
    pub(super) fn ask_servers(&mut self) {
        for (number, server) in self.servers.iter_mut().enumerate() {
            if server.may_be_asked() {
                server.ask(number, self.order, &mut self.questions);
            }
        }
    }

    /// Takes in what a server has said.
    pub(super) fn hear(&mut self, number: usize, answer: Answer) -> Result<(), DrainError> {
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
                tracing::debug!(after = ?self.began.elapsed(), remote = pids.len(), "rows are read");
                self.cancel_or_tell(number, pids)?;
            }
            Answer::Cancelled(session, pids) => {
                server.state = server::State::Ready(session);
                self.tell(number, pids)?;
            }
            Answer::Told(session, told) => {
                server.state = server::State::Ready(session);
                tracing::debug!(after = ?self.began.elapsed(), backends = told.len(), "backends are told to end");
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
    pub(super) fn let_through(&mut self, number: usize, facts: &Facts) -> Result<(), DrainError> {
        let port = self.order.port;
        let facts = &self.credible(number, facts)?;
        let choices = choices::choose(&mut self.judge, self.order, facts);
        let choices = choices.map_err(DrainError::Routing)?;
        self.let_address_through(&choices.pass)?;
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

    /// A server's rows without those that would let somebody through and name a connection
    /// that no child of this postmaster holds: anybody may run a server on the port at
    /// another address, and let it tell what he likes.
    fn credible(&self, number: usize, facts: &Facts) -> Result<Facts, DrainError> {
        let server = &self.servers[number];
        let server::State::Ready(session) = &server.state else {
            return Ok(Facts::default());
        };
        let mut credible = facts.clone();
        credible.rows.clear();
        for row in &facts.rows {
            let socket = server::client(row).and_then(|client| {
                let mut open = self.left.open.iter();
                open.find(|socket| {
                    socket.remote.ip() == client.ip() && socket.remote.port() == client.port()
                })
            });
            let holds = match (socket, session.host_pid(row.pid)) {
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
    pub(super) fn let_address_through(&mut self, addresses: &[IpAddr]) -> Result<(), DrainError> {
        if !addresses.is_empty() {
            window::allow_standbys(self.firewall, self.order.port, addresses)?;
            self.judge.allow(addresses);
        }
        Ok(())
    }

    /// Judges the sockets of the last look again: some may stay by now.
    pub(super) fn remote_again(&mut self) -> Result<(), DrainError> {
        let mut open = std::mem::take(&mut self.left.open);
        for socket in open.drain(..) {
            if self.judge.cuts(&socket).map_err(DrainError::Routing)? {
                self.left.open.push(socket);
            } else {
                self.found.remove(&socket.cookie());
            }
        }
        Ok(())
    }

    /// Watches the backends of remote rows, and returns those that are to be told now.
    pub(super) fn meet(&mut self, number: usize, rows: &[Row]) -> Result<Vec<i32>, DrainError> {
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
    pub(super) fn watch_row(
        &mut self,
        number: usize,
        row: &Row,
    ) -> Result<Option<i32>, DrainError> {
        let server = &mut self.servers[number];
        let server::State::Ready(session) = &server.state else {
            return Ok(None);
        };
        let Some(pid) = session.host_pid(row.pid) else {
            return Ok(None);
        };
        server.host_pids.insert(row.pid, pid);
        if self.watch.is_alive(pid) {
            return Ok(Some(pid));
        }
        if let Some(pidfd) = clients::pidfd_of_child(&server.process, pid)? {
            let peer = server::peer(self.order.port, Some(pid), row);
            self.watch
                .add(pid, pidfd, peer)
                .map_err(DrainError::Watch)?;
        }
        Ok(Some(pid))
    }

    /// Cancels statements first, if that is asked; else tells backends to end.
    pub(super) fn cancel_or_tell(
        &mut self,
        number: usize,
        pids: Vec<i32>,
    ) -> Result<(), DrainError> {
        match self.order.cancel_first {
            Some(patience) if !pids.is_empty() && !self.servers[number].has_cancelled => {
                self.until.check()?;
                self.servers[number].has_cancelled = true;
                self.servers[number].cancel(number, pids, patience, &mut self.questions);
                Ok(())
            }
            _ => self.tell(number, pids),
        }
    }

    /// Tells those that are to be cut last, when all others have ended or the farewell is
    /// over.
    pub(super) fn tell_last(&mut self) -> Result<(), DrainError> {
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
    pub(super) fn tell(&mut self, number: usize, pids: Vec<i32>) -> Result<(), DrainError> {
        if pids.is_empty() {
            return Ok(());
        }
        let pids = self.still_there(number, pids)?;
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

    /// Those backends that have not ended since they were met: a pid may be another's by now.
    fn still_there(&mut self, number: usize, pids: Vec<i32>) -> Result<Vec<i32>, DrainError> {
        self.watch.take_in().map_err(DrainError::Watch)?;
        let hosts = &self.servers[number].host_pids;
        let watch = &self.watch;
        let alive = |pid: &i32| hosts.get(pid).is_none_or(|host| watch.is_alive(*host));
        Ok(pids.into_iter().filter(alive).collect())
    }

    /// Notes whether a backend, by the server's own pid, was told to end.
    pub(super) fn mark_told(&mut self, number: usize, pid: i32, told: bool) {
        let pid = self.servers[number].host_pids.get(&pid);
        if let Some(met) = pid.and_then(|pid| self.watch.alive_mut(*pid)) {
            met.told = told;
        }
    }
}
