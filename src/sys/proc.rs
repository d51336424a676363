//! Processes as `/proc` shows them (proc(5)). A process may end between any two readings:
//! `None` is then the answer.

use super::fd;
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::ffi::CString;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// The start of `/proc/PID/stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// At most 15 bytes.
    pub name: String,
    state: char,
    pub parent: i32,
    pub group: i32,
    /// The device number of the controlling terminal; 0 is none.
    pub terminal: i32,
}

impl Stat {
    /// `pid` may be `self`.
    pub fn read(pid: impl Display) -> io::Result<Option<Self>> {
        match read_file(&format!("/proc/{pid}/stat"))? {
            Some(text) => Self::parse(&text).map(Some),
            None => Ok(None),
        }
    }

    /// `PID (NAME) STATE PARENT GROUP SESSION TERMINAL …`. The name may hold parentheses and
    /// blanks.
    pub fn parse(text: &[u8]) -> io::Result<Self> {
        let parse = || {
            let open = text.iter().position(|byte| *byte == b'(')?;
            let close = text.iter().rposition(|byte| *byte == b')')?;
            let name = text.get(open + 1..close)?;
            let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
            let mut rest = rest.split_ascii_whitespace();
            let state = rest.next()?.chars().next()?;
            let mut number = || rest.next()?.parse::<i32>().ok();
            let (parent, group, _session, terminal) = (number()?, number()?, number()?, number()?);
            Some(Self {
                name: String::from_utf8_lossy(name).into_owned(),
                state,
                parent,
                group,
                terminal,
            })
        };
        parse().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "odd /proc/PID/stat"))
    }

    /// Whether it runs or is held up inside the kernel, instead of waiting for an event.
    pub fn is_busy(&self) -> bool {
        matches!(self.state, 'R' | 'D')
    }

    /// Whether the process has ended and only waits to be reaped.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// The text of `/proc/PID/status`.
pub struct Status(pub String);

impl Status {
    /// `pid` may be `self`.
    pub fn read(pid: impl Display) -> io::Result<Option<Self>> {
        let status = read_file(&format!("/proc/{pid}/status"))?;
        Ok(status.map(|status| Self(String::from_utf8_lossy(&status).into_owned())))
    }

    fn words(&self, key: &str) -> impl DoubleEndedIterator<Item = &str> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default().split_ascii_whitespace()
    }

    /// The user and the group: of real, effective, saved and file-system id the second.
    pub fn effective_ids(&self) -> io::Result<(u32, u32)> {
        let id = |key| self.words(key).nth(1)?.parse().ok();
        let ids = id("Uid:").zip(id("Gid:"));
        ids.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "odd /proc/PID/status"))
    }

    /// What the process calls itself in its own pid namespace.
    pub fn innermost_pid(&self) -> Option<i32> {
        self.words("NSpid:").next_back()?.parse().ok()
    }

    /// The signals that it ignores, as a bit mask.
    pub fn ignored_signals(&self) -> Option<u64> {
        u64::from_str_radix(self.words("SigIgn:").next()?, 16).ok()
    }
}

pub fn pids() -> io::Result<Vec<i32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        pids.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()));
    }
    pids.sort_unstable();
    Ok(pids)
}

/// The words of a command line, each with a zero byte behind it; or the title that a process
/// has written over them.
pub fn command_line(pid: i32) -> io::Result<Option<Vec<u8>>> {
    let line = read_file(&format!("/proc/{pid}/cmdline"))?;
    // Empty once its memory is gone: the process is ending.
    Ok(line.filter(|line| !line.is_empty()))
}

/// A file of `/proc`.
///
/// Such a file claims to be empty, so `fs::read` would read it in tiny pieces, and for each
/// piece the kernel goes to the process's memory again.
fn read_file(path: &str) -> io::Result<Option<Vec<u8>>> {
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

/// `Ok(None)` for an error that says that the process or its file is gone.
pub fn unless_gone<T>(result: Result<T, impl Into<io::Error>>) -> io::Result<Option<T>> {
    match result.map_err(Into::into) {
        Ok(value) => Ok(Some(value)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NOENT | Errno::SRCH) => Ok(None),
            _ => Err(error),
        },
    }
}

