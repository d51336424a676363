//! The signals that ask a command to end. They are noted at any time, and acted on between two
//! changes of the kernel.

use crate::sys::proc::Status;
use crate::sys::runtime::runtime;
use std::io;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A command in the foreground: the runtime that it waits on, and the signals that ask it to end.
/// Calls that may block for long run in other threads.
pub struct Foreground {
    pub runtime: Runtime,
    pub signals: Signals,
}

/// The signals that ask a command to end.
pub struct Signals(Vec<(Caught, Signal)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caught {
    Interrupt,
    Terminate,
    Hangup,
    Quit,
}

impl Caught {
    pub fn signal(self) -> rustix::process::Signal {
        use rustix::process::Signal;
        match self {
            Self::Interrupt => Signal::INT,
            Self::Terminate => Signal::TERM,
            Self::Hangup => Signal::HUP,
            Self::Quit => Signal::QUIT,
        }
    }

    fn number(self) -> i32 {
        self.signal().as_raw()
    }
}

impl Foreground {
    /// From now on SIGINT and SIGTERM are caught, and SIGHUP is ignored.
    pub fn new() -> io::Result<Self> {
        let foreground = Self::watching(&[Caught::Interrupt, Caught::Terminate])?;
        foreground.outlive_terminal()?;
        Ok(foreground)
    }

    /// For work that a signal may end, but not the loss of the terminal.
    pub fn without_signals() -> io::Result<Self> {
        let foreground = Self::watching(&[])?;
        foreground.outlive_terminal()?;
        Ok(foreground)
    }

    /// For a command with a job: catches every signal that a terminal or a person sends to end
    /// it. Signals that the caller has made it ignore (`nohup`, `&` in a script) stay ignored,
    /// also in the job.
    pub fn with_job() -> io::Result<Self> {
        let status = Status::read("self").ok().flatten();
        let ignored = status
            .and_then(|status| status.ignored_signals())
            .unwrap_or_default();
        let all = [
            Caught::Interrupt,
            Caught::Terminate,
            Caught::Hangup,
            Caught::Quit,
        ];
        let is_meant = |caught: &Caught| ignored & (1 << (caught.number() - 1)) == 0;
        let meant: Vec<Caught> = all.into_iter().filter(is_meant).collect();
        Self::watching(&meant)
    }

    fn watching(wanted: &[Caught]) -> io::Result<Self> {
        let runtime = runtime()?;
        let inside = runtime.enter();
        let watch = |caught: &Caught| Ok((*caught, watch(*caught)?));
        let signals: io::Result<_> = wanted.iter().map(watch).collect();
        drop(inside);
        Ok(Self {
            runtime,
            signals: Signals(signals?),
        })
    }

    /// From now on SIGHUP does nothing: who loses a terminal does not want to open a port, or to
    /// leave a drain half done.
    fn outlive_terminal(&self) -> io::Result<()> {
        let _inside = self.runtime.enter();
        // The handler stays after its receiver is dropped.
        watch(Caught::Hangup).map(drop)
    }

    /// Waits for a future, or for a signal if that comes first.
    pub fn wait<T>(&mut self, for_it: impl Future<Output = T>) -> Result<T, Caught> {
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
    pub async fn next(&mut self) -> Caught {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let waits = self.0.iter_mut().map(|(caught, signal)| {
            Box::pin(async {
                signal.recv().await;
                *caught
            })
        });
        futures_util::future::select_all(waits).await.0
    }
}

fn watch(caught: Caught) -> io::Result<Signal> {
    let kind = SignalKind::from_raw(caught.number());
    signal(kind)
}
