//! The kinds of failures: fixed words for programs, and part of the contract.

use super::Exit;

macro_rules! kinds {
    ($($kind:ident $word:literal $exit:ident: $meaning:literal)*) => {
        /// What kind of failure it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $meaning] $kind,)*
        }

        impl Kind {
            /// All of them, in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The word of the JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }

            /// What the manual says of it.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$kind => $meaning,)*
                }
            }

            /// The exit status of most failures of this kind.
            pub(super) fn exit(self) -> Exit {
                match self {
                    $(Self::$kind => Exit::$exit,)*
                }
            }
        }
    };
}

kinds! {
    Clients "clients" Failed:
        "Sockets or processes could not be listed, so nobody knows who is connected."
    Command "command" Failed:
        "CMD of run cannot be run, or not be waited for."
    Guard "guard" Failed:
        "The guard of a window could not be ended, and would put back what is taken away."
    Incomplete "incomplete" Failed:
        "With --strict: the drain was incomplete, and the cordon is lifted again."
    Interrupted "interrupted" Interrupted:
        "SIGINT or SIGTERM came; what this call raised is lifted."
    Kernel "kernel" Failed:
        "The kernel refused a part of the cordon; the message says which."
    Left "left" Incomplete:
        "What this call raised could not be taken back: it is in force, and ends at its time (status 3)."
    Lock "lock" Failed:
        "The lock under /run/pgcordon could not be used."
    Locked "locked" Failed:
        "Another call is changing the same port."
    Netlink "netlink" Failed:
        "The firewall could not be spoken to: nf_tables is not available to this process."
    NoAnswer "no-answer" Failed:
        "The kernel did not answer: look with status what is in force."
    NoLength "no-length" Usage:
        "Neither --for nor a policy says how long the window lasts."
    NoRamp "no-ramp" Usage:
        "The window has no ramp of its own, and lift --ramp was given no length."
    NoWindow "no-window" NoWindow:
        "No window is in force."
    NotPostgres "not-postgresql" Usage:
        "The port belongs to a program that is not PostgreSQL."
    Occupied "occupied" Failed:
        "The port is in a window already (hold)."
    Owned "owned" Failed:
        "Another program owns the table."
    PassList "pass-list" Usage:
        "An entry of the pass list is wrong or cannot be read."
    PgHost "pg-host" Usage:
        "--pg-host is not an address of this host."
    Policy "policy" Usage:
        "A policy is not there, not to be trusted, or bad; the message names file, line and key."
    Privilege "privilege" Privilege:
        "A capability is missing; the message names it."
    Race "race" Failed:
        "Another program changed the window at the same time."
    ReadBack "read-back" Failed:
        "What the kernel has is not what was written; nothing of it is kept."
    Report "report" Failed:
        "The file of --report cannot be written."
    Runtime "runtime" Failed:
        "This process could not be prepared."
    Spare "spare" Failed:
        "--spare needs SQL, which could not be had; nobody else was cut."
    TooLong "too-long" Usage:
        "The window is longer than 24 h, or than --max."
    Usage "usage" Usage:
        "The command line is wrong."
    WhichWindow "which-window" Usage:
        "There are several windows and none was named."
    WindowDiffers "window-differs" Failed:
        "The window in force lets other clients through than was asked."
    Write "write" Failed:
        "A file of the manual could not be written (man)."
}
