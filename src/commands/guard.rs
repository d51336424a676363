//! The guard's own entry: `start`, `hold` and `run` leave it behind. It is no command.

use super::{CommandError, raise, record};
use crate::drain;
use crate::failure::Exit;
use crate::foreground::block_on;
use crate::guard::{self, Guarded, Heal};
use crate::sys::terminal::Stream;
use crate::sys::{fd, privilege};
use nix::unistd::dup2_stdin;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// Becomes the guard of a port: the first word. The second one tells whether it leaves the
/// systemd service that it was started in.
pub fn main(mut words: impl Iterator<Item = OsString>) -> Exit {
    fd::close_inherited();
    match stand(words.next(), words.next()) {
        Ok(()) => Exit::Done,
        Err(error) => {
            Stream::Stderr.line(&format!("error: {error}"));
            Exit::Failed
        }
    }
}

fn stand(port: Option<OsString>, place: Option<OsString>) -> Result<(), guard::StandError> {
    let port = port.and_then(|port| port.to_str()?.parse().ok());
    let port = port.ok_or(guard::StandError::ByHand)?;
    let channel = take_channel().map_err(|_| guard::StandError::ByHand)?;
    guard::detach(place.is_some_and(|place| place == guard::OUTSIDE));
    if let Err(error) = privilege::settle_as_guard() {
        tracing::warn!(%error, "the guard keeps all its rights");
    }
    guard::stand(port, channel, drain_after_heal)
}

/// The socket that is this process's standard input; nothing takes its place.
fn take_channel() -> io::Result<UnixStream> {
    let channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    channel.peer_addr()?; // Fails where it is no such socket.
    dup2_stdin(File::open("/dev/null")?)?;
    Ok(channel)
}

/// Ends the connections that got in while a cordon was away.
fn drain_after_heal(heal: Heal, firewall: &mut Guarded) {
    if let Err(error) = privilege::use_all() {
        tracing::warn!(%error, "the guard drains with fewer rights");
    }
    let drained = raise::order_after_heal(&heal).and_then(|order| {
        let report = block_on(drain::drain(firewall, &order)).map_err(CommandError::Runtime)?;
        Ok((order, report))
    });
    match drained {
        Ok((order, report)) => record::drained(&[order], Some(&report)),
        Err(error) => tracing::warn!(%error, "who had got in could not be drained"),
    }
}
