//! The signals that ask a command to end: noted at any time, acted on between two changes of
//! the kernel.

use crate::sys::runtime::runtime;
use std::io;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A command in the foreground: what it waits on, and the signals that ask it to end. It waits
/// for one thing at a time, or for several; what may block for long does so elsewhere.
pub struct Foreground {
    /// What it waits on.
    pub runtime: Runtime,
    /// The signals that ask it to end.
    pub signals: Signals,
}

/// The signals that ask a command to end.
pub struct Signals(Vec<(Caught, Signal)>);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caught {
    /// SIGINT.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP.
    Hangup,
    /// SIGQUIT.
    Quit,
}

impl Caught {
    /// The signal itself.
    #[must_use]
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
    /// From now on SIGINT and SIGTERM do not end the process by themselves. Nor does SIGHUP,
    /// which is not told either.
    pub fn new() -> io::Result<Self> {
        let foreground = Self::watching(&[Caught::Interrupt, Caught::Terminate])?;
        foreground.outlive_terminal()?;
        Ok(foreground)
    }

    /// For work that a signal ends by itself, but not a lost terminal.
    pub fn without_signals() -> io::Result<Self> {
        let foreground = Self::watching(&[])?;
        foreground.outlive_terminal()?;
        Ok(foreground)
    }

    /// The same for a command that has a job: all that a terminal or a person sends to end
    /// it. What the caller has made it ignore (`nohup`, `&` in a script) stays ignored, for
    /// the job too.
    pub fn with_job() -> io::Result<Self> {
        let ignored = ignored();
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

    /// From now on SIGHUP does nothing: a lost terminal is nobody's wish to open a port, or to
    /// leave a drain half done.
    fn outlive_terminal(&self) -> io::Result<()> {
        let _inside = self.runtime.enter();
        // The handler stays after its listener is gone.
        watch(Caught::Hangup).map(drop)
    }

    /// Waits for what is to come, or for a signal if that comes first.
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
    /// Waits for one.
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

/// The signals that this process ignores, as a bit mask; none where /proc does not tell
/// (`SigIgn` of proc_pid_status(5)).
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}
