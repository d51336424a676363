//! The signals that ask a command to end. They are noted at any time, and acted on between two
//! changes of the kernel.

use crate::sys::proc::Status;
use crate::sys::runtime::runtime;
use rustix::process::Signal;
use std::io;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal as Listener, SignalKind};

/// A command in the foreground: the runtime that it waits on, and the signals that ask it to end.
/// Calls that may block for long run in other threads.
pub struct Foreground {
    pub runtime: Runtime,
    pub signals: Signals,
}

/// The signals that ask a command to end.
pub struct Signals(Vec<(Signal, Listener)>);

impl Foreground {
    /// From now on SIGINT and SIGTERM are caught, and SIGHUP is ignored.
    pub fn new() -> io::Result<Self> {
        let foreground = Self::watching([Signal::INT, Signal::TERM])?;
        foreground.outlive_terminal()?;
        Ok(foreground)
    }

    /// For work that a signal may end, but not the loss of the terminal.
    pub fn without_signals() -> io::Result<Self> {
        let foreground = Self::watching([])?;
        foreground.outlive_terminal()?;
        Ok(foreground)
    }

    /// For a command with a job: catches every signal that a terminal or a person sends to end
    /// it. Signals that the caller has made it ignore (`nohup`, `&` in a script) stay ignored,
    /// also in the job.
    pub fn with_job() -> io::Result<Self> {
        let status = Status::read("self").ok().flatten();
        let ignored = status.and_then(|status| status.ignored_signals());
        let ignored = ignored.unwrap_or_default();
        let all = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];
        let is_meant = |signal: &Signal| ignored & (1 << (signal.as_raw() - 1)) == 0;
        Self::watching(all.into_iter().filter(is_meant))
    }

    fn watching(wanted: impl IntoIterator<Item = Signal>) -> io::Result<Self> {
        let runtime = runtime()?;
        let inside = runtime.enter();
        let watch = |signal| Ok((signal, watch(signal)?));
        let signals: io::Result<_> = wanted.into_iter().map(watch).collect();
        drop(inside);
        Ok(Self { runtime, signals: Signals(signals?) })
    }

    /// From now on SIGHUP does nothing: who loses a terminal does not want to open a port, or to
    /// leave a drain half done.
    fn outlive_terminal(&self) -> io::Result<()> {
        let _inside = self.runtime.enter();
        // The handler stays after its receiver is dropped.
        watch(Signal::HUP).map(drop)
    }

    /// Waits for a future, or for a signal if that comes first.
    pub fn wait<T>(&mut self, for_it: impl Future<Output = T>) -> Result<T, Signal> {
        let Self { runtime, signals } = self;
        runtime.block_on(async {
            tokio::select! {
                biased;
                caught = signals.next() => Err(caught),
                it = for_it => Ok(it),
            }
        })
    }
}

impl Signals {
    pub async fn next(&mut self) -> Signal {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let waits = self.0.iter_mut().map(|(signal, listener)| {
            Box::pin(async {
                listener.recv().await;
                *signal
            })
        });
        futures_util::future::select_all(waits).await.0
    }
}

fn watch(signal: Signal) -> io::Result<Listener> {
    tokio::signal::unix::signal(SignalKind::from_raw(signal.as_raw()))
}
