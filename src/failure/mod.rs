//! What a program reads of a failure: its kind and the exit status; and what a person reads:
//! the message and what to do next. Each room tells it beside its own error type.

mod exit;
mod kind;

pub use exit::Exit;
pub use kind::Kind;

use std::borrow::Cow;
use std::error::Error;
use std::io;

/// What to do where a privilege is missing.
pub const AS_ROOT: &str = "run it as root, for example with sudo";

/// How a port is opened without pgcordon; a guard would put the table back.
pub const OPEN_BY_HAND: &str =
    "pkill -KILL -f '^pgcordon-guard PORT'; nft delete table inet pgcordon_PORT";

/// An error that can be the end of a command.
pub trait Explain: Error {
    /// Its kind, what to do about it, and what it leaves behind.
    fn explain(&self) -> Explanation;
}

/// What an error means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub kind: Kind,
    pub exit: Exit,
    /// What to do next; empty where that is clear.
    pub hint: Cow<'static, str>,
    /// Whether something may be in force that was not before.
    pub changed: bool,
}

impl Kind {
    /// An error of this kind, with what to do about it.
    pub fn hint(self, hint: impl Into<Cow<'static, str>>) -> Explanation {
        Explanation { kind: self, exit: self.exit(), hint: hint.into(), changed: false }
    }
}

impl Explanation {
    /// The same with another exit status than most errors of its kind have.
    pub fn exit(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// The same where a change of this call may be in force.
    pub fn in_force(self) -> Self {
        Self { exit: Exit::Incomplete, changed: true, ..self }
    }
}

/// Why a command failed, as it is reported.
#[derive(Debug, Clone)]
pub struct Failure {
    pub message: String,
    pub why: Explanation,
}

impl Failure {
    /// What is told of an error.
    pub fn of<E: Explain + 'static>(error: &E) -> Self {
        let mut why = error.explain();
        if lacks_descriptors(error) {
            why.hint = "raise the limit of open files, see ulimit -Hn".into();
        }
        Self { message: error.to_string(), why }
    }
}

/// Whether the process, or the machine, has no file descriptor left.
pub fn lacks_descriptors(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kernel = error.downcast_ref::<io::Error>();
        let number = kernel.and_then(io::Error::raw_os_error);
        if matches!(number, Some(nix::libc::EMFILE | nix::libc::ENFILE)) {
            return true;
        }
        cause = error.source();
    }
    false
}
