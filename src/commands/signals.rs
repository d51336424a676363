//! The signals that ask a command to end: noted at any time, acted on between two changes of
//! the kernel.

use super::{CommandError, Exit};
use std::io;
use std::os::unix::net::UnixStream;
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
    /// How a command exits that it has ended.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
            Self::Hangup => Exit::HungUp,
            Self::Quit => Exit::Quit,
        }
    }

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
    ///
    /// # Errors
    /// What the kernel says of the handlers.
    pub fn watch() -> Result<Self, CommandError> {
        outlive_terminal()?;
        Self::of(&[Caught::Interrupt, Caught::Terminate])
    }

    /// The same for a command that has a job: all that a terminal or a person sends to end
    /// it. What the caller has made it ignore (`nohup`, `&` in a script) stays ignored, for
    /// the job too.
    ///
    /// # Errors
    /// What the kernel says of the handlers.
    pub fn of_a_job() -> Result<Self, CommandError> {
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

    fn of(wanted: &[Caught]) -> Result<Self, CommandError> {
        let watch = |caught: &Caught| Ok((*caught, watch(*caught)?));
        wanted.iter().map(watch).collect::<Result<_, _>>().map(Self)
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
///
/// # Errors
/// What the kernel says of the handler.
pub fn outlive_terminal() -> Result<(), CommandError> {
    // The handler stays after its listener is gone.
    watch(Caught::Hangup).map(drop)
}

fn watch(caught: Caught) -> Result<Signal, CommandError> {
    let kind = SignalKind::from_raw(caught.number());
    signal(kind).map_err(CommandError::Runtime)
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
///
/// # Errors
/// What the kernel says of the runtime, or the future's own.
pub fn block_on<T>(
    future: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    check_descriptors().map_err(CommandError::Runtime)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)?
        .block_on(future)
}

/// The runtime panics where it cannot have a pair of sockets for signals, beside its epoll
/// set and its waker: so many descriptors must be free.
fn check_descriptors() -> io::Result<()> {
    let pairs: io::Result<Vec<_>> = (0..3).map(|_| UnixStream::pair()).collect();
    pairs.map(drop)
}
