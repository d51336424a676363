//! Finds out which user and command called this process.

use crate::sys::privilege;
use crate::sys::proc::{self, Stat};
use std::fmt::Display;
use std::fs;

/// Characters of a command line that are kept.
const LONGEST: usize = 200;
/// The most processes between this one and the command that called it.
const FARTHEST: usize = 8;
/// Programs that only run a command as another user.
const HANDS_ON: [&str; 6] = ["sudo", "su", "doas", "runuser", "setpriv", "pkexec"];

/// The user who logged in, the present user, the terminal, and the calling command.
pub fn fields() -> Vec<(&'static str, String)> {
    let (name, uid) = privilege::author();
    let mut fields = vec![
        ("user", name),
        ("user_uid", uid.to_string()),
        ("uid", rustix::process::getuid().as_raw().to_string()),
    ];
    if let Some(tty) = tty() {
        fields.push(("tty", tty));
    }
    if let Some((pid, command)) = caller() {
        fields.push(("caller", command));
        fields.push(("caller_pid", pid.to_string()));
    }
    fields
}

/// The name of the controlling terminal below /dev.
fn tty() -> Option<String> {
    let device = stat("self")?.terminal;
    let device = u64::try_from(device).ok().filter(|device| *device != 0)?;
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    if major == UNIX98_PTY {
        return Some(format!("pts/{minor}"));
    }
    let event = fs::read_to_string(format!("/sys/dev/char/{major}:{minor}/uevent"));
    let name = event.ok().and_then(|event| {
        let name = event.lines().find_map(|line| line.strip_prefix("DEVNAME="));
        name.map(str::to_owned)
    });
    Some(name.unwrap_or_else(|| format!("{major}:{minor}")))
}

/// The major number of pseudo-terminals (Documentation/admin-guide/devices.txt).
const UNIX98_PTY: u32 = 136;

/// The nearest ancestor that does more than to run a command as another user.
fn caller() -> Option<(i32, String)> {
    let mut pid = stat("self")?.parent;
    for _ in 0..FARTHEST {
        let process = stat(pid)?;
        if !HANDS_ON.contains(&process.name.as_str()) {
            return Some((pid, command_line(pid).unwrap_or(process.name)));
        }
        pid = process.parent;
    }
    None
}

fn stat(pid: impl Display) -> Option<Stat> {
    Stat::read(pid).ok().flatten()
}

fn command_line(pid: i32) -> Option<String> {
    let bytes = proc::command_line(pid).ok().flatten()?;
    let words = String::from_utf8_lossy(&bytes).replace('\0', " ");
    let short: String = words.trim_end().chars().take(LONGEST).collect();
    (!short.is_empty()).then_some(short)
}
