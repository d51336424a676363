//! Finds out which user and command called this process.

use crate::sys::privilege;
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

/// The name in `/proc/PID/stat`, and the numbers after name and state: parent, process group,
/// session, terminal (proc_pid_stat(5)).
fn stat(pid: &str) -> Option<(String, Vec<i64>)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(") ")?;
    let name = head.split_once('(')?.1.to_owned();
    let numbers = rest.split(' ').skip(1).map_while(|n| n.parse().ok());
    Some((name, numbers.collect()))
}

/// The name of the controlling terminal below /dev.
fn tty() -> Option<String> {
    let (_, numbers) = stat("self")?;
    let device = u64::try_from(*numbers.get(3)?).ok().filter(|n| *n != 0)?;
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
fn caller() -> Option<(i64, String)> {
    let (_, numbers) = stat("self")?;
    let mut pid = *numbers.first()?;
    for _ in 0..FARTHEST {
        let (name, numbers) = stat(&pid.to_string())?;
        if !HANDS_ON.contains(&name.as_str()) {
            return Some((pid, command_line(pid).unwrap_or(name)));
        }
        pid = *numbers.first()?;
    }
    None
}

fn command_line(pid: i64) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = String::from_utf8_lossy(&bytes).replace('\0', " ");
    let short: String = words.trim_end().chars().take(LONGEST).collect();
    (!short.is_empty()).then_some(short)
}
