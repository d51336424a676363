//! The proof that nobody remote is left.

use super::server::{self, Answer};
use super::sql::ServerId;
use super::{DrainError, Ladder};
use crate::clients::{Client, PortInodes, Process, orphans, sessions_without_socket};
use crate::postgres::Row;
use crate::window::Guards;
use std::time::Instant;

impl<F: Guards> Ladder<'_, F> {
    /// Whether nobody remote is left: two scans without an open socket, then no row and no
    /// process, and every process that was watched has ended.
    pub(super) async fn is_proven(&mut self) -> Result<bool, DrainError> {
        // The look before this one came after the end of the farewell, too.
        let before = self.scan.left.open.is_empty();
        self.look()?;
        if !before || !self.scan.left.open.is_empty() {
            return Ok(false);
        }
        let mut clean = true;
        for id in self.sql.ids() {
            clean &= match &self.sql[id].state {
                server::State::Ready(_) => {
                    self.no_newcomer(id)?
                        && self.no_row(id).await?
                        && (self.scan.destroyed.is_empty() || self.no_newcomer(id)?)
                }
                // A postmaster that is only busy accepts soon; nobody waits long for a hanging one.
                _ if self.may_accept_late() => self.no_newcomer(id)?,
                _ => self.no_session(id)?,
            };
        }
        self.watch.take_in().map_err(DrainError::Watch)?;
        Ok(clean && self.watch.alive() == 0 && self.sql.held.is_empty())
    }

    /// Whether a server has no remote row. One that came in meanwhile is told to end.
    async fn no_row(&mut self, id: ServerId) -> Result<bool, DrainError> {
        self.sql.ask_again(id);
        while matches!(self.sql[id].state, server::State::Asking) {
            let Some((answering, answer)) = self.sql.answer().await else {
                return Ok(false);
            };
            let rows = match &answer {
                Answer::Rows(_, facts) if answering == id => self.count_remote(&facts.rows)?,
                _ => 1,
            };
            self.hear(answering, answer)?;
            if answering == id {
                return Ok(rows == 0);
            }
        }
        Ok(false)
    }

    fn count_remote(&mut self, rows: &[Row]) -> Result<usize, DrainError> {
        let mut remote = 0;
        for client in rows.iter().filter_map(server::client) {
            remote += usize::from(self.cuts(client, 0)?);
        }
        Ok(remote)
    }

    /// Whether nobody is on the way to a row: a backend in startup reads on what has arrived
    /// before its client was gone. A socket that was destroyed before it was accepted still
    /// is accepted. Between its accept(2) and its backend's fork(2) it is in no queue and in no
    /// process; its postmaster does not sleep in between.
    fn no_newcomer(&mut self, id: ServerId) -> Result<bool, DrainError> {
        let mut listening = self.scan.listening()?.into_iter();
        // One that is always busy, with local clients, is waited for no longer than one that hangs.
        let is_busy = self.may_accept_late() && self.sql[id].process.is_busy()?;
        let accepted = self.scan.destroyed.is_empty()
            || listening.all(|one| one.receive_queue == 0) && !is_busy;
        Ok(accepted && self.no_session(id)?)
    }

    /// Whether no child of a postmaster is a remote session, told without SQL. One whose
    /// client has reset its connection has no socket any more, and runs on: it is ended.
    fn no_session(&mut self, id: ServerId) -> Result<bool, DrainError> {
        let port = self.order.port;
        let listening = self.scan.listening()?;
        let inodes = PortInodes::new(&listening, &self.scan.all);
        let process = self.sql[id].process.clone();
        let mut clean = true;
        for backend in sessions_without_socket(&process, port, &inodes)? {
            let own_is_loopback = backend.unlisted.is_some_and(|own| own.ip().is_loopback());
            match backend.client {
                Client::Address { address } if self.cuts(address, 0)? => {
                    clean = false;
                    self.signal(backend, Some(address))?;
                }
                // Whose connection it holds cannot be told: it may be a local one, so it is
                // not signalled, and as long as it lasts nothing is proven.
                Client::Unknown if !own_is_loopback => {
                    clean = false;
                    // It may have come after the scan and be known in the next one.
                    if Instant::now() >= self.deadline {
                        self.watch_backend(backend, None)?;
                    }
                }
                Client::Address { .. } | Client::Unix | Client::Unknown => {}
            }
        }
        Ok(self.no_orphan(&process)? && clean)
    }

    /// Whether a postmaster that has ended has left nobody behind who may be remote. What it
    /// has left is waited for: it is nobody's child any more, and is not signalled.
    fn no_orphan(&mut self, process: &Process) -> Result<bool, DrainError> {
        let mut clean = true;
        for orphan in orphans(process)? {
            let client = match orphan.client {
                Client::Address { address } => Some(address),
                Client::Unix => continue,
                Client::Unknown => None,
            };
            if !client.map_or(Ok(true), |client| self.cuts(client, 0))? {
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
