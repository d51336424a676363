//! The farewell: counted from the first SIGTERM, and ended before anything is proven.

use super::{DrainError, FRESH, Farewell, Ladder};
use crate::firewall::Firewall;
use crate::window;
use std::time::Instant;

impl<F: Firewall> Ladder<'_, F> {
    /// Called before each SIGTERM: the farewell is counted from the first one.
    pub(super) fn begin_farewell(&mut self) -> Result<(), DrainError> {
        let fresh = match self.farewell {
            Farewell::Over => true,
            Farewell::Waiting => false,
            Farewell::Until(_) => self.has_told || self.began.elapsed() < FRESH,
        };
        self.has_told = true;
        if !fresh {
            window::renew_farewell(self.firewall, self.order.port, self.order.farewell)?;
            self.farewell = Farewell::Until(Instant::now() + self.order.farewell);
        }
        Ok(())
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

    /// Ends the farewell: what is still open is destroyed, what is closing may finish, and
    /// what came in through a handshake that was under way is destroyed too.
    pub(super) fn end_farewell(&mut self) -> Result<(), DrainError> {
        let began = !matches!(self.farewell, Farewell::Waiting | Farewell::Over);
        let was_open = began || self.order.farewell_may_stand;
        self.farewell = Farewell::Over;
        if was_open || !self.left.open.is_empty() {
            self.look()?;
        }
        if was_open || !self.left.closing.is_empty() {
            let closing = self.left.closing.clone();
            window::end_farewell(self.firewall, self.order.port, closing)?;
            self.look()?;
        }
        Ok(())
    }
}
