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
/// up in `PATH`.
pub fn find(command: &OsStr) -> Result<PathBuf, FindError> {
    let search = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    find_in(command, &search)
}

fn find_in(command: &OsStr, search: &OsStr) -> Result<PathBuf, FindError> {
    let candidates: Vec<PathBuf> = match command.as_bytes() {
        [] => Vec::new(),
        name if name.contains(&b'/') => vec![command.into()],
        _ => env::split_paths(search).map(|folder| folder.join(command)).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(folder: &Path, name: &str, mode: u32) -> PathBuf {
        let path = folder.join(name);
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(&path, "#!/bin/true\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_command_is_found_as_execvp_finds_it() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let dull = file(&one, "both", 0o644);
        let right = file(&two, "both", 0o755);
        let plain = file(&two, "plain", 0o644);
        let search = env::join_paths([&one, &two]).unwrap();
        let find = |name: &OsStr| find_in(name, &search);

        assert_eq!(find("both".as_ref()).unwrap(), right);
        for (name, path) in [("plain".as_ref(), &plain), (dull.as_os_str(), &dull)] {
            match find(name) {
                Err(FindError::NotExecutable { path: named, .. }) => assert_eq!(&named, path),
                other => panic!("{other:?}"),
            }
        }
        for missing in ["none", "", "/none/at/all"] {
            assert!(matches!(find(missing.as_ref()), Err(FindError::NotFound(_))));
        }
        assert!(matches!(find(one.as_os_str()), Err(FindError::NotExecutable { .. })));
    }
}
