//! The farewell: counted from the first SIGTERM, and ended before anything is proven.

use super::{DrainError, FRESH, Farewell, Ladder};
use crate::window::{self, Guards};
use std::time::Instant;

impl<F: Guards> Ladder<'_, F> {
    /// Called before each SIGTERM: the farewell is counted from the first one. Fails if nobody
    /// is to be told any more.
    pub(super) fn begin_farewell(&mut self) -> Result<(), DrainError> {
        let is_first = !std::mem::replace(&mut self.has_told, true);
        let fresh = match self.farewell {
            Farewell::Over => true,
            Farewell::Waiting => false,
            Farewell::Until(_) => !is_first || self.began.elapsed() < FRESH,
        };
        if !fresh {
            window::renew_farewell(self.firewall, self.order.port, self.order.farewell)?;
            self.farewell = Farewell::Until(Instant::now() + self.order.farewell);
        }
        // The port's lock may have been waited for.
        self.until.check()
    }

    pub(super) fn farewell_is_over(&self) -> bool {
        matches!(self.farewell, Farewell::Over) || Instant::now() >= self.farewell_end()
    }

    /// When it is over, at the latest with the drain's own time.
    pub(super) fn farewell_end(&self) -> Instant {
        match self.farewell {
            Farewell::Until(end) => end.min(self.deadline),
            // Nobody is left to be told: a close that is under way gets as long.
            Farewell::Waiting if self.left.open.is_empty() => {
                self.deadline.min(self.began + self.order.farewell)
            }
            Farewell::Waiting | Farewell::Over => self.deadline,
        }
    }

    /// Where the drain cannot go on: what is open is destroyed, and the farewell ends, so that
    /// nobody is left hanging behind a closed port.
    pub(super) fn give_up(&mut self) {
        let remote = self.remote_sockets().unwrap_or_default();
        for socket in remote.iter().filter(|socket| socket.state.is_open()) {
            self.destroy(socket);
        }
        let reset = self.reset.clone();
        if let Err(error) = window::end_farewell(self.firewall, self.order.port, reset) {
            self.warn(error.to_string());
        }
        let left = self.remote_sockets().unwrap_or(remote);
        self.left.open = left
            .into_iter()
            .filter(|socket| socket.state.is_open())
            .collect();
    }

    /// Ends the farewell: what is still open is destroyed, what is closing may finish, and
    /// what came in through a handshake that was under way is destroyed too.
    pub(super) fn end_farewell(&mut self) -> Result<(), DrainError> {
        let began = !matches!(self.farewell, Farewell::Waiting | Farewell::Over);
        let was_open = began || self.order.farewell_may_stand;
        self.farewell = Farewell::Over;
        if was_open || !self.left.open.is_empty() {
            self.look()?;
        }
        // A client whose reset was lost on the way gets another one if it sends anything.
        let mut closing = self.left.closing.clone();
        closing.extend(&self.reset);
        if was_open {
            window::end_farewell(self.firewall, self.order.port, closing)?;
            self.look()?;
        } else if !closing.is_empty() {
            window::linger(self.firewall, self.order.port, closing)?;
        }
        Ok(())
    }
}
