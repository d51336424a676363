//! The guard's own entry: `start`, `hold` and `run` leave it behind. It is no command.

use super::handle::OUTSIDE;
use super::{GuardError, detach, run};
use crate::sys::{fd, privilege};
use nix::unistd::dup2_stdin;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// Becomes the guard of a port: the first word. The second one tells whether it leaves the
/// systemd service that it was started in.
pub fn main(mut words: impl Iterator<Item = OsString>) -> Result<(), GuardError> {
    fd::close_inherited();
    let port = words.next().and_then(|port| port.to_str()?.parse().ok());
    let port = port.ok_or(GuardError::ByHand)?;
    let channel = take_channel().map_err(|_| GuardError::ByHand)?;
    detach::detach(words.next().is_some_and(|place| place == OUTSIDE));
    if let Err(error) = privilege::settle_as_guard() {
        tracing::warn!(%error, "the guard keeps all its rights");
    }
    run::run(port, channel)
}

/// The socket that is this process's standard input; nothing takes its place.
fn take_channel() -> io::Result<UnixStream> {
    let channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    channel.peer_addr()?; // Fails where it is no such socket.
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(channel)
}
