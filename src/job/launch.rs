//! Starts a job. CMD must not run before its group has the terminal, or it would be stopped at
//! its first read. So the new process first runs pgcordon once more, which does what has to be
//! done between fork and exec and then becomes CMD. This needs no `unsafe`.

use super::terminal::Terminal;
use super::{Job, find};
use crate::sys::terminal::{Stream, printable};
use rustix::process::{Pid, Resource, Rlimit, getpgrp, getpid, getrlimit, setrlimit};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};

/// The first argument of the new process.
const HELPER: &str = "--become-job";
/// The second one, if the job gets the terminal.
const FOREGROUND: &str = "foreground";
/// The second one, if it does not.
const BACKGROUND: &str = "background";

#[derive(Debug)]
pub struct Launch<'a> {
    /// CMD with its arguments.
    pub command: &'a [OsString],
    /// Added to pgcordon's own environment.
    pub environment: Vec<(&'static str, String)>,
    /// The soft limit of open files with which pgcordon was started; `None` is no limit.
    pub open_files: Option<u64>,
}

impl Launch<'_> {
    /// Starts the job, in the foreground if pgcordon is in the foreground.
    pub fn start(self) -> io::Result<Job> {
        // Before anything else, or the end of a short command would be missed.
        let children = signal(SignalKind::child())?;
        let terminal = Terminal::open();
        let is_foreground = terminal.as_ref().is_some_and(|t| t.belongs_to(getpgrp()));
        let place = if is_foreground { FOREGROUND } else { BACKGROUND };
        // The file that runs now, even if an upgrade has replaced it.
        let child = Command::new("/proc/self/exe")
            .arg0("pgcordon")
            .args([HELPER, place])
            .arg(self.open_files.map_or_else(String::new, |n| n.to_string()))
            .args(self.command)
            .envs(self.environment)
            .process_group(0)
            .spawn()?;
        Ok(Job { pid: Pid::from_child(&child), terminal, children, continued: Instant::now() })
    }
}

/// Becomes CMD if this is the new process. Returns the exit status if CMD cannot be run, and
/// `None` if this is a call of a user.
pub fn helper(args: &[OsString]) -> Option<u8> {
    let [_, flag, place, open_files, command, args @ ..] = args else {
        return None;
    };
    if flag != HELPER {
        return None;
    }
    if place == FOREGROUND {
        if let Some(terminal) = Terminal::open() {
            terminal.give_to(getpid());
        }
    }
    restore_open_files(open_files);
    // This resets the signal mask and SIGPIPE; handlers vanish with the old program.
    let error = Command::new(command).args(args).exec();
    let name = printable(&command.to_string_lossy());
    Stream::Stderr.line(&format!("pgcordon: cannot run {name}: {error}"));
    Some(if find::is_missing(&error) { 127 } else { 126 })
}

/// pgcordon raises its own limit. Programs that use select(2) must not inherit that.
fn restore_open_files(soft: &OsStr) {
    let before = getrlimit(Resource::Nofile);
    let current = soft.to_str().and_then(|soft| soft.parse().ok());
    let _ = setrlimit(Resource::Nofile, Rlimit { current, ..before });
}
