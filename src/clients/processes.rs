//! Processes as `/proc` shows them (proc(5)).

use crate::failure::{AS_ROOT, Explain, Explanation, Kind};
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("cannot list /proc: {0}")]
    List(#[source] io::Error),
    #[error("cannot look at process {pid}: {source}")]
    Read {
        pid: i32,
        #[source]
        source: io::Error,
    },
    #[error("cannot see which sockets process {0} holds: that needs CAP_SYS_PTRACE")]
    Privilege(i32),
}

impl ProcessError {
    pub(super) fn of(pid: i32) -> impl Fn(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::PermissionDenied => Self::Privilege(pid),
            _ => Self::Read { pid, source },
        }
    }
}

/// The file that a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Executable {
    /// Its filesystem (`st_dev`).
    pub device: u64,
    /// Its inode (`st_ino`).
    pub inode: u64,
}

/// A process that listens on the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its pid on this host.
    pub pid: i32,
    /// Its name (`comm`), at most 15 bytes.
    pub name: String,
    /// Its effective user.
    pub uid: u32,
    /// What it runs, the same for a postmaster and its backends.
    pub executable: Executable,
    /// Whether that is PostgreSQL, by the file's name.
    pub is_postgres: bool,
}

impl Process {
    /// Reads a process; `None` if there is no such process any more.
    pub fn read(pid: i32) -> Result<Option<Self>, ProcessError> {
        let read = || {
            let Some(stat) = Stat::read(pid)? else {
                return Ok(None);
            };
            let Some(executable) = executable(pid)? else {
                return Ok(None);
            };
            let Some(link) = unless_gone(fs::read_link(format!("/proc/{pid}/exe")))? else {
                return Ok(None);
            };
            let Some(status) = unless_gone(fs::read_to_string(format!("/proc/{pid}/status")))?
            else {
                return Ok(None);
            };
            Ok(Some(Self {
                pid,
                name: stat.name,
                uid: effective_uid(&status)?,
                executable,
                is_postgres: is_postgres(&link),
            }))
        };
        read().map_err(ProcessError::of(pid))
    }
}

/// The start of `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    pub name: String,
    pub state: char,
    pub parent: i32,
}

impl Stat {
    pub fn read(pid: i32) -> io::Result<Option<Self>> {
        match read_file(&format!("/proc/{pid}/stat"))? {
            Some(text) => Self::parse(&text).map(Some),
            None => Ok(None),
        }
    }

    /// `PID (NAME) STATE PARENT …`, where the name may hold parentheses and blanks.
    fn parse(text: &[u8]) -> io::Result<Self> {
        let parse = || {
            let open = text.iter().position(|byte| *byte == b'(')?;
            let close = text.iter().rposition(|byte| *byte == b')')?;
            let name = text.get(open + 1..close)?;
            let mut rest = std::str::from_utf8(&text[close + 1..]).ok()?.split(' ');
            let (_, state, parent) = (rest.next()?, rest.next()?, rest.next()?);
            Some(Self {
                name: String::from_utf8_lossy(name).into_owned(),
                state: state.chars().next()?,
                parent: parent.parse().ok()?,
            })
        };
        parse().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "odd /proc/PID/stat"))
    }

    /// Whether the process has ended and only waits to be reaped.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// All process ids, ascending.
pub(super) fn all() -> Result<Vec<i32>, ProcessError> {
    let list = || {
        let mut pids = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            pids.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
        }
        pids.sort_unstable();
        Ok(pids)
    };
    list().map_err(ProcessError::List)
}

/// A file of `/proc`; `None` if it is gone.
///
/// Such a file claims to be empty, so `fs::read` would read it in tiny pieces, and for each
/// piece the kernel goes to the process's memory again.
pub(super) fn read_file(path: &str) -> io::Result<Option<Vec<u8>>> {
    let Some(mut file) = unless_gone(File::open(path))? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match unless_gone(file.read(&mut piece))? {
            None => return Ok(None),
            Some(0) => return Ok(Some(bytes)),
            Some(length) => bytes.extend(&piece[..length]),
        }
    }
}

/// What a process runs; `None` if it is gone or a kernel thread.
pub(super) fn executable(pid: i32) -> io::Result<Option<Executable>> {
    let file = unless_gone(fs::metadata(format!("/proc/{pid}/exe")))?;
    Ok(file.map(|file| Executable {
        device: file.dev(),
        inode: file.ino(),
    }))
}

