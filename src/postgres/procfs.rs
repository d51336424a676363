//! Reads from /proc on which Unix sockets a postmaster listens, its version and its children.

use crate::sys::proc::{self, Stat, Status};
use rustix::io::Errno;
use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// `__SO_ACCEPTCON`, the flag of a listening socket in /proc/net/unix (proc_net(5)).
const LISTENING: u32 = 1 << 16;

/// The address of a listening Unix socket, as the process that bound it named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A path; a relative one starts at the process's working directory.
    Path(PathBuf),
    /// A name in the abstract namespace, without the leading zero byte.
    Abstract(Vec<u8>),
}

/// The Unix sockets on which the process listens under PostgreSQL's name for this port. These are
/// only candidates: a name may contain a line feed and so forge a line of the kernel's list.
/// After connecting, the kernel must be asked who the peer is.
pub fn listening_sockets(pid: i32, port: u16) -> io::Result<Vec<Address>> {
    let sockets = proc::sockets(pid)?.ok_or_else(gone)?;
    let held = sockets.into_iter().map(|(_, inode)| inode).collect();
    let table = fs::read(format!("/proc/{pid}/net/unix"))?;
    Ok(parse_unix_sockets(&table, port, &held))
}

/// The lines of /proc/net/unix that listen, are `held`, and end in `/.s.PGSQL.<port>`. The
/// columns are Num, RefCount, Protocol, Flags, Type, St, Inode and Path.
pub fn parse_unix_sockets(table: &[u8], port: u16, held: &HashSet<u32>) -> Vec<Address> {
    let name = format!(".s.PGSQL.{port}");
    let mut found: Vec<Address> = table
        .split(|byte| *byte == b'\n')
        .filter_map(|line| parse_unix_socket(line, &name, held))
        .collect();
    found.sort_by_key(|address| matches!(address, Address::Abstract(_)));
    found
}

fn parse_unix_socket(line: &[u8], name: &str, held: &HashSet<u32>) -> Option<Address> {
    let mut columns = [""; 7];
    let mut path = line;
    for column in &mut columns {
        let text = path.trim_ascii_start();
        let end = text.iter().position(|byte| *byte == b' ')?;
        *column = std::str::from_utf8(&text[..end]).ok()?;
        // One space only: the path may begin with spaces of its own.
        path = &text[end + 1..];
    }
    let [_, _, _, flags, _, _, inode] = columns;
    let flags = u32::from_str_radix(flags, 16).ok()?;
    if flags & LISTENING == 0 || !held.contains(&inode.parse().ok()?) {
        return None;
    }
    let file = path.rsplit(|byte| *byte == b'/').next()?;
    if file != name.as_bytes() {
        return None;
    }
    Some(match path.strip_prefix(b"@") {
        Some(name) => Address::Abstract(name.to_vec()),
        None => Address::Path(PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()))),
    })
}

/// The major version in `PG_VERSION` of the data directory, which is the postmaster's working
/// directory. This is only a hint: the file is the server's, so it is opened without blocking (it
/// may be a pipe), no link is followed, and only a few bytes are read.
pub fn version_hint(pid: i32) -> Option<u32> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOFOLLOW | nix::libc::O_NOCTTY)
        .open(format!("/proc/{pid}/cwd/PG_VERSION"))
        .ok()?;
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// The effective uid and gid of a process.
pub fn effective_ids(pid: i32) -> io::Result<(u32, u32)> {
    Status::read(pid)?.ok_or_else(gone)?.effective_ids()
}

fn gone() -> io::Error {
    io::Error::from(Errno::SRCH)
}

/// The pid on this host of a backend that the server calls by its own pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// It is a child of the postmaster, with this pid here.
    Child(i32),
    /// The postmaster has no such child.
    Stranger,
    /// The server has its own pid namespace, and the kernel does not list its children
    /// (`CONFIG_PROC_CHILDREN`).
    Unknown,
}

/// Whether a process is in our pid namespace, so that pids mean the same.
pub fn counts_like_us(pid: i32) -> bool {
    let ours = proc::namespace("self", "pid").ok();
    ours.is_some() && ours == proc::namespace(pid, "pid").ok()
}

/// Finds the postmaster's child that the server itself calls `pid`. If the server has its own pid
/// namespace, this looks at what its children call themselves.
pub fn find_backend(postmaster: i32, pid: i32) -> Backend {
    if counts_like_us(postmaster) {
        return match Stat::read(pid) {
            Ok(Some(stat)) if stat.parent == postmaster => Backend::Child(pid),
            _ => Backend::Stranger,
        };
    }
    let Ok(Some(children)) = proc::listed_children(postmaster) else {
        return Backend::Unknown;
    };
    let calls_itself = |child: &i32| {
        let status = Status::read(child).ok().flatten();
        status.and_then(|status| status.innermost_pid()) == Some(pid)
    };
    let child = children.into_iter().find(calls_itself);
    child.map_or(Backend::Stranger, Backend::Child)
}
