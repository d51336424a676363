//! What a postmaster leaves behind that was killed.

use super::backends::Backend;
use super::children::Child;
use super::processes::{self, Process, ProcessError, Stat};
use std::io;

/// The sessions and other children that a postmaster has left behind, if it has ended: a
/// backend in the middle of a statement does not hear of that, and runs on with its locks.
///
/// A process counts that runs the postmaster's file, has set its title, and is no child of
/// a process that runs the same file. It may be of another server that was killed: who its
/// postmaster was cannot be told any more, and so none of them is ever to be signalled.
///
/// # Errors
/// [`ProcessError::Privilege`], and what the kernel says of `/proc` and pidfds.
pub fn orphans(postmaster: &Process) -> Result<Vec<Backend>, ProcessError> {
    let of_postmaster = ProcessError::of(postmaster.pid);
    if runs(postmaster.pid, postmaster).map_err(of_postmaster)? {
        return Ok(Vec::new());
    }
    let mut orphans = Vec::new();
    for pid in processes::all()? {
        let orphan = look(pid, postmaster).map_err(ProcessError::of(pid))?;
        orphans.extend(orphan);
    }
    Ok(orphans)
}

fn look(pid: i32, postmaster: &Process) -> io::Result<Option<Backend>> {
    if !runs(pid, postmaster)? {
        return Ok(None);
    }
    let Some(orphan) = Child::read_orphan(pid, postmaster)? else {
        return Ok(None);
    };
    let has_parent = match Stat::read(pid)? {
        Some(stat) => runs(stat.parent, postmaster)?,
        None => return Ok(None),
    };
    Ok((!has_parent && orphan.is_alive()?).then(|| Backend::of_orphan(orphan)))
}

/// Whether a process is there and runs the postmaster's file.
fn runs(pid: i32, postmaster: &Process) -> io::Result<bool> {
    let alive = Stat::read(pid)?.is_some_and(|stat| !stat.is_dead());
    Ok(alive && processes::executable(pid)? == Some(postmaster.executable))
}
