//! CMD of `run` as a job of the terminal: a process group of its own that has the terminal
//! while pgcordon would have it, stops and goes on together with pgcordon, and gives the
//! terminal back. What a shell does for its jobs (glibc manual, "Implementing a Job Control
//! Shell"), for one job.

mod find;
mod group;
mod launch;
mod terminal;

pub use find::{FindError, find};
pub use launch::{Launch, helper};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpgrp, kill_process_group, waitid};
use std::io;
use std::time::{Duration, Instant};
use terminal::Terminal;

/// A job that stops sooner than this after it was continued is continued again only after
/// [`PAUSE`]: one that reads a terminal which nobody gives it would keep us busy.
const SOON: Duration = Duration::from_millis(100);
/// See [`SOON`]; also between two looks at the terminal.
const PAUSE: Duration = Duration::from_secs(1);

/// CMD, started in a process group of its own. Its process stays a zombie until pgcordon
/// ends, so that its id, which is the group's, cannot become that of a stranger.
pub struct Job {
    pid: Pid,
    terminal: Option<Terminal>,
    children: tokio::signal::unix::Signal,
    continued: Instant,
}

/// What has become of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A signal has stopped it.
    Stopped(i32),
    /// The shell has put pgcordon into the foreground.
    InForeground,
    /// It has ended.
    Ended(End),
}

/// Waits until the shell puts pgcordon from the background into the foreground. A shell
/// sends no signal for that where the job is running, so it has to be looked at.
async fn in_foreground(terminal: Option<&Terminal>, job: Pid) {
    let Some(terminal) = terminal.filter(|terminal| !terminal.belongs_to(job)) else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(PAUSE).await;
        if terminal.belongs_to(getpgrp()) {
            return;
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit status.
    Status(u8),
    /// By this signal.
    Signal(i32),
}

impl End {
    /// The number a shell shows.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Status(status) => status,
            Self::Signal(number) => u8::try_from(128 + number).unwrap_or(u8::MAX),
        }
    }
}

impl Job {
    /// CMD's process id, which is that of its group.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits until it stops or ends, or is to have the terminal.
    ///
    /// # Errors
    /// What the kernel says of the wait.
    pub async fn change(&mut self) -> io::Result<Change> {
        loop {
            if let Some(change) = self.look()? {
                return Ok(change);
            }
            tokio::select! {
                _ = self.children.recv() => {}
                () = in_foreground(self.terminal.as_ref(), self.pid) => {
                    return Ok(Change::InForeground);
                }
            }
        }
    }

    fn look(&self) -> io::Result<Option<Change>> {
        let ask = |options| loop {
            match waitid(WaitId::Pid(self.pid), options | WaitIdOptions::NOHANG) {
                Err(Errno::INTR) => {}
                other => return other,
            }
        };
        let ended = ask(WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        if let Some(ended) = ended {
            let end = match (ended.exit_status(), ended.terminating_signal()) {
                (Some(status), _) => End::Status(u8::try_from(status & 0xff).unwrap_or(u8::MAX)),
                (None, Some(number)) => End::Signal(number),
                (None, None) => return Err(io::ErrorKind::InvalidData.into()),
            };
            return Ok(Some(Change::Ended(end)));
        }
        let stopped = ask(WaitIdOptions::STOPPED)?;
        Ok(stopped
            .and_then(|stopped| stopped.stopping_signal())
            .map(Change::Stopped))
    }

    /// Sends a signal to its process group. One that has ended is no failure.
    pub fn signal(&self, signal: Signal) {
        if let Err(error) = kill_process_group(self.pid, signal) {
            tracing::debug!(%error, ?signal, "the signal did not reach CMD's group");
        }
    }

    /// Whether another process of its group is still there.
    #[must_use]
    pub fn has_others(&self) -> bool {
        group::has_living(self.pid())
    }

    /// It has stopped: takes the terminal back and stops too, as one job of the user's shell.
    /// Returns when both go on.
    ///
    /// Without a terminal nobody would continue pgcordon, so that it waits instead; the same
    /// for SIGSTOP of a job in the background, which is somebody else's doing.
    pub async fn suspend(&mut self, signal: i32) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        if signal == Signal::STOP.as_raw() && !terminal.belongs_to(self.pid) {
            return;
        }
        if self.continued.elapsed() < SOON {
            tokio::time::sleep(PAUSE).await;
        }
        if terminal.belongs_to(getpgrp()) {
            // A stop for lack of the terminal, which the shell has given to us meanwhile.
            self.resume();
            return;
        }
        terminal.take_back(self.pid);
        // The caller's group, as the terminal would have stopped it: a script that waits for
        // us stops too. Here we stand until SIGCONT comes. The kernel ignores it where no
        // shell is there to continue us (an orphaned group), and then CMD is not to stop
        // either.
        if let Err(error) = kill_process_group(getpgrp(), Signal::TSTP) {
            tracing::debug!(%error, "cannot stop together with CMD");
        }
        self.resume();
    }

    /// Goes on after a stop: CMD gets the terminal where the shell has given it to us.
    pub fn resume(&mut self) {
        if let Some(terminal) = &self.terminal {
            if terminal.belongs_to(getpgrp()) {
                terminal.give_to(self.pid);
            }
        }
        self.continued = Instant::now();
        self.signal(Signal::CONT);
    }

    /// Takes the terminal back from a job that has ended.
    pub fn take_terminal(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.take_back(self.pid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_128_and_its_number() {
        assert_eq!(End::Status(3).status(), 3);
        assert_eq!(End::Signal(15).status(), 143);
        assert_eq!(End::Signal(64).status(), 192);
    }
}
