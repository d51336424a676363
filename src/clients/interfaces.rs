//! Finds the networks of an interface, for `--allow interface:NAME`.

use crate::failure::{Explain, Explanation, Kind};
use crate::sys::netlink::Link;
use ipnet::IpNet;
use netlink_packet_core::{Emitable, Parseable};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use nix::net::if_::if_nametoindex;
use std::io;
use std::net::IpAddr;

#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    #[error("there is no interface `{0}`; `ip -br address` lists those there are")]
    Unknown(String),
    /// It has link-local addresses at most.
    #[error(
        "the interface `{0}` has no address, so no network is connected to it; name the networks"
    )]
    NoNetwork(String),
    #[error("cannot read the addresses of the interface `{0}`: {1}")]
    Kernel(String, #[source] io::Error),
}

/// The networks of an interface's addresses in the calling thread's network namespace; for a
/// point-to-point link, the peer's network.
///
/// IPv6 link-local addresses do not count: every interface has `fe80::/64`, so passing it would
/// let in the clients of all other links.
pub fn interface_networks(name: &str) -> Result<Vec<IpNet>, InterfaceError> {
    let index = if_nametoindex(name).map_err(|error| match error {
        nix::errno::Errno::ENODEV | nix::errno::Errno::ENXIO | nix::errno::Errno::EINVAL => {
            InterfaceError::Unknown(name.to_owned())
        }
        other => InterfaceError::Kernel(name.to_owned(), other.into()),
    })?;
    let kernel = |error| InterfaceError::Kernel(name.to_owned(), error);
    let mut networks = Vec::new();
    for address in addresses().map_err(kernel)? {
        if address.header.index == index {
            networks.extend(network(&address));
        }
    }
    networks.sort();
    networks.dedup();
    if networks.is_empty() {
        return Err(InterfaceError::NoNetwork(name.to_owned()));
    }
    Ok(networks)
}

fn addresses() -> io::Result<Vec<AddressMessage>> {
    let request = AddressMessage::default();
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(&mut bytes);
    let (kind, dump) = (nix::libc::RTM_GETADDR, nix::libc::NLM_F_DUMP as u16);
    Link::open(mnl::Bus::Route)?
        .request(kind, dump, &bytes)?
        .iter()
        .map(|message| {
            AddressMessage::parse(message.payload())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
        })
        .collect()
}

/// `IFA_ADDRESS` is the address of the prefix. On a point-to-point link it is the peer's, and
/// `IFA_LOCAL` is this host's (`linux/if_addr.h`).
fn network(message: &AddressMessage) -> Option<IpNet> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    })?;
    if matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()) {
        return None;
    }
    let network = IpNet::new(address, message.header.prefix_len).ok()?;
    Some(network.trunc())
}

impl Explain for InterfaceError {
    fn explain(&self) -> Explanation {
        Kind::PassList.hint("see the names of interfaces with: ip address")
    }
}
