//! Exit statuses, the numbers of DESIGN.md section 3.

use std::process::ExitCode;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or already so.
    Done,
    /// Failed; nothing of this call is in force.
    Failed,
    /// Usage error.
    Usage,
    /// The cordon is in force, the drain is incomplete or could not be verified; or a change
    /// could not be read back or taken back.
    Incomplete,
    /// No window.
    NoWindow,
    /// A privilege is missing (`EX_NOPERM` of sysexits.h).
    Privilege,
    /// SIGINT, and lifted.
    Interrupted,
    /// SIGTERM, and lifted.
    Terminated,
    /// SIGHUP before CMD of `run` was started, and lifted.
    HungUp,
    /// SIGQUIT before CMD of `run` was started, and lifted.
    Quit,
    /// What CMD of `run` has exited with, or 128 and the number of the signal that ended it.
    Command(u8),
    /// The window was over before CMD of `run`.
    WindowOver,
    /// `run` itself failed.
    RunFailed,
    /// CMD of `run` cannot be executed.
    NotExecutable,
    /// CMD of `run` was not found.
    NotFound,
}

impl Exit {
    /// The number a shell sees.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::NoWindow => 4,
            Self::Privilege => 77,
            Self::HungUp => 129,
            Self::Interrupted => 130,
            Self::Quit => 131,
            Self::Terminated => 143,
            Self::Command(status) => status,
            Self::WindowOver => 124,
            Self::RunFailed => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
        }
    }

    /// What it is as the end of `run`, whose other statuses are CMD's (as env(1) and
    /// timeout(1) do).
    #[must_use]
    pub fn of_run(self) -> Self {
        match self {
            Self::Failed | Self::Usage | Self::Incomplete | Self::NoWindow | Self::Privilege => {
                Self::RunFailed
            }
            other => other,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_contract() {
        let all = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Incomplete, 3),
            (Exit::NoWindow, 4),
            (Exit::Privilege, 77),
            (Exit::Interrupted, 130),
            (Exit::Terminated, 143),
        ];
        for (exit, status) in all {
            assert_eq!(exit.status(), status);
        }
    }
}
