//! Asks the kernel's routing whether an address is local (rtnetlink(7), `RTM_GETROUTE`).
//!
//! Comparing with interface addresses would not be enough: `ip route add local 10.9.0.0/16 dev
//! lo` makes addresses local that no interface has, and a link-local address of another link
//! is remote.

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

/// Asks whether addresses are local, once for each address. Addresses come and go, so the
/// answers must be forgotten before each scan.
pub struct Locality {
    link: Link,
    known: HashMap<(IpAddr, u32), bool>,
}

impl Locality {
    /// Opens a routing socket in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        Ok(Self { link: Link::open(mnl::Bus::Route)?, known: HashMap::new() })
    }

    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Whether this host's routing calls `address` local. If it is a client's, the client then
    /// came over `lo`; if it is a socket's own, it still exists on this host. `interface` is the
    /// socket's, or 0; it matters only for IPv6 link-local addresses.
    ///
    /// An address without a route is remote.
    pub fn is_local(&mut self, address: IpAddr, interface: u32) -> io::Result<bool> {
        let address = address.to_canonical();
        // For other addresses a lookup with a device would miss local addresses of other
        // devices.
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
            .find(|message| message.header.message_type == nix::libc::RTM_NEWROUTE)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no route in the answer"))?;
        let header = RouteHeader::parse(route.payload())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        Ok(header.kind == RouteType::Local)
    }
}

/// The kernel's answers if there is no route, or one of type unreachable, prohibit, blackhole
/// (EINVAL) or throw, or if the interface is gone.
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
    (message.header.address_family, message.header.destination_prefix_length) = match address {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    let destination = RouteAddress::from(address);
    message.attributes.push(RouteAttribute::Destination(destination));
    if interface != 0 {
        message.attributes.push(RouteAttribute::Oif(interface));
    }
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}
