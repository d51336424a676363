//! What the drain has done, read back after the fact.

use super::{DrainError, Ladder, nobody, server};
use crate::cordon::{Backends, DrainReport, Peer, Sockets, SqlOutcome};
use crate::window::Guards;
use std::collections::HashSet;

/// Why a drain is not proven that can name nobody.
const UNKNOWN: &str = "the time was up before it was proven that nobody remote is left: \
    PostgreSQL still shows a remote session, or has a process that may be one";

impl<F: Guards> Ladder<'_, F> {
    pub(super) fn report(mut self, climbed: Result<bool, DrainError>) -> DrainReport {
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
            Ok(false) if stragglers.is_empty() => (Some(UNKNOWN.to_owned()), None),
            Ok(_) => (self.order.foreign_listener.clone(), None),
        };
        DrainReport {
            sql: self.sql_outcome(),
            backends: Backends {
                found,
                ended: found - left,
                left,
            },
            sockets: Sockets {
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

    pub(super) fn sql_outcome(&self) -> SqlOutcome {
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
