//! Runs the command of `run` (CMD) as a job of the terminal, as a shell does for its jobs
//! (glibc manual, "Implementing a Job Control Shell"). CMD gets a process group of its own. The
//! group has the terminal whenever pgcordon would have it, stops and goes on together with
//! pgcordon, and gives the terminal back in the end.

mod find;
mod launch;
mod terminal;

pub use find::{FindError, find};
pub use launch::{Launch, helper};

use crate::sys::proc::{self, Stat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpgrp, kill_process_group, waitid};
use std::io;
use std::time::{Duration, Instant};
use terminal::Terminal;

/// A job that stops this soon after it was continued may be reading a terminal that nobody
/// gives it. It is continued again only after [`CONTINUE_DELAY`], or it would keep us busy.
const QUICK_STOP: Duration = Duration::from_millis(100);
const CONTINUE_DELAY: Duration = Duration::from_secs(1);
/// Time between two looks at who has the terminal.
const TERMINAL_POLL: Duration = Duration::from_secs(1);

/// CMD in a process group of its own. After its end CMD stays a zombie until pgcordon ends, so
/// that no other process can get its id, which is also the group's.
pub struct Job {
    pid: Pid,
    terminal: Option<Terminal>,
    children: tokio::signal::unix::Signal,
    continued: Instant,
}

/// What happened to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// By this signal.
    Stopped(i32),
    /// The shell has put pgcordon into the foreground.
    InForeground,
    Ended(End),
}

/// Waits until the shell puts pgcordon from the background into the foreground. A shell sends
/// no signal for that if the job is running, so this polls.
async fn in_foreground(terminal: Option<&Terminal>, job: Pid) {
    let Some(terminal) = terminal.filter(|terminal| !terminal.belongs_to(job)) else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(TERMINAL_POLL).await;
        if terminal.belongs_to(getpgrp()) {
            return;
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Status(u8),
    Signal(i32),
}

impl End {
    /// The exit status as a shell shows it.
    pub fn status(self) -> u8 {
        match self {
            Self::Status(status) => status,
            Self::Signal(number) => u8::try_from(128 + number).unwrap_or(u8::MAX),
        }
    }
}

impl Job {
    /// The id of CMD's process and of its group.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Waits until it stops or ends, or until it should get the terminal.
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
        Ok(stopped.and_then(|stopped| stopped.stopping_signal()).map(Change::Stopped))
    }

    /// Sends a signal to its process group. A group that has ended is no error.
    pub fn signal(&self, signal: Signal) {
        if let Err(error) = kill_process_group(self.pid, signal) {
            tracing::debug!(%error, ?signal, "the signal did not reach CMD's group");
        }
    }

    /// Whether another process of its group is still there.
    pub fn has_others(&self) -> bool {
        has_living(self.pid())
    }

    /// After CMD has stopped, takes the terminal back and stops pgcordon too: for the user's
    /// shell both are one job. Returns when both go on.
    ///
    /// Without a terminal nobody would continue pgcordon, so it does not stop. Nor does it if a
    /// job in the background got SIGSTOP: somebody else sent that.
    pub async fn suspend(&mut self, signal: i32) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        if signal == Signal::STOP.as_raw() && !terminal.belongs_to(self.pid) {
            return;
        }
        if self.continued.elapsed() < QUICK_STOP {
            tokio::time::sleep(CONTINUE_DELAY).await;
        }
        if terminal.belongs_to(getpgrp()) {
            // It stopped because it lacked the terminal; the shell has given us that meanwhile.
            self.resume();
            return;
        }
        terminal.take_back(self.pid);
        // Stops the whole group, as the terminal would have done: a script that waits for us
        // stops too. This call returns after SIGCONT. The kernel ignores the signal if no shell
        // could continue us (an orphaned group); then CMD must not stay stopped either.
        if let Err(error) = kill_process_group(getpgrp(), Signal::TSTP) {
            tracing::debug!(%error, "cannot stop together with CMD");
        }
        self.resume();
    }

    /// Goes on after a stop. CMD gets the terminal if the shell has given it to us.
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

/// Whether a process group has a member that has not ended.
fn has_living(group: i32) -> bool {
    let is_living_member = |pid| {
        let stat = Stat::read(pid).ok().flatten();
        stat.is_some_and(|stat| stat.group == group && !stat.is_dead())
    };
    let mut pids = proc::pids().unwrap_or_default().into_iter();
    pids.any(is_living_member)
}
