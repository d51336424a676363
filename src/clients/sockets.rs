//! The TCP sockets of one port, listed and destroyed through sock_diag
//! (`linux/inet_diag.h`, sock_diag(7)).

use super::inet_diag::{self, NO_COOKIE, Response, SocketId};
use crate::sys::netlink::{Link, Message};
use netlink_packet_core::NlasIterator;
use rustix::io::Errno;
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The place of `tcpi_bytes_acked` in `struct tcp_info` (`linux/tcp.h`, since Linux 4.1).
const BYTES_ACKED: std::ops::Range<usize> = 120..128;
/// The place of `tcpi_rtt` in it.
const ROUND_TRIP: std::ops::Range<usize> = 68..72;

/// `1 << TCP_LISTEN`.
const LISTENING: u32 = 1 << 10;
/// The bits of ESTABLISHED (1) to CLOSING (11) without LISTEN. SYN_RECV includes request sockets.
/// The bits beyond (BOUND_INACTIVE among them, for sockets that were never connected) stay clear.
const CONNECTED: u32 = 0xffe & !LISTENING;

/// The state of a TCP socket (`net/tcp_states.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Established,
    SynSent,
    SynReceived,
    /// Closed here. The FIN, and maybe data before it, is not yet acknowledged.
    FinWait1,
    /// Closed here and acknowledged. The client has not closed.
    FinWait2,
    /// Both have closed. The kernel remembers it for a minute.
    TimeWait,
    /// No longer connected, but still held by a process.
    Closed,
    /// Closed by the client, not here.
    CloseWait,
    /// Closed by the client, then here. The FIN is not yet acknowledged.
    LastAck,
    Listen,
    Closing,
    Other(u8),
}

impl State {
    pub fn from_kernel(number: u8) -> Self {
        match number {
            1 => Self::Established,
            2 => Self::SynSent,
            // Request sockets are TCP_NEW_SYN_RECV inside the kernel, and dumped as 3.
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Closed,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            other => Self::Other(other),
        }
    }

    /// Whether bytes from the client can still reach PostgreSQL.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Established | Self::SynReceived | Self::CloseWait)
    }

    /// Whether its close is under way; no process holds it any more.
    pub fn is_closing(self) -> bool {
        matches!(self, Self::FinWait1 | Self::FinWait2 | Self::Closing | Self::LastAck)
    }
}

/// One TCP socket as a scan saw it.
///
/// Addresses have the form in which PostgreSQL shows them: an IPv4-mapped IPv6 address becomes
/// its IPv4 address, and a link-local one has no scope (see `interface`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// This host's end.
    pub local: SocketAddr,
    /// The client's end.
    pub remote: SocketAddr,
    pub state: State,
    /// The interface it is bound to, as link-local connections are, or 0.
    pub interface: u32,
    /// Its number in `/proc/PID/fd`; 0 before a process has accepted it and after its close.
    pub inode: u32,
    /// The user who created it; 0 before a process has accepted it.
    pub uid: u32,
    /// Bytes that the client has not acknowledged.
    pub send_queue: u32,
    /// Bytes that PostgreSQL has not read.
    pub receive_queue: u32,
    /// Bytes that the client has acknowledged so far. It shows whether a full send queue moves or
    /// is stuck. `None` for sockets without a process.
    pub acknowledged: Option<u64>,
    /// Smoothed; zero if it is not known.
    pub round_trip: Duration,
    family: u8,
    id: SocketId,
}

impl Socket {
    /// Whether no process has accepted it yet: a signal could end nothing.
    pub fn is_unaccepted(&self) -> bool {
        self.state.is_open() && self.inode == 0
    }

    /// A number that no other socket gets until the next boot. It is the same in every scan, and
    /// the same before and after a connection's handshake.
    pub fn cookie(&self) -> u64 {
        self.id.cookie()
    }

    /// A request that names this socket by its addresses, interface and cookie.
    fn exactly(&self) -> Vec<u8> {
        inet_diag::exactly(self.family, &self.id)
    }

    fn parse(message: &Message) -> io::Result<Self> {
        let response = Response::parse(message.payload())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a short answer"))?;
        let (family, id) = (response.family, response.id);
        let info = tcp_info(response.attributes).unwrap_or_default();
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Ok(Self {
            local: canonical(id.local(family)),
            remote: canonical(id.remote(family)),
            state: State::from_kernel(response.state),
            interface: id.interface(),
            inode: response.inode,
            uid: response.uid,
            send_queue: response.send_queue,
            receive_queue: response.receive_queue,
            acknowledged: bytes_acknowledged(&info),
            round_trip: round_trip(&info).unwrap_or_default(),
            family,
            id,
        })
    }
}

/// The attributes' `INET_DIAG_INFO`, a `struct tcp_info`.
fn tcp_info(attributes: &[u8]) -> Option<Vec<u8>> {
    let mut attributes = NlasIterator::new(attributes).map_while(Result::ok);
    let info = attributes.find(|attribute| attribute.kind() == inet_diag::INFO)?;
    Some(info.value().to_vec())
}

/// `tcpi_bytes_acked`, from Linux 4.1 on.
fn bytes_acknowledged(info: &[u8]) -> Option<u64> {
    Some(u64::from_ne_bytes(info.get(BYTES_ACKED)?.try_into().ok()?))
}

