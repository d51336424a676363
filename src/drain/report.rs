//! What the drain has done, read back after the fact.

use super::{DrainError, Ladder, nobody};
use crate::cordon::{Backends, DrainReport, Peer, Sockets, SqlOutcome};
use crate::window::Guards;
use std::collections::HashSet;

/// Why a drain is not proven that can name nobody.
const UNKNOWN: &str = "the time was up before it was proven that nobody remote is left: \
    PostgreSQL still shows a remote session, or has a process that may be one";

impl<F: Guards> Ladder<'_, F> {
    pub(super) fn report(self, climbed: Result<bool, DrainError>) -> DrainReport {
        let mut stragglers = self.watch.left();
        let known: HashSet<_> = stragglers.iter().filter_map(|peer| peer.client).collect();
        for socket in &self.scan.left.open {
            if !known.contains(&socket.remote) {
                let state = format!("{:?}", socket.state);
                stragglers.push(Peer { state, ..nobody(self.order.port, Some(socket.remote)) });
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
            sql: match &self.order.foreign_listener {
                Some(why) => SqlOutcome::NotUsed(why.clone()),
                None => self.sql.outcome(),
            },
            backends: Backends { found, ended: found - left, left },
            sockets: Sockets {
                found: self.scan.found.len(),
                destroyed: self.scan.destroyed.len(),
                closing: self.scan.left.closing.len(),
                left: self.scan.left.open.len(),
            },
            signalled: self.signalled,
            spared: self.spared,
            stragglers,
            unproven,
            refused,
            took: self.began.elapsed(),
            warnings: self.warnings,
        }
    }
}
