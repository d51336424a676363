//! Exit statuses; the numbers are part of the contract.

use std::process::ExitCode;

macro_rules! exits {
    ($($exit:ident $status:literal: $meaning:literal)*) => {
        /// How a command ends.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Exit {
            $(#[doc = $meaning] $exit,)*
            /// What CMD of `run` has exited with, or 128 and the number of the signal that
            /// ended it.
            Command(u8),
        }

        impl Exit {
            /// All that are pgcordon's own, in ascending order.
            pub const ALL: &[Self] = &[$(Self::$exit),*];

            /// The number a shell sees.
            pub fn status(self) -> u8 {
                match self {
                    $(Self::$exit => $status,)*
                    Self::Command(status) => status,
                }
            }

            /// What the help and the manual say of it.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$exit => $meaning,)*
                    Self::Command(_) => "CMD's own.",
                }
            }
        }
    };
}

exits! {
    Done 0:
        "Done, or already so."
    Failed 1:
        "Failed; nothing of this call is in force."
    Usage 2:
        "Usage or policy error."
    Incomplete 3:
        "The cordon is in force, the drain is incomplete or could not be verified; or what was changed could not be read back or taken back."
    NoWindow 4:
        "No window (extend, drain, allow, status --check)."
    // EX_NOPERM of sysexits.h.
    Privilege 77:
        "A privilege is missing; the message names it."
    WindowOver 124:
        "The window was over, or was lifted by someone, before CMD (run), whatever CMD's own status was."
    RunFailed 125:
        "pgcordon itself failed (run); CMD was not started, unless a message says otherwise."
    NotExecutable 126:
        "CMD cannot be executed (run)."
    NotFound 127:
        "CMD was not found (run)."
    HungUp 129:
        "SIGHUP came before CMD was started (run); what this call raised is lifted."
    Interrupted 130:
        "Interrupted by SIGINT; what this call raised is lifted."
    Quit 131:
        "SIGQUIT came before CMD was started (run); what this call raised is lifted."
    Terminated 143:
        "Ended by SIGTERM; what this call raised is lifted."
}

impl Exit {
    /// What it is as the end of `run`, whose other statuses are CMD's (as env(1) and
    /// timeout(1) do).
    pub fn of_run(self) -> Self {
        match self {
            Self::Failed | Self::Usage | Self::Incomplete | Self::NoWindow | Self::Privilege => {
                Self::RunFailed
            }
            other => other,
        }
    }

    /// The statuses that are told, for the help.
    pub fn list(told: impl Fn(Self) -> bool) -> String {
        let told = Self::ALL.iter().filter(|exit| told(**exit));
        let lines = told.map(|exit| {
            let mut lines = vec![format!("  {:<3} ", exit.status())];
            for word in exit.meaning().split(' ') {
                match lines.last_mut() {
                    Some(line) if line.len() + 1 + word.len() <= HELP_WIDTH => {
                        line.push(' ');
                        line.push_str(word);
                    }
                    _ => lines.push(format!("       {word}")),
                }
            }
            lines.join("\n")
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// The longest line of the help.
const HELP_WIDTH: usize = 96;

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}
