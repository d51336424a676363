//! Programs that run on a host: what they print, how they end, and signals to them.

use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};

use super::outcome::Outcome;
use super::pipe::Pipe;
use super::space::Space;
use super::story::SOON;

/// A program that was started on a host. Dropped, it is killed.
pub struct Running {
    line: String,
    child: Child,
    stdout: Pipe,
    stderr: Pipe,
    status: Option<ExitStatus>,
    started: Instant,
    /// Keeps the lab up until this process is reaped.
    _space: Arc<Space>,
}

impl Running {
    pub(super) fn new(
        line: String,
        mut child: Child,
        started: Instant,
        space: Arc<Space>,
    ) -> Running {
        Running {
            line,
            stdout: Pipe::collect(child.stdout.take().expect("piped")),
            stderr: Pipe::collect(child.stderr.take().expect("piped")),
            child,
            status: None,
            started,
            _space: space,
        }
    }

    /// Its process id as the test process sees it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the program itself.
    pub fn signal(&self, signal: Signal) {
        assert!(self.status.is_none(), "{} has ended", self.line);
        let pid = i32::try_from(self.child.id()).map(Pid::from_raw).expect("a pid");
        kill(pid, signal).unwrap_or_else(|e| panic!("{signal} to {}: {e}", self.line));
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        self.ended_within(Duration::ZERO).is_none()
    }

    /// Takes down how it ended, where somebody else has waited for it.
    pub(super) fn has_ended(&mut self, status: ExitStatus) {
        self.status = Some(status);
    }

    /// What it has printed so far.
    pub fn stdout_so_far(&self) -> String {
        self.stdout.text()
    }

    /// What it has printed to stderr so far.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.text()
    }

    /// Waits until stdout holds `text`.
    pub fn wait_for_stdout(&self, text: &str, limit: Duration) {
        self.wait_for(&self.stdout, text, limit);
    }

    /// Waits until stderr holds `text`.
    pub fn wait_for_stderr(&self, text: &str, limit: Duration) {
        self.wait_for(&self.stderr, text, limit);
    }

    fn wait_for(&self, pipe: &Pipe, text: &str, limit: Duration) {
        assert!(
            pipe.wait(limit, |pipe| pipe.text().contains(text)),
            "{}: no {text:?} within {limit:?}: stdout {:?}, stderr {:?}",
            self.line,
            self.stdout.text(),
            self.stderr.text()
        );
    }

    /// Waits for its end, which must come within `limit`.
    pub fn wait(mut self, limit: Duration) -> Outcome {
        let Some(status) = self.ended_within(limit) else {
            let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
            let _ = self.child.kill();
            panic!(
                "{} did not end within {limit:?}\nstdout: {stdout}\nstderr: {stderr}",
                self.line
            );
        };
        let took = self.started.elapsed();
        // A guard that keeps its caller's stdout would hang every `$(pgcordon start)`.
        for (name, pipe) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            assert!(
                pipe.wait(SOON, |pipe| pipe.ended),
                "{} has ended, and something it left behind keeps its {name} open",
                self.line
            );
        }
        Outcome {
            line: self.line.clone(),
            status,
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            took,
        }
    }

    fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        if self.status.is_none() && self.wait_event(limit) {
            self.status = Some(self.child.wait().expect("an ended child"));
        }
        self.status
    }

    /// Whether the process has ended; waits for it, at most `limit`.
    fn wait_event(&self, limit: Duration) -> bool {
        let pid = rustix::process::Pid::from_child(&self.child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("a child's pidfd");
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).expect("a sensible limit");
            match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&left)) {
                Ok(ready) => return ready > 0,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("poll: {error}"),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
