//! How a drain learns that nobody wants it any more.

use super::DrainError;
use tokio::sync::watch;

/// Tells a drain that whoever wanted it has dropped the other end. From then on it ends no
/// connection: the port may be open again.
#[derive(Clone)]
pub struct Stop(watch::Receiver<()>);

impl Stop {
    pub fn new() -> (watch::Sender<()>, Self) {
        let (wanted, stop) = watch::channel(());
        (wanted, Self(stop))
    }

    pub fn is_stopped(&self) -> bool {
        self.0.has_changed().is_err()
    }

    /// Fails if nobody wants the drain any more.
    pub fn check(&self) -> Result<(), DrainError> {
        match self.is_stopped() {
            true => Err(DrainError::Stopped),
            false => Ok(()),
        }
    }

    pub async fn stopped(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}
