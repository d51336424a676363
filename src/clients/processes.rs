//! The processes that listen on a port.

use crate::failure::{AS_ROOT, Explain, Explanation, Kind};
use crate::sys::proc::{self, Executable, Stat, Status};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
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

/// A process that listens on the port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its pid on this host.
    pub pid: i32,
    /// Its name (`comm`), at most 15 bytes.
    pub name: String,
    pub uid: u32,
    /// What it runs, the same for a postmaster and its backends.
    pub executable: Executable,
    /// Whether that is PostgreSQL, by the file's name.
    pub is_postgres: bool,
}

impl Process {
    /// Whether it runs, instead of waiting for an event.
    pub fn is_busy(&self) -> Result<bool, ProcessError> {
        let stat = Stat::read(self.pid).map_err(ProcessError::of(self.pid))?;
        Ok(stat.is_some_and(|stat| stat.is_busy()))
    }

    /// Reads a process; `None` if there is no such process any more.
    pub fn read(pid: i32) -> Result<Option<Self>, ProcessError> {
        let read = || {
            let Some(stat) = Stat::read(pid)? else {
                return Ok(None);
            };
            let Some(executable) = proc::executable(pid)? else {
                return Ok(None);
            };
            let Some(link) = proc::unless_gone(fs::read_link(format!("/proc/{pid}/exe")))? else {
                return Ok(None);
            };
            let Some(status) = Status::read(pid)? else {
                return Ok(None);
            };
            let (uid, _) = status.effective_ids()?;
            Ok(Some(Self {
                pid,
                name: stat.name,
                uid,
                executable,
                is_postgres: is_postgres(&link),
            }))
        };
        read().map_err(ProcessError::of(pid))
    }
}

/// `edb-postgres` is EnterpriseDB's. A file that an upgrade has replaced is `(deleted)`.
fn is_postgres(link: &Path) -> bool {
    let name = link.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    matches!(name, b"postgres" | b"postmaster" | b"edb-postgres")
}

/// All process ids, ascending.
pub(super) fn all() -> Result<Vec<i32>, ProcessError> {
    proc::pids().map_err(ProcessError::List)
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
