//! Who is remote, decided by the kernel's own routing (rtnetlink(7), `RTM_GETROUTE`).
//!
//! Interface addresses would not do: `ip route add local 10.9.0.0/16 dev lo` makes local
//! addresses that no interface has, and a link-local address of another link is remote.

use crate::sys::netlink::Link;
use netlink_packet_core::Emitable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType,
};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

/// Asks whether addresses are local, once for each address.
///
/// The answers are kept: make a new one for each scan, since addresses come and go.
pub struct Locality {
    link: Link,
    known: HashMap<(IpAddr, u32), bool>,
}

impl Locality {
    /// Opens a routing socket of the calling thread's network namespace.
    ///
    /// # Errors
    /// What the kernel says of the netlink socket.
    pub fn open() -> io::Result<Self> {
        Ok(Self {
            link: Link::open(mnl::Bus::Route)?,
            known: HashMap::new(),
        })
    }

    /// Forgets all answers.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Whether this host's routing calls `address` local: as a client's it then came over
    /// `lo`, as a socket's own it is still on this host. `interface` is the socket's, or 0;
    /// it counts for IPv6 link-local addresses alone.
    ///
    /// # Errors
    /// What the kernel says, unless it says that there is no route: that is remote.
    pub fn is_local(&mut self, address: IpAddr, interface: u32) -> io::Result<bool> {
        let address = address.to_canonical();
        // Bound to a device, a lookup of any other address would miss the local ones that
        // stand at another device.
        let interface = match address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => interface,
            _ => 0,
        };
        if let Some(known) = self.known.get(&(address, interface)) {
            return Ok(*known);
        }
        let answer = self.ask(address, interface)?;
        self.known.insert((address, interface), answer);
        Ok(answer)
    }

    fn ask(&mut self, address: IpAddr, interface: u32) -> io::Result<bool> {
        let request = lookup(address, interface);
        let kind = nix::libc::RTM_GETROUTE;
        let answer = match self.link.request(kind, 0, &request) {
            Ok(answer) => answer,
            Err(error) if is_no_route(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let route = answer
            .iter()
            .find(|message| message.kind() == nix::libc::RTM_NEWROUTE)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no route in the answer"))?;
        let header = RouteHeader::parse(route.payload())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        Ok(header.kind == RouteType::Local)
    }
}

/// What the kernel answers where it has no route: none at all, or one of type unreachable,
/// prohibit, blackhole (EINVAL) or throw; and for an interface that is gone.
fn is_no_route(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::NETUNREACH
                | Errno::HOSTUNREACH
                | Errno::ACCESS
                | Errno::INVAL
                | Errno::AGAIN
                | Errno::NODEV
                | Errno::NETDOWN
        )
    )
}

fn lookup(address: IpAddr, interface: u32) -> Vec<u8> {
    let mut message = RouteMessage::default();
    (
        message.header.address_family,
        message.header.destination_prefix_length,
    ) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    let destination = RouteAddress::from(address);
    message
        .attributes
        .push(RouteAttribute::Destination(destination));
    if interface != 0 {
        message.attributes.push(RouteAttribute::Oif(interface));
    }
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}
