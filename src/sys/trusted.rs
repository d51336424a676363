//! Files that root acts on. Each is opened once, and the opened file is checked. Root trusts a
//! file only if nobody else could have written it: it and every directory on the way belong to
//! root, and nobody else may write to them. A sticky directory such as /tmp does not qualify:
//! anybody may create a file of this name there before root does.

use rustix::fs::{Mode, OFlags, Stat, fstat, openat, readlinkat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// The most symbolic links that are followed (`MAXSYMLINKS` of Linux).
const MOST_LINKS: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Only root could have written it: its content is acted on with root's rights.
    RootOnly,
    /// Anybody may have written it: it is only shown to somebody who can read it anyway.
    Anybody,
}

pub const HOW_TO_TRUST: &str = "the file and every directory on the way must belong to root, and nobody else may write to them: keep it in /etc/pgcordon, for example, after chown root and chmod go-w";

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {}: it is not a regular file", .0.display())]
    NotRegular(PathBuf),
    #[error("cannot read {}: it has more than {} MiB", path.display(), most >> 20)]
    TooLong { path: PathBuf, most: u64 },
    #[error("cannot read {}: line {line} is not UTF-8", path.display())]
    NotText { path: PathBuf, line: usize },
    #[error("{} is not trusted: {} belongs to uid {uid}, not to root", path.display(), culprit.display())]
    Owner { path: PathBuf, culprit: PathBuf, uid: u32 },
    #[error("{} is not trusted: others than root may write {} (mode {mode:04o})", path.display(), culprit.display())]
    Writable { path: PathBuf, culprit: PathBuf, mode: u32 },
}

impl FileError {
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the file could be read but is not trusted.
    pub fn is_mistrust(&self) -> bool {
        matches!(self, Self::Owner { .. } | Self::Writable { .. })
    }
}

/// Opens a regular file.
pub fn open(path: &Path, trust: Trust) -> Result<File, FileError> {
    let file: File = match trust {
        Trust::RootOnly => open_trusted(path)?,
        Trust::Anybody => rustix::fs::open(path, READ, Mode::empty())
            .map_err(|errno| unreadable(path, errno))?
            .into(),
    };
    let facts = file.metadata().map_err(|error| unreadable(path, error))?;
    match facts.is_file() {
        true => Ok(file),
        false => Err(FileError::NotRegular(path.to_owned())),
    }
}

/// Reads a regular file of at most `most` bytes as text.
pub fn read(path: &Path, most: u64, trust: Trust) -> Result<String, FileError> {
    let file = open(path, trust)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > most {
        return Err(FileError::TooLong { path: path.to_owned(), most });
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        FileError::NotText {
            path: path.to_owned(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
        }
    })
}

/// Without these flags a pipe or a device could block for ever, and a terminal could become
/// ours.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

const DIRECTORY: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

fn unreadable(path: &Path, error: impl Into<io::Error>) -> FileError {
    FileError::Read { path: path.to_owned(), source: error.into() }
}

/// Walks from the root directory to the file step by step. Each directory is checked through the
/// descriptor from which the next step starts, so nobody can put another one in its place
/// meanwhile. Symbolic links are followed here, not by the kernel, so that their targets are
/// checked in the same way.
fn open_trusted(path: &Path) -> Result<File, FileError> {
    let whole = std::path::absolute(path).map_err(|error| unreadable(path, error))?;
    let root = rustix::fs::open("/", DIRECTORY, Mode::empty()).map_err(|e| unreadable(path, e))?;
    check(&root, path, Path::new("/"))?;
    let mut way: Vec<(OwnedFd, PathBuf)> = vec![(root, "/".into())];
    let mut steps = steps(&whole);
    let mut links = 0;
    while let Some(step) = steps.pop() {
        if step == ".." {
            way.truncate(way.len().saturating_sub(1).max(1));
            continue;
        }
        let (here, here_path) = &way[way.len() - 1];
        let culprit = here_path.join(&step);
        let flags = match steps.is_empty() {
            true => READ | OFlags::NOFOLLOW,
            false => DIRECTORY,
        };
        match openat(here, &step, flags, Mode::empty()) {
            Ok(file) if steps.is_empty() => {
                check(&file, path, &culprit)?;
                return Ok(file.into());
            }
            Ok(directory) => {
                check(&directory, path, &culprit)?;
                way.push((directory, culprit));
            }
            Err(errno @ (Errno::LOOP | Errno::NOTDIR)) => {
                let Ok(target) = readlinkat(here, &step, Vec::new()) else {
                    return Err(unreadable(path, errno));
                };
                links += 1;
                if links > MOST_LINKS {
                    return Err(unreadable(path, Errno::LOOP));
                }
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    way.truncate(1);
                }
                steps.extend(self::steps(&target));
            }
            Err(errno) => return Err(unreadable(path, errno)),
        }
    }
    Err(FileError::NotRegular(path.to_owned()))
}

/// The steps of a path, last one first.
fn steps(path: &Path) -> Vec<OsString> {
    let step = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::from_bytes(b"..").to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().rev().filter_map(step).collect()
}

/// Whether root trusts a step of the way to `path`.
fn check(opened: &OwnedFd, path: &Path, culprit: &Path) -> Result<(), FileError> {
    let facts: Stat = fstat(opened).map_err(|errno| unreadable(path, errno))?;
    let (path, culprit) = (path.to_owned(), culprit.to_owned());
    if facts.st_uid != 0 {
        let uid = facts.st_uid;
        return Err(FileError::Owner { path, culprit, uid });
    }
    // An access control list that lets anybody write shows in the group's bits.
    if facts.st_mode & 0o022 != 0 {
        let mode = facts.st_mode & 0o7777;
        return Err(FileError::Writable { path, culprit, mode });
    }
    Ok(())
}
