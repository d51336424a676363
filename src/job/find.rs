//! Finds out whether CMD can be executed, before a port is closed.

use crate::failure::{Exit, Explain, Explanation, Kind};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the C library looks if there is no `PATH` (`confstr(_CS_PATH)`).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Why a command cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// A shell's status 127.
    #[error("{} was not found", .0.to_string_lossy())]
    NotFound(OsString),
    /// A shell's status 126.
    #[error("{} cannot be executed: {source}", path.display())]
    NotExecutable { path: PathBuf, source: io::Error },
}

/// Finds a command as execvp(3) does: a name with a slash is a path, any other name is looked
/// up in the directories of `search`, the `PATH`.
pub fn find(command: &OsStr, search: Option<OsString>) -> Result<PathBuf, FindError> {
    let candidates: Vec<PathBuf> = match command.as_bytes() {
        [] => Vec::new(),
        name if name.contains(&b'/') => vec![command.into()],
        _ => env::split_paths(&search.unwrap_or_else(|| DEFAULT_PATH.into()))
            .map(|folder| folder.join(command))
            .collect(),
    };
    let mut refused = None;
    for path in candidates {
        match check(&path) {
            Ok(()) => return Ok(path),
            Err(source) if is_missing(&source) => {}
            Err(source) => refused = refused.or(Some(FindError::NotExecutable { path, source })),
        }
    }
    Err(refused.unwrap_or_else(|| FindError::NotFound(command.to_owned())))
}

fn check(path: &Path) -> io::Result<()> {
    if path.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)?)
}

/// Errors after which execvp(3) tries the next directory.
pub fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Explain for FindError {
    fn explain(&self) -> Explanation {
        let exit = match self {
            Self::NotFound(_) => Exit::NotFound,
            Self::NotExecutable { .. } => Exit::NotExecutable,
        };
        Kind::Command
            .hint("check its name and mode; what stands behind -- is run without a shell, so for one write -- sh -c '...'")
            .exit(exit)
    }
}
