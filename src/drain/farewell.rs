//! The farewell: counted from the first SIGTERM, and ended before anything is proven.

use super::{DrainError, Ladder, Order};
use crate::window::{self, Guards};
use std::time::{Duration, Instant};

/// A farewell that was written so recently need not be written again.
const FRESH: Duration = Duration::from_millis(100);

/// The time in which last messages and closes pass.
pub struct Farewell {
    state: State,
    has_told: bool,
}

enum State {
    /// Not begun: no SIGTERM was sent, and no packet of an existing connection passes.
    Waiting,
    Until(Instant),
    Over,
}

impl Farewell {
    pub fn new(order: &Order, began: Instant) -> Self {
        let length = order.farewell;
        let state = match (length.is_zero(), order.farewell_is_running) {
            (true, _) => State::Over,
            (false, true) => {
                // Where statements are cancelled first, it begins anew with the first SIGTERM.
                State::Until(began + length + order.cancel_first.unwrap_or_default())
            }
            (false, false) => State::Waiting,
        };
        Self { state, has_told: false }
    }
}

impl<F: Guards> Ladder<'_, F> {
    /// Called before each SIGTERM: the farewell is counted from the first one. Fails if nobody
    /// is to be told any more.
    pub(super) fn begin_farewell(&mut self) -> Result<(), DrainError> {
        let is_first = !std::mem::replace(&mut self.farewell.has_told, true);
        let has_to_begin = match self.farewell.state {
            State::Over => false,
            State::Waiting => true,
            State::Until(_) => is_first && self.began.elapsed() >= FRESH,
        };
        if has_to_begin {
            window::renew_farewell(self.firewall, self.order.port, self.order.farewell)?;
            self.farewell.state = State::Until(Instant::now() + self.order.farewell);
        }
        // The port's lock may have been waited for.
        self.stop.check()
    }

    pub(super) fn farewell_is_over(&self) -> bool {
        matches!(self.farewell.state, State::Over) || Instant::now() >= self.farewell_end()
    }

    /// When it is over, at the latest with the drain's own time.
    pub(super) fn farewell_end(&self) -> Instant {
        match self.farewell.state {
            State::Until(end) => end.min(self.deadline),
            // Nobody is left to be told: a close that is under way gets as long.
            State::Waiting if self.scan.left.open.is_empty() => {
                self.deadline.min(self.began + self.order.farewell)
            }
            State::Waiting | State::Over => self.deadline,
        }
    }

    /// Where the drain cannot go on: what is open is destroyed, and the farewell ends, so that
    /// nobody is left hanging behind a closed port.
    pub(super) fn give_up(&mut self) {
        let remote = self.scan.remote(&mut self.classifier).unwrap_or_default();
        for socket in remote.iter().filter(|socket| socket.state.is_open()) {
            self.destroy(socket);
        }
        let reset = self.scan.reset.clone();
        if let Err(error) = window::end_farewell(self.firewall, self.order.port, reset) {
            self.warn(error.to_string());
        }
        let left = self.scan.remote(&mut self.classifier).unwrap_or(remote);
        let open = left.into_iter().filter(|socket| socket.state.is_open());
        self.scan.left.open = open.collect();
    }

    /// Ends the farewell: what is still open is destroyed, what is closing may finish, and
    /// what came in through a handshake that was under way is destroyed too.
    pub(super) fn end_farewell(&mut self) -> Result<(), DrainError> {
        let began = matches!(self.farewell.state, State::Until(_));
        let was_open = began || self.order.farewell_may_stand;
        self.farewell.state = State::Over;
        if was_open || !self.scan.left.open.is_empty() {
            self.look()?;
        }
        // A client whose reset was lost on the way gets another one if it sends anything.
        let mut closing = self.scan.left.closing.clone();
        closing.extend(&self.scan.reset);
        // The window may be lifted by now, and another one stand in its place.
        self.stop.check()?;
        if was_open {
            window::end_farewell(self.firewall, self.order.port, closing)?;
            self.look()?;
        } else if !closing.is_empty() {
            window::linger(self.firewall, self.order.port, closing)?;
        }
        Ok(())
    }
}
