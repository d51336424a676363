//! The signals that ask a command to end: noted at any time, acted on between two changes of
//! the kernel.

use crate::sys::runtime::runtime;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

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

impl Signals {
    /// From now on SIGINT and SIGTERM do not end the process by themselves. Nor does SIGHUP,
    /// which is not told either.
    pub fn watch() -> io::Result<Self> {
        ignore_hangup()?;
        Self::of(&[Caught::Interrupt, Caught::Terminate])
    }

    /// The same for a command that has a job: all that a terminal or a person sends to end
    /// it. What the caller has made it ignore (`nohup`, `&` in a script) stays ignored, for
    /// the job too.
    pub fn of_a_job() -> io::Result<Self> {
        let ignored = ignored();
        let all = [
            Caught::Interrupt,
            Caught::Terminate,
            Caught::Hangup,
            Caught::Quit,
        ];
        let is_meant = |caught: &Caught| ignored & (1 << (caught.number() - 1)) == 0;
        let meant: Vec<Caught> = all.into_iter().filter(is_meant).collect();
        Self::of(&meant)
    }

    fn of(wanted: &[Caught]) -> io::Result<Self> {
        let watch = |caught: &Caught| Ok((*caught, watch(*caught)?));
        wanted
            .iter()
            .map(watch)
            .collect::<io::Result<_>>()
            .map(Self)
    }

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

/// From now on SIGHUP does nothing: a lost terminal is nobody's wish to open a port, or to
/// leave a drain half done.
fn ignore_hangup() -> io::Result<()> {
    // The handler stays after its listener is gone.
    watch(Caught::Hangup).map(drop)
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

/// Runs a future on a runtime of this thread: sockets of a network namespace belong to the
/// thread that opened them.
pub fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    Ok(runtime()?.block_on(future))
}

/// The same for work that goes on when its terminal is lost.
pub fn outlive_terminal<T>(future: impl Future<Output = T>) -> io::Result<T> {
    block_on(async {
        ignore_hangup()?;
        Ok(future.await)
    })?
}
