//! The controlling terminal, and the process group that has it.

use nix::sys::signal::{SigSet, Signal};
use rustix::io::Errno;
use rustix::process::{Pid, getpgrp, test_kill_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

/// The controlling terminal of this process.
pub struct Terminal(File);

impl Terminal {
    /// The controlling terminal, if there is one. While CMD has the terminal, this process is
    /// in the background. From now on SIGTTOU does not stop this thread if it then writes to
    /// the terminal or gives it away.
    pub fn open() -> Option<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NOCTTY | nix::libc::O_NONBLOCK)
            .open("/dev/tty")
            .ok()?;
        let mut from_background = SigSet::empty();
        from_background.add(Signal::SIGTTOU);
        from_background.thread_block().ok()?;
        Some(Self(file))
    }

    pub fn belongs_to(&self, group: Pid) -> bool {
        tcgetpgrp(&self.0) == Ok(group)
    }

    pub fn give_to(&self, group: Pid) {
        if let Err(error) = tcsetpgrp(&self.0, group) {
            tracing::debug!(%error, "cannot give the terminal away");
        }
    }

    /// Puts this process's group into the foreground in place of `group`, or of a group that is
    /// gone (a job of a shell that ran as CMD). Any other group keeps the terminal.
    pub fn take_back(&self, group: Pid) {
        let is_free = match tcgetpgrp(&self.0) {
            Ok(holder) => holder == group || test_kill_process_group(holder) == Err(Errno::SRCH),
            Err(_) => false,
        };
        if is_free {
            self.give_to(getpgrp());
        }
    }
}
