//! SIGINT and SIGTERM: noted at any time, acted on between two changes of the kernel.

use super::{CommandError, Exit};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask a command to end.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// What the kernel says of the handlers.
    pub fn watch() -> Result<Self, CommandError> {
        let watch = |kind| signal(kind).map_err(CommandError::Runtime);
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
        })
    }

    /// Waits for one, and tells how to exit then.
    pub async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

/// Runs a future on a runtime of this thread: sockets of a network namespace belong to the
/// thread that opened them.
///
/// # Errors
/// What the kernel says of the runtime, or the future's own.
pub fn block_on<T>(
    future: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)?
        .block_on(future)
}
