//! Who raised a window. The comment of the kernel's window element says so.
//!
//! The kernel is the state (ARCHITECTURE.md, promise 7), so this is the only place where it is
//! kept.

use std::fmt;
use std::time::{Duration, SystemTime};

/// The longest login name that is kept; the whole comment must stay within 127 bytes.
const LONGEST_AUTHOR: usize = 32;

/// Who raised a window and when, and what its guard has done since.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Random; tells one window from the next.
    pub id: u64,
    /// In whole milliseconds.
    pub started_at: SystemTime,
    /// The login name, reduced to characters that a comment can hold.
    pub by: String,
    pub by_uid: u32,
    /// How often the guard has put the cordon back.
    pub healed: u32,
    /// The guard's pid.
    pub guard: Option<u32>,
}

impl Identity {
    pub fn new(id: u64, started_at: SystemTime, by: &str, by_uid: u32) -> Self {
        let plain = |c: char| match c.is_ascii_graphic() && c != '"' {
            true => c,
            false => '?',
        };
        let author = by.chars().map(plain).take(LONGEST_AUTHOR).collect();
        Self {
            id,
            started_at: SystemTime::UNIX_EPOCH + whole_milliseconds(started_at),
            by: author,
            by_uid,
            healed: 0,
            guard: None,
        }
    }

    /// Reads a comment that [`Display`](fmt::Display) has written.
    pub fn from_comment(comment: &str) -> Option<Self> {
        let field = |name: &str| {
            let mut words = comment.split(' ');
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let start = Duration::from_millis(field("start")?.parse().ok()?);
        Some(Self {
            id: u64::from_str_radix(field("id")?, 16).ok()?,
            started_at: SystemTime::UNIX_EPOCH.checked_add(start).filter(is_plausible)?,
            by: field("by")?.to_owned(),
            by_uid: field("uid")?.parse().ok()?,
            healed: field("healed")?.parse().ok()?,
            guard: match field("guard") {
                Some(pid) => Some(pid.parse().ok()?),
                None => None,
            },
        })
    }
}

/// A start far in the future was not written by us, or by another clock.
fn is_plausible(start: &SystemTime) -> bool {
    *start <= SystemTime::now() + Duration::from_secs(24 * 60 * 60)
}

fn whole_milliseconds(time: SystemTime) -> Duration {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since - Duration::from_nanos(u64::from(since.subsec_nanos()) % 1_000_000)
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "id={:016x} start={} by={} uid={} healed={}",
            self.id,
            whole_milliseconds(self.started_at).as_millis(),
            self.by,
            self.by_uid,
            self.healed
        )?;
        match self.guard {
            Some(pid) => write!(f, " guard={pid}"),
            None => Ok(()),
        }
    }
}
