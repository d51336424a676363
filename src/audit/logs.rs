//! Writes to the system's logs. Their crates use blocking sockets, so this first looks at each
//! socket and skips one that would block.

use super::{Action, tell};
use nix::syslog::{Facility, LogFlags, Priority, Severity, closelog, openlog, syslog};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tracing_subscriber::layer::SubscriberExt;

/// The socket on which journald takes records with fields (systemd.io/JOURNAL_NATIVE_PROTOCOL).
const JOURNAL: &str = "/run/systemd/journal/socket";
/// The socket of syslog(3).
const SYSLOG: &str = "/dev/log";
const NAME: &str = "pgcordon";
/// `LOG_AUTH`: what privileged users did, to be read by privileged users.
const AUTH: &str = "4";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// It exists, but nobody reads from it.
    Full,
    Absent,
}

/// Sends a record to the journal, else to the system log.
pub fn send(action: Action, line: &str, fields: &[(&'static str, String)]) {
    match state(JOURNAL, SocketType::DGRAM) {
        State::Ready => to_journal(action, line, fields),
        State::Full => {}
        State::Absent => {
            // A few system logs listen for streams instead.
            let kinds = [SocketType::DGRAM, SocketType::STREAM];
            if kinds.into_iter().any(|kind| state(SYSLOG, kind) == State::Ready) {
                to_syslog(action, line);
            }
        }
    }
}

fn state(path: &str, kind: SocketType) -> State {
    let look = || -> Result<bool, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, kind, flags, None)?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        let mut sockets = [PollFd::new(&socket, PollFlags::OUT)];
        poll(&mut sockets, Some(&Timespec::default()))?;
        Ok(sockets[0].revents().contains(PollFlags::OUT))
    };
    match look() {
        Ok(true) => State::Ready,
        Ok(false) | Err(Errno::AGAIN) => State::Full,
        Err(_) => State::Absent,
    }
}

/// Makes the journal this thread's subscriber for one record.
fn to_journal(action: Action, line: &str, fields: &[(&'static str, String)]) {
    let Ok(journal) = tracing_journald::layer() else {
        return;
    };
    let upper = |name: &str| format!("PGCORDON_{}", name.to_uppercase());
    let fields = fields.iter().map(|(name, value)| (upper(name), value.as_str()));
    let action_field = (upper("action"), action.as_str());
    let facility = ("SYSLOG_FACILITY".to_owned(), AUTH);
    let journal = journal
        .with_syslog_identifier(NAME.to_owned())
        .with_custom_fields([action_field, facility].into_iter().chain(fields));
    let journal = tracing_subscriber::registry().with(journal);
    tracing::subscriber::with_default(journal, || tell(action, line));
}

fn to_syslog(action: Action, line: &str) {
    let severity = match action {
        Action::Heal => Severity::LOG_WARNING,
        _ => Severity::LOG_NOTICE,
    };
    let opened = openlog(Some(c"pgcordon"), LogFlags::LOG_PID, Facility::LOG_AUTH);
    if opened.is_ok() {
        let _ = syslog(Priority::new(severity, Facility::LOG_AUTH), line);
    }
    closelog();
}
