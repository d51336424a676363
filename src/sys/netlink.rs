//! Netlink sockets with bounded waits. Requests, dumps and their answers are bytes.

use super::fd;
use netlink_packet_core::{Emitable, NetlinkBuffer, NetlinkHeader, Parseable};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::{self, ErrorKind::InvalidData};
use std::time::{Duration, Instant};

/// The longest wait for an answer of the kernel. A transaction takes milliseconds, and a lost
/// answer must not hang a command.
pub const WAIT: Duration = Duration::from_secs(5);

/// The size of the socket's buffers in bytes. The kernel counts each message with its overhead.
const ROOM: usize = 4 << 20;

/// The answers of a dump fit into 32 KiB; twice that is ample.
const DATAGRAM: usize = 64 << 10;

/// How often a dump is read again when the tables changed while it was written.
const DUMP_ATTEMPTS: usize = 10;

/// One message of the kernel.
#[derive(Debug, Clone)]
pub struct Message {
    pub header: NetlinkHeader,
    /// Including the header.
    pub bytes: Vec<u8>,
}

impl Message {
    fn parse(bytes: &[u8]) -> io::Result<Self> {
        let buffer = NetlinkBuffer::new_checked(&bytes);
        let header = buffer.and_then(|buffer| NetlinkHeader::parse(&buffer));
        let header = header.map_err(|error| io::Error::new(InvalidData, error.to_string()))?;
        Ok(Self { header, bytes: bytes.to_vec() })
    }

    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.header.buffer_len()..]
    }

    /// For `NLMSG_ERROR`: the error, or `None` for an acknowledgement.
    fn error(&self) -> Option<io::Error> {
        let code = self.payload().first_chunk().copied();
        match code.map(i32::from_ne_bytes) {
            Some(0) => None,
            Some(code) => Some(io::Error::from_raw_os_error(code.saturating_neg())),
            None => Some(InvalidData.into()),
        }
    }
}

pub struct Link {
    socket: mnl::Socket,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Link {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open(bus: mnl::Bus) -> io::Result<Self> {
        let socket = mnl::Socket::new(bus)?;
        configure(&socket, WAIT, ROOM)?;
        Ok(Self::of(socket))
    }

    /// Opens a socket that receives the multicast groups of this mask.
    pub fn listen(bus: mnl::Bus, groups: u32) -> io::Result<Self> {
        let socket = mnl::Socket::open(bus)?;
        configure(&socket, WAIT, ROOM)?;
        socket.bind(groups, 0)?;
        Ok(Self::of(socket))
    }

    fn of(socket: mnl::Socket) -> Self {
        Self {
            socket,
            // A little more than a datagram, so that an aligned start can be chosen.
            buffer: vec![0; DATAGRAM + size_of::<u32>()],
            sequence: 0,
        }
    }

    pub fn socket(&self) -> &mnl::Socket {
        &self.socket
    }

    /// Makes sure that a message of this many bytes can be sent at once.
    pub fn make_room(&self, bytes: usize) -> io::Result<()> {
        if bytes * 2 > ROOM {
            configure(&self.socket, WAIT, bytes * 2)?;
        }
        Ok(())
    }

    /// Sends one request and returns all messages of the answer: those of the dump if `flags`
    /// contains `NLM_F_DUMP`, otherwise those before the acknowledgement. Fails with `TimedOut`
    /// after [`WAIT`].
    pub fn request(&mut self, kind: u16, flags: u16, payload: &[u8]) -> io::Result<Vec<Message>> {
        let is_dump = flags & (nix::libc::NLM_F_DUMP as u16) != 0;
        let more = match is_dump {
            true => nix::libc::NLM_F_REQUEST,
            false => nix::libc::NLM_F_REQUEST | nix::libc::NLM_F_ACK,
        };
        let flags = flags | more as u16;
        for _ in 0..DUMP_ATTEMPTS {
            let sequence = self.next_sequence();
            self.socket.send(&message(kind, flags, sequence, payload))?;
            let answer = self.collect(sequence)?;
            let interrupted = |m: &Message| m.header.flags & nix::libc::NLM_F_DUMP_INTR as u16 != 0;
            if !answer.iter().any(interrupted) {
                return Ok(answer);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "the kernel's tables changed each time they were read",
        ))
    }

    /// A sequence number that no earlier request of this socket has used.
    pub fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Reads until the answer to `sequence` is complete.
    fn collect(&mut self, sequence: u32) -> io::Result<Vec<Message>> {
        let deadline = Instant::now() + WAIT;
        let mut answer = Vec::new();
        loop {
            for message in self.receive(deadline)? {
                if message.header.sequence_number != sequence {
                    continue; // A late answer to an earlier request.
                }
                match i32::from(message.header.message_type) {
                    nix::libc::NLMSG_DONE => return Ok(answer),
                    nix::libc::NLMSG_ERROR => {
                        return match message.error() {
                            Some(error) => Err(error),
                            None => Ok(answer),
                        };
                    }
                    nix::libc::NLMSG_NOOP => {}
                    _ => answer.push(message),
                }
            }
        }
    }

    /// Reads one datagram of errors and acknowledgements (`None`), each with the sequence number
    /// of its message, or 0 for the transaction as a whole. Fails with `TimedOut` at the deadline.
    pub fn answers(&mut self, deadline: Instant) -> io::Result<Vec<(u32, Option<io::Error>)>> {
        let mut messages = self.receive(deadline)?;
        messages.retain(|m| i32::from(m.header.message_type) == nix::libc::NLMSG_ERROR);
        Ok(messages.iter().map(|m| (m.header.sequence_number, m.error())).collect())
    }

    /// Reads one datagram. Fails with `TimedOut` at the deadline.
    pub fn receive(&mut self, deadline: Instant) -> io::Result<Vec<Message>> {
        let timed_out = || io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer");
        let aligned = self.buffer.as_ptr().align_offset(size_of::<u32>());
        loop {
            if Instant::now() >= deadline {
                return Err(timed_out());
            }
            let datagram = &mut self.buffer[aligned..][..DATAGRAM];
            match self.socket.recv(datagram) {
                Ok(messages) => return messages.map(|bytes| Message::parse(bytes?)).collect(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(timed_out()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Bounds every wait on the socket, makes room for large messages, and closes it in started
/// programs (libmnl does none of this).
fn configure(socket: &mnl::Socket, wait: Duration, room: usize) -> io::Result<()> {
    let descriptor = fd::of_netlink(socket);
    rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
    let wait = TimeVal::milliseconds(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
    setsockopt(&descriptor, sockopt::ReceiveTimeout, &wait)?;
    setsockopt(&descriptor, sockopt::SendTimeout, &wait)?;
    if setsockopt(&descriptor, sockopt::SndBufForce, &room).is_err() {
        setsockopt(&descriptor, sockopt::SndBuf, &room)?;
    }
    if setsockopt(&descriptor, sockopt::RcvBufForce, &room).is_err() {
        setsockopt(&descriptor, sockopt::RcvBuf, &room)?;
    }
    Ok(())
}

fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.length = (header.buffer_len() + payload.len()) as u32;
    header.message_type = kind;
    header.flags = flags;
    header.sequence_number = sequence;
    let mut bytes = vec![0; header.buffer_len()];
    header.emit(&mut bytes);
    bytes.extend(payload);
    bytes
}
