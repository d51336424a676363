//! What a guard is told, and how: one JSON object a line, over a socket that is the guard's
//! standard input.
//!
//! Whoever changes the kernel tells the guard first, under the port's lock. The guard acts
//! under that lock too, and listens before it does: so it knows of every change that it sees.

use super::target::Moment;
use crate::cordon::Cordon;
use crate::firewall::Change;
use crate::postgres::Access;
use crate::sys::fd;
use rustix::event::{PollFd, PollFlags};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long a guard may take to listen; one that is stopped is not waited for.
const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// What a guard is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// Guard this cordon.
    Take {
        /// As it stands when this is sent.
        cordon: Box<Cordon>,
        /// How PostgreSQL is reached when a heal drains.
        access: Box<Access>,
    },
    /// The cordon is being changed.
    Change(Change),
    /// The guard's word was heard: from now on it is on its own.
    Heard,
}

/// A message and when it was sent: all its durations count from then on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timestamped {
    pub sent_at: Moment,
    pub message: Message,
}

/// The end of a channel that leads to a guard.
#[derive(Debug)]
pub struct Sender(UnixStream);

impl Sender {
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(Self(stream))
    }

    /// Tells the guard something that is true from `sent_at` on.
    pub fn tell(&mut self, sent_at: Moment, message: Message) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Timestamped { sent_at, message })?;
        line.push(b'\n');
        self.0.write_all(&line)
    }

    /// Waits for the guard's word that it stands guard.
    pub fn wait_for_word(&mut self, most: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(most))?;
        let mut word = Vec::new();
        match BufReader::new(&self.0).read_until(b'\n', &mut word) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            read => read?,
        };
        match word.strip_suffix(b"\n") {
            Some(READY) => Ok(()),
            Some(words) => Err(io::Error::other(String::from_utf8_lossy(words))),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A guard's word that it stands guard.
pub const READY: &[u8] = b"guarding";

/// The guard's end of a channel.
#[derive(Debug)]
pub struct Receiver {
    stream: UnixStream,
    unread: Vec<u8>,
    ended: bool,
}

impl Receiver {
    pub fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, unread: Vec::new(), ended: false })
    }

    /// Whether nobody is left who could say anything.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Waits until something is told, or nobody is left.
    pub fn wait(&self) -> io::Result<()> {
        fd::wait(&mut [PollFd::new(self, PollFlags::IN)], None).map(drop)
    }

    /// Everything that was told by now, without waiting.
    pub fn receive(&mut self) -> Vec<Timestamped> {
        let mut piece = [0; 4096];
        while !self.ended {
            match self.stream.read(&mut piece) {
                Ok(0) => self.ended = true,
                Ok(count) => self.unread.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.ended = true,
            }
        }
        let whole = self.unread.iter().rposition(|byte| *byte == b'\n');
        let Some(last) = whole else {
            return Vec::new();
        };
        let lines: Vec<u8> = self.unread.drain(..=last).collect();
        let lines = lines.split(|byte| *byte == b'\n');
        // What is no message was not written by us; there is nobody to tell it.
        lines.filter_map(|line| serde_json::from_slice(line).ok()).collect()
    }

    /// Says a word to whoever tells; that nobody hears it does not matter.
    pub fn say(&mut self, word: &[u8]) {
        let _ = self.stream.write_all(&[word, b"\n"].concat());
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
