//! What this process may do, as which user it acts, and which user called it.

use super::runtime::in_thread;
use caps::{CapSet, Capability};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use rustix::{
    io,
    process::{Gid, Uid},
};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

/// `/proc/self/loginuid` of a process without a login (`AUDIT_UID_UNSET`,
/// proc_pid_loginuid(5)).
const NO_LOGIN: u32 = u32::MAX;

/// How long to wait for the caller's name, which only the record needs. The user database may be a
/// directory service (LDAP): it answers within milliseconds, or if it is dead, after minutes.
const AUTHOR_TIMEOUT: Duration = Duration::from_secs(1);

/// Those of `needed` that are not in the calling thread's effective set. A set that cannot be
/// read counts as empty.
pub fn missing(needed: &[Capability]) -> Vec<Capability> {
    let held = caps::read(None, CapSet::Effective).unwrap_or_default();
    needed.iter().copied().filter(|capability| !held.contains(capability)).collect()
}

/// The rights that a guard may need for a drain: to reach PostgreSQL's socket as its owner, to
/// look at its processes, and to signal them.
const FOR_A_DRAIN: [Capability; 6] = [
    Capability::CAP_NET_ADMIN,
    Capability::CAP_KILL,
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_DAC_READ_SEARCH,
];

/// Gives up every right that a guard does not need. `CAP_NET_ADMIN` stays effective, what a
/// drain needs stays permitted, and running a program can gain nothing.
pub fn settle_as_guard() -> Result<(), caps::errors::CapsError> {
    // Without CAP_SETPCAP the bounding set stays, but with no_new_privs it gives nothing.
    if let Err(error) = caps::clear(None, CapSet::Bounding) {
        tracing::debug!(%error, "the bounding set stays as it is");
    }
    if let Err(error) = rustix::thread::set_no_new_privs(true) {
        tracing::debug!(%error, "no_new_privs could not be set");
    }
    let held = caps::read(None, CapSet::Permitted)?;
    let keep = FOR_A_DRAIN.into_iter().filter(|right| held.contains(right));
    let effective = [Capability::CAP_NET_ADMIN].into_iter();
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &effective.collect())?;
    caps::set(None, CapSet::Permitted, &keep.collect())
}

/// Makes every permitted right of the calling thread effective.
pub fn use_all() -> Result<(), caps::errors::CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    caps::set(None, CapSet::Effective, &permitted)
}

/// Acts as another user for as long as this value lives: effective user and group id and
/// the supplementary groups of the **calling thread alone**. glibc's (and so nix's)
/// functions of these names change every thread of the process; the system calls used
/// here change one.
///
/// Take it, make one system call, drop it. It must not live across an `await`, so it is not
/// `Send`.
///
/// Capabilities: when the effective uid leaves 0, the kernel clears the effective set and
/// keeps the permitted one; when it comes back to 0, the effective set is filled again
/// (capabilities(7), "Effect of user ID changes on capabilities"). A process that was
/// started with `CAP_SETUID` and `CAP_SETGID` but not as uid 0 keeps its capabilities
/// throughout, and the switch works all the same; without them [`EffectiveIds::switch`] fails
/// with `EPERM`. Any change of the effective uid clears the "parent death signal".
#[derive(Debug)]
pub struct EffectiveIds {
    before: Option<Before>,
    /// A raw pointer is neither `Send` nor `Sync`: the ids belong to one thread.
    _of_one_thread: std::marker::PhantomData<*const ()>,
}

/// What has to be restored.
#[derive(Debug)]
struct Before {
    groups: Vec<Gid>,
    gid: Gid,
    uid: Uid,
}

impl EffectiveIds {
    /// Switches to `uid` and `gid`, with `gid` as the only supplementary group. If the effective
    /// uid already is `uid`, nothing changes: it would gain nothing, and so this works in an
    /// unprivileged process.
    ///
    /// Fails with `EPERM` without `CAP_SETUID` and `CAP_SETGID`, and with `EINVAL` for an id that
    /// this user namespace does not know. The ids are then as before.
    pub fn switch(uid: u32, gid: u32) -> std::io::Result<Self> {
        let guard = |before| Self { before, _of_one_thread: std::marker::PhantomData };
        let before = Before {
            groups: rustix::process::getgroups()?,
            gid: rustix::process::getegid(),
            uid: rustix::process::geteuid(),
        };
        if uid == before.uid.as_raw() {
            return Ok(guard(None));
        }
        // For the system calls below, -1 means "do not change".
        if uid == u32::MAX || gid == u32::MAX {
            return Err(io::Errno::INVAL.into());
        }
        let gid = Gid::from_raw(gid);
        // The groups first: once the uid has changed, the right to change them is gone. From
        // here on the guard restores whatever was changed.
        set_thread_groups(&[gid])?;
        let guard = guard(Some(before));
        set_thread_res_gid(None, gid, None)?;
        set_thread_res_uid(None, Uid::from_raw(uid), None)?;
        Ok(guard)
    }
}