/// `tcpi_rtt`, which is in microseconds.
fn round_trip(info: &[u8]) -> Option<Duration> {
    let micros = u32::from_ne_bytes(info.get(ROUND_TRIP)?.try_into().ok()?);
    Some(Duration::from_micros(u64::from(micros)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destroyed {
    Done,
    /// It was already gone, or address and port belong to another socket by now.
    Gone,
    /// It has begun to close since the scan, so it was left alone.
    Closing,
}

/// Why a socket was not destroyed.
#[derive(Debug, thiserror::Error)]
pub enum DestroyError {
    /// A listening socket (PostgreSQL would be deaf until restarted) or one that is closing
    /// (kernels before 6.11 keep an orphan in FIN_WAIT1 for ever).
    #[error("the socket of {0} is in state {1:?}; only open connections are ever destroyed")]
    NotOpen(SocketAddr, State),
    /// The kernel was built without `CONFIG_INET_DIAG_DESTROY`.
    #[error("this kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY is off)")]
    Unsupported,
    /// `CAP_NET_ADMIN` in the network namespace's owner is missing.
    #[error("destroying a socket needs CAP_NET_ADMIN")]
    Privilege,
    #[error("cannot destroy the socket of {0}: {1}")]
    Kernel(SocketAddr, #[source] io::Error),
}

/// Lists and destroys sockets of the network namespace of the thread that opened it.
pub struct Sockets {
    link: Link,
}

impl Sockets {
    pub fn open() -> io::Result<Self> {
        let link = Link::open(mnl::Bus::SockDiag)?;
        Ok(Self { link })
    }

    /// Every socket with the local port `port`, in any state but LISTEN.
    ///
    /// A dump is no snapshot: sockets that appear or change while it is read may be missing, so
    /// a proof takes two scans.
    pub fn connected(&mut self, port: u16) -> io::Result<Vec<Socket>> {
        self.scan(port, CONNECTED)
    }

    /// Every socket that listens on `port`.
    pub fn listening(&mut self, port: u16) -> io::Result<Vec<Socket>> {
        self.scan(port, LISTENING)
    }

    /// Destroys an open socket by the cookie that its scan found: another socket that has the
    /// same addresses by now is not touched. A socket that is not open is refused.
    pub fn destroy(&mut self, socket: &Socket) -> Result<Destroyed, DestroyError> {
        if !socket.state.is_open() || socket.cookie() == NO_COOKIE {
            return Err(DestroyError::NotOpen(socket.remote, socket.state));
        }
        let kernel = |error| DestroyError::Kernel(socket.remote, error);
        // Its backend may have closed it since the scan, and the kernel would not refuse that.
        match self.state(socket).map_err(kernel)? {
            Some(state) if state.is_open() => {}
            Some(state) if state.is_closing() => return Ok(Destroyed::Closing),
            _ => return Ok(Destroyed::Gone),
        }
        match self.link.request(inet_diag::DESTROY, 0, &socket.exactly()) {
            Ok(_) => Ok(Destroyed::Done),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::STALE) => Ok(Destroyed::Gone),
                Some(Errno::OPNOTSUPP) => Err(DestroyError::Unsupported),
                Some(Errno::PERM | Errno::ACCESS) => Err(DestroyError::Privilege),
                _ => Err(kernel(error)),
            },
        }
    }

    /// The state of a socket now; `None` if it is gone.
    pub fn state(&mut self, socket: &Socket) -> io::Result<Option<State>> {
        let request = socket.exactly();
        match self.link.request(inet_diag::GET_BY_FAMILY, 0, &request) {
            Ok(found) => match found.first() {
                Some(message) => Ok(Some(Socket::parse(message)?.state)),
                None => Ok(None),
            },
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::STALE) => Ok(None),
                _ => Err(error),
            },
        }
    }

    /// Lists sockets of both families. The kernel walks its whole socket table for each dump, so
    /// the old request for both families at once is tried first.
    fn scan(&mut self, port: u16, states: u32) -> io::Result<Vec<Socket>> {
        let dump = nix::libc::NLM_F_DUMP as u16;
        let both = inet_diag::request_both_families(port, states);
        let messages = match self.link.request(inet_diag::GET_BOTH_FAMILIES, dump, &both) {
            Ok(messages) => messages,
            Err(_) => {
                let mut messages = Vec::new();
                for family in inet_diag::FAMILIES {
                    let request = inet_diag::request(family, port, states);
                    let answers = self.link.request(inet_diag::GET_BY_FAMILY, dump, &request)?;
                    messages.extend(answers);
                }
                messages
            }
        };
        let mut found = Vec::new();
        let mut cookies = HashSet::new();
        for message in &messages {
            let socket = Socket::parse(message)?;
            // A socket that moves to another hash chain while the dump is read may come twice.
            if socket.local.port() == port && cookies.insert(socket.cookie()) {
                found.push(socket);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledged_bytes_are_read_from_tcp_info_if_it_is_long_enough() {
        let attribute = |length: usize| {
            let mut bytes = Vec::new();
            bytes.extend((length as u16 + 4).to_ne_bytes());
            bytes.extend(inet_diag::INFO.to_ne_bytes());
            bytes.extend((0..length).map(|at| u8::from(BYTES_ACKED.start == at) * 7));
            bytes
        };
        let expected = u64::from_ne_bytes([7, 0, 0, 0, 0, 0, 0, 0]);
        let told = |length| bytes_acknowledged(&tcp_info(&attribute(length)).unwrap());
        assert_eq!(told(232), Some(expected));
        assert_eq!(told(104), None);
        assert_eq!(tcp_info(&[]), None);
    }
}
