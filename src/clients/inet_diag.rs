//! The kernel's messages about TCP sockets, as `linux/inet_diag.h` lays them out. The crate
//! for them needs a newer Rust than Debian 13 has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `TCPDIAG_GETSOCK`, the oldest request: it lists the sockets of both families at once.
pub const GET_BOTH_FAMILIES: u16 = 18;
/// `SOCK_DIAG_BY_FAMILY` of `linux/sock_diag.h`.
pub const GET_BY_FAMILY: u16 = 20;
/// `SOCK_DESTROY` of `linux/sock_diag.h`.
pub const DESTROY: u16 = 21;

/// `INET_DIAG_INFO`: the attribute that holds a `struct tcp_info`.
pub const INFO: u16 = 2;

/// `INET_DIAG_NOCOOKIE`: a request with it matches any socket of the addresses, even a listening
/// one.
pub const NO_COOKIE: u64 = u64::MAX;

/// `AF_INET` and `AF_INET6`, for one request each.
pub const FAMILIES: [u8; 2] = [nix::libc::AF_INET as u8, nix::libc::AF_INET6 as u8];

/// `struct inet_diag_sockid`: both ends of a connection, its interface and its cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketId([u8; 48]);

impl SocketId {
    /// An id with nothing but this host's port.
    fn of_port(port: u16) -> Self {
        let mut id = [0; 48];
        id[..2].copy_from_slice(&port.to_be_bytes());
        id[40..].fill(0xff);
        Self(id)
    }

    /// This host's end of a socket of that family.
    pub fn local(&self, family: u8) -> SocketAddr {
        SocketAddr::new(self.address(family, 4), self.big_endian(0))
    }

    /// The other end.
    pub fn remote(&self, family: u8) -> SocketAddr {
        SocketAddr::new(self.address(family, 20), self.big_endian(2))
    }

    /// The interface that the socket is bound to, or 0.
    pub fn interface(&self) -> u32 {
        number(&self.0, 36)
    }

    /// A number that no other socket has, or [`NO_COOKIE`].
    pub fn cookie(&self) -> u64 {
        let (high, low) = (number(&self.0, 40), number(&self.0, 44));
        u64::from(high) << 32 | u64::from(low)
    }

    fn big_endian(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.0[at], self.0[at + 1]])
    }

    fn address(&self, family: u8, at: usize) -> IpAddr {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0[at..at + 16]);
        match family == FAMILIES[0] {
            true => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
            false => Ipv6Addr::from(bytes).into(),
        }
    }
}

/// A request for the sockets of a port (`struct inet_diag_req_v2`). `states` has the bit of each
/// wanted state's number. The answers contain [`INFO`].
pub fn request(family: u8, port: u16, states: u32) -> Vec<u8> {
    let extensions = 1 << (INFO - 1);
    request_v2(family, extensions, states, &SocketId::of_port(port))
}

/// The same for sockets of both families (`struct inet_diag_req`).
pub fn request_both_families(port: u16, states: u32) -> Vec<u8> {
    let extensions = 1 << (INFO - 1);
    let id = SocketId::of_port(port);
    [&[0, 0, 0, extensions], &id.0[..], &states.to_ne_bytes(), &[0; 4]].concat()
}

/// A request for one socket in any state.
pub fn exactly(family: u8, id: &SocketId) -> Vec<u8> {
    request_v2(family, 0, u32::MAX, id)
}

fn request_v2(family: u8, extensions: u8, states: u32, id: &SocketId) -> Vec<u8> {
    let protocol = nix::libc::IPPROTO_TCP as u8;
    [&[family, protocol, extensions, 0], &states.to_ne_bytes()[..], &id.0].concat()
}

/// `struct inet_diag_msg`, with the attributes behind it.
pub struct Response<'a> {
    pub family: u8,
    pub state: u8,
    pub id: SocketId,
    pub receive_queue: u32,
    pub send_queue: u32,
    pub uid: u32,
    pub inode: u32,
    pub attributes: &'a [u8],
}

impl<'a> Response<'a> {
    /// Parses the bytes after the netlink header; `None` if they are too few.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (fixed, attributes) = payload.split_at_checked(72)?;
        Some(Self {
            family: fixed[0],
            state: fixed[1],
            id: SocketId(fixed[4..52].try_into().ok()?),
            receive_queue: number(fixed, 56),
            send_queue: number(fixed, 60),
            uid: number(fixed, 64),
            inode: number(fixed, 68),
            attributes,
        })
    }
}

/// A number in native order. All offsets here lie within their structures.
fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_field_by_field() {
        let mut message = vec![0; 76];
        message[0] = FAMILIES[0];
        message[1] = 8;
        message[4..8].copy_from_slice(&[0x15, 0x38, 0xa7, 0xf8]);
        message[8..12].copy_from_slice(&[10, 0, 0, 1]);
        message[24..28].copy_from_slice(&[203, 0, 113, 7]);
        let numbers = [(40, 3), (44, 1), (48, 2), (56, 4), (60, 5), (64, 6), (68, 7)];
        for (place, value) in numbers {
            let value: u32 = value;
            message[place..place + 4].copy_from_slice(&value.to_ne_bytes());
        }
        let response = Response::parse(&message).unwrap();
        let (family, id) = (response.family, response.id);
        assert_eq!(id.local(family).to_string(), "10.0.0.1:5432");
        assert_eq!(id.remote(family).to_string(), "203.0.113.7:43000");
        assert_eq!((id.interface(), id.cookie()), (3, 1 << 32 | 2));
        assert_eq!((response.receive_queue, response.send_queue), (4, 5));
        assert_eq!((response.uid, response.inode, response.state), (6, 7, 8));
        assert_eq!(response.attributes.len(), 4);
        assert!(Response::parse(&message[..71]).is_none());
    }

    #[test]
    fn a_request_for_a_port_bears_no_cookie() {
        let request = request(FAMILIES[1], 5432, 1 << 10);
        assert_eq!(request.len(), 56);
        assert_eq!(request[..4], [FAMILIES[1], 6, 2, 0]);
        assert_eq!(request[4..8], (1_u32 << 10).to_ne_bytes());
        assert_eq!(request[8..10], [0x15, 0x38]);
        assert_eq!(SocketId::of_port(5432).cookie(), NO_COOKIE);
        assert_eq!(request_both_families(5432, 1 << 10).len(), 60);
    }
}