impl Drop for EffectiveIds {
    fn drop(&mut self) {
        let Some(before) = &self.before else { return };
        let restored = set_thread_res_uid(None, before.uid, None)
            .and_then(|()| set_thread_res_gid(None, before.gid, None))
            .and_then(|()| set_thread_groups(&before.groups));
        if restored.is_err() {
            // A thread that goes on under another user's ids would do the rest of its work with
            // the wrong rights, and hide it. A panic could be caught; an abort cannot. The kernel
            // ends the window in time without us.
            std::process::abort();
        }
    }
}

/// The user who called: who logged in before `sudo` or `su` (`/proc/self/loginuid`), else
/// `SUDO_UID`, else the real user. This is for the record only: the caller controls `SUDO_UID`.
pub struct Author {
    uid: u32,
    name: Name,
}

enum Name {
    Known(String),
    Asked(mpsc::Receiver<Option<String>>),
}

impl Author {
    /// A user of this host is looked up in its file. Only for another one are the services asked
    /// that nsswitch.conf names, on a thread beside whatever else is done: a directory that does
    /// not answer may take minutes.
    pub fn ask() -> Self {
        let login = std::fs::read_to_string("/proc/self/loginuid").ok();
        let sudo = std::env::var("SUDO_UID").ok();
        let real = rustix::process::getuid().as_raw();
        let uid = author_uid(login.as_deref(), sudo.as_deref(), real);
        if let Some(name) = name_in_file(uid) {
            return Self { uid, name: Name::Known(name) };
        }
        let (tell, answer) = mpsc::channel();
        // Without a thread the channel closes at once: there is no answer.
        let _ = thread::Builder::new().spawn(move || tell.send(ask_user_database(uid)));
        Self { uid, name: Name::Asked(answer) }
    }

    /// The name and the uid. Without a name in the user database, or an answer of it, the uid is
    /// the name.
    pub fn told(self) -> (String, u32) {
        let name = match self.name {
            Name::Known(name) => Some(name),
            Name::Asked(answer) => answer.recv_timeout(AUTHOR_TIMEOUT).ok().flatten(),
        };
        let told = || (name.unwrap_or_else(|| self.uid.to_string()), self.uid);
        AUTHOR.get_or_init(told).clone()
    }
}

static AUTHOR: OnceLock<(String, u32)> = OnceLock::new();

/// The name and uid of the user who called; see [`Author`]. They are looked up once.
pub fn author() -> (String, u32) {
    AUTHOR.get().cloned().unwrap_or_else(|| Author::ask().told())
}

/// `None` if the user has no name. The caller bounds the wait for the user database.
pub async fn user_name(uid: u32) -> std::io::Result<Option<String>> {
    in_thread(move || ask_user_database(uid)).await
}

/// The name that passwd(5) gives a user.
fn name_in_file(uid: u32) -> Option<String> {
    const USERS: &str = "/etc/passwd";
    // What is no file may not end.
    let file = std::fs::metadata(USERS).ok().filter(std::fs::Metadata::is_file);
    let users = file.and_then(|_| std::fs::read_to_string(USERS).ok())?;
    users.lines().find_map(|user| {
        let mut fields = user.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// This may take minutes.
fn ask_user_database(uid: u32) -> Option<String> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid));
    user.ok().flatten().map(|user| user.name)
}

fn author_uid(login: Option<&str>, sudo: Option<&str>, real: u32) -> u32 {
    let parse = |text: &str| text.trim().parse().ok().filter(|uid| *uid != NO_LOGIN);
    login.and_then(parse).or_else(|| sudo.and_then(parse)).unwrap_or(real)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_comes_before_sudo_and_sudo_before_the_real_user() {
        assert_eq!(author_uid(Some("1000"), Some("1001"), 0), 1000);
        assert_eq!(author_uid(Some("4294967295"), Some("1001"), 0), 1001);
        assert_eq!(author_uid(Some("4294967295\n"), None, 7), 7);
        assert_eq!(author_uid(None, Some("nobody"), 0), 0);
        assert_eq!(author_uid(Some("0"), Some("1001"), 0), 0);
    }
}