/// The sockets a process holds, as descriptor and inode; `None` if it is gone.
///
/// Links are read, not followed: a file on a dead file server must not stall this. A backend has
/// tens of files open, so each link is looked up relative to the directory.
pub(super) fn sockets(pid: i32) -> io::Result<Option<Vec<(i32, u32)>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = format!("/proc/{pid}/fd");
    let folder = rustix::fs::open(folder, flags, Mode::empty()).map_err(io::Error::from);
    let Some(folder) = unless_gone(folder)? else {
        return Ok(None);
    };
    let mut sockets = Vec::new();
    let mut link = Vec::new();
    for entry in Dir::read_from(&folder)? {
        let Some(entry) = unless_gone(entry.map_err(io::Error::from))? else {
            return Ok(None);
        };
        let name = entry.file_name();
        let Some(descriptor) = name.to_str().ok().and_then(|name| name.parse().ok()) else {
            continue; // `.` and `..`
        };
        link.clear();
        let read = rustix::fs::readlinkat(&folder, name, link).map_err(io::Error::from);
        // The descriptor may be closed by now.
        let target = unless_gone(read)?;
        sockets.extend(
            target
                .as_deref()
                .and_then(|target| socket_inode(target.to_bytes()))
                .map(|inode| (descriptor, inode)),
        );
        link = target.map(CString::into_bytes).unwrap_or_default();
    }
    Ok(Some(sockets))
}

/// `Ok(None)` for an error that says that the process or its file is gone.
pub(super) fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::SRCH) => Ok(None),
            _ => Err(error),
        },
    }
}

/// The inode of `socket:[4711]`.
fn socket_inode(link: &[u8]) -> Option<u32> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// `edb-postgres` is EnterpriseDB's. A file that an upgrade has replaced is `(deleted)`.
fn is_postgres(link: &Path) -> bool {
    let name = link.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    matches!(name, b"postgres" | b"postmaster" | b"edb-postgres")
}

/// The second of the four numbers behind `Uid:` in `/proc/PID/status`.
fn effective_uid(status: &str) -> io::Result<u32> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|uids| uids.split_whitespace().nth(1)?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "odd /proc/PID/status"))
}

impl Explain for ProcessError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Privilege(_) => Kind::Privilege.hint(AS_ROOT),
            Self::List(_) | Self::Read { .. } => unlisted(),
        }
    }
}

/// Nobody knows who is connected.
pub fn unlisted() -> Explanation {
    Kind::Clients
        .hint("the kernel needs sock_diag for TCP (CONFIG_INET_DIAG), and /proc must be mounted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_and_blanks_do_not_shift_the_fields() {
        for (text, name, parent) in [
            ("1 (systemd) S 0 1 1 0 -1", "systemd", 0),
            ("7 ((sd-pam)) S 6 7 7 0", "(sd-pam)", 6),
            ("8 (a) S 1 (b) R 2 8", "a) S 1 (b", 2),
            ("9 (post gres) Z 4711 9", "post gres", 4711),
        ] {
            let stat = Stat::parse(text.as_bytes()).unwrap();
            assert_eq!((stat.name.as_str(), stat.parent), (name, parent));
        }
        assert!(Stat::parse(b"9 (x) Z 1 9").unwrap().is_dead());
        for odd in ["", "7", "7 (x", "7 (x)", "7 (x) S", ") 7 ("] {
            assert!(Stat::parse(odd.as_bytes()).is_err(), "{odd}");
        }
    }

    #[test]
    fn postgres_is_known_by_its_file_even_after_an_upgrade() {
        for (link, expected) in [
            ("/usr/lib/postgresql/15/bin/postgres", true),
            ("/usr/lib/postgresql/15/bin/postgres (deleted)", true),
            ("/opt/edb/bin/edb-postgres", true),
            ("/usr/bin/postmaster", true),
            ("/usr/sbin/pgbouncer", false),
            ("/usr/bin/postgres_exporter", false),
        ] {
            assert_eq!(is_postgres(Path::new(link)), expected, "{link}");
        }
    }

    #[test]
    fn links_of_descriptors_tell_sockets() {
        assert_eq!(socket_inode(b"socket:[4711]"), Some(4711));
        for other in ["pipe:[4711]", "/tmp/socket:[4711]", "socket:[x]"] {
            assert_eq!(socket_inode(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn this_process_can_be_read_and_a_missing_one_is_none() {
        let pid = std::process::id() as i32;
        let process = Process::read(pid).unwrap().unwrap();
        assert_eq!(process.uid, rustix::process::geteuid().as_raw());
        assert!(!process.is_postgres);
        assert_eq!(Process::read(i32::MAX).unwrap(), None);
    }
}