/// The effective user; root for a process that has changed it and may not be looked into.
pub fn owner(pid: i32) -> io::Result<u32> {
    Ok(fs::metadata(format!("/proc/{pid}"))?.uid())
}

/// The inode of a namespace of a process (`self`) or thread (`thread-self`): `net`, `pid`.
pub fn namespace(pid: impl Display, kind: &str) -> io::Result<u64> {
    Ok(fs::metadata(format!("/proc/{pid}/ns/{kind}"))?.ino())
}

/// The file that a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Executable {
    device: u64,
    inode: u64,
}

/// What a process runs; `None` for a kernel thread, too.
pub fn executable(pid: i32) -> io::Result<Option<Executable>> {
    let file = unless_gone(fs::metadata(format!("/proc/{pid}/exe")))?;
    Ok(file.map(|file| Executable { device: file.dev(), inode: file.ino() }))
}

/// The sockets a process holds, as descriptor and inode.
///
/// Links are read, not followed: a file on a dead file server must not stall this. A backend has
/// tens of files open, so each link is looked up relative to the directory.
pub fn sockets(pid: i32) -> io::Result<Option<Vec<(i32, u32)>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = format!("/proc/{pid}/fd");
    let Some(folder) = unless_gone(rustix::fs::open(folder, flags, Mode::empty()))? else {
        return Ok(None);
    };
    let mut sockets = Vec::new();
    let mut link = Vec::new();
    for entry in Dir::read_from(&folder)? {
        let Some(entry) = unless_gone(entry)? else {
            return Ok(None);
        };
        let name = entry.file_name();
        let Some(descriptor) = name.to_str().ok().and_then(|name| name.parse().ok()) else {
            continue; // `.` and `..`
        };
        link.clear();
        // The descriptor may be closed by now.
        let target = unless_gone(rustix::fs::readlinkat(&folder, name, link))?;
        let inode = target.as_ref().and_then(|target| socket_inode(target.to_bytes()));
        sockets.extend(inode.map(|inode| (descriptor, inode)));
        link = target.map(CString::into_bytes).unwrap_or_default();
    }
    Ok(Some(sockets))
}

/// The inode of `socket:[4711]`.
fn socket_inode(link: &[u8]) -> Option<u32> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// The children as `/proc/PID/task/TID/children` lists them; some are missing if others end
/// meanwhile. `None` if the kernel has no such list (`CONFIG_PROC_CHILDREN`).
pub fn listed_children(pid: i32) -> io::Result<Option<Vec<i32>>> {
    let Some(threads) = unless_gone(fs::read_dir(format!("/proc/{pid}/task")))? else {
        return Ok(Some(Vec::new()));
    };
    let mut children = Vec::new();
    for thread in threads {
        let Some(thread) = unless_gone(thread)? else {
            continue;
        };
        match unless_gone(fs::read_to_string(thread.path().join("children")))? {
            Some(list) => {
                let pids = list.split_ascii_whitespace();
                children.extend(pids.filter_map(|pid| pid.parse::<i32>().ok()));
            }
            None => return Ok(None),
        }
    }
    Ok(Some(children))
}

/// A descriptor of a process, which becomes readable when that ends. What is read of the pid
/// afterwards is about this process, or it has ended by then.
pub fn pidfd(pid: i32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid) else {
        return Ok(None);
    };
    unless_gone(pidfd_open(pid, PidfdFlags::empty()))
}

/// Whether the process that a pidfd refers to has ended.
pub fn has_ended(pidfd: impl AsFd) -> io::Result<bool> {
    fd::is_readable(pidfd, Duration::ZERO)
}
