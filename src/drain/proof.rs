//! The proof that nobody remote is left.

use super::server::{self, Answer};
use super::{DrainError, Ladder};
use crate::clients::{Client, PortInodes, Process, orphans, sessions_without_socket};
use crate::cordon::Fate;
use crate::postgres::Row;
use crate::window::Guards;
use std::time::Instant;

impl<F: Guards> Ladder<'_, F> {
    /// Whether nobody remote is left: two scans without an open socket, then no row and no
    /// process, and every process that was watched has ended.
    pub(super) async fn is_proven(&mut self) -> Result<bool, DrainError> {
        // The look before this one came after the end of the farewell, too.
        let before = self.left.open.is_empty();
        self.look()?;
        if !before || !self.left.open.is_empty() {
            return Ok(false);
        }
        let mut clean = true;
        for number in 0..self.servers.len() {
            clean &= match &self.servers[number].state {
                server::State::Ready(_) => {
                    self.no_newcomer(number)?
                        && self.no_row(number).await?
                        && (self.destroyed.is_empty() || self.no_newcomer(number)?)
                }
                _ => self.no_session(number)?,
            };
        }
        self.watch.take_in().map_err(DrainError::Watch)?;
        Ok(clean && self.watch.alive() == 0 && self.held.is_empty())
    }

    /// Whether a server has no remote row. One that came in meanwhile is told to end.
    pub(super) async fn no_row(&mut self, number: usize) -> Result<bool, DrainError> {
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

    pub(super) fn count_remote(&mut self, rows: &[Row]) -> Result<usize, DrainError> {
        let mut remote = 0;
        for client in rows.iter().filter_map(server::client) {
            let fate = self.judge.fate(client, 0).map_err(DrainError::Routing)?;
            remote += usize::from(fate == Fate::Cut);
        }
        Ok(remote)
    }

    /// Whether nobody is on the way to a row: a backend in startup reads on what has arrived
    /// before its client was gone. A socket that was destroyed before it was accepted still
    /// is accepted.
    fn no_newcomer(&mut self, number: usize) -> Result<bool, DrainError> {
        let listening = self.sockets.listening(self.order.port);
        let mut listening = listening.map_err(DrainError::Scan)?.into_iter();
        let accepted = self.destroyed.is_empty() || listening.all(|one| one.receive_queue == 0);
        Ok(accepted && self.no_session(number)?)
    }

    /// Whether no child of a postmaster is a remote session, told without SQL. One whose
    /// client has reset its connection has no socket any more, and runs on: it is ended.
    pub(super) fn no_session(&mut self, number: usize) -> Result<bool, DrainError> {
        let port = self.order.port;
        let listening = self.sockets.listening(port).map_err(DrainError::Scan)?;
        let inodes = PortInodes::new(&listening, &self.scan);
        let process = self.servers[number].process.clone();
        let mut clean = true;
        for backend in sessions_without_socket(&process, port, &inodes)? {
            let own_is_loopback = backend.unlisted.is_some_and(|own| own.ip().is_loopback());
            let client = match &backend.client {
                Client::Address { address, .. } => Some(*address),
                Client::Unix => continue,
                Client::Unknown if own_is_loopback => continue,
                Client::Unknown => None,
            };
            let Some(client) = client else {
                // Whose connection it holds cannot be told: it may be a local one, so it is
                // not signalled, and as long as it lasts nothing is proven.
                clean = false;
                // It may have come after the scan and be known in the next one.
                if Instant::now() >= self.deadline {
                    self.watch_backend(backend, None)?;
                }
                continue;
            };
            let fate = self.judge.fate(client, 0).map_err(DrainError::Routing)?;
            if fate == Fate::Cut {
                clean = false;
                self.signal(backend, Some(client))?;
            }
        }
        Ok(self.no_orphan(&process)? && clean)
    }

    /// Whether a postmaster that has ended has left nobody behind who may be remote. What it
    /// has left is waited for: it is nobody's child any more, and is not signalled.
    fn no_orphan(&mut self, process: &Process) -> Result<bool, DrainError> {
        let mut clean = true;
        for orphan in orphans(process)? {
            let client = match &orphan.client {
                Client::Address { address, .. } => Some(*address),
                Client::Unix => continue,
                Client::Unknown => None,
            };
            let fate = client.map_or(Ok(Fate::Cut), |client| self.judge.fate(client, 0));
            if fate.map_err(DrainError::Routing)? != Fate::Cut {
                continue;
            }
            clean = false;
            self.warn(format!(
                "PostgreSQL's postmaster {} has ended and left processes behind, which end by themselves when their statements do",
                process.pid
            ));
            // The server's own processes end at once.
            if client.is_some() || Instant::now() >= self.deadline {
                self.watch_backend(orphan, client)?;
            }
        }
        Ok(clean)
    }
}
