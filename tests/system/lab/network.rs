//! The bridge that joins the hosts of a lab, in a namespace of its own.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::host::Host;
use super::space::{Land, Space};

/// A bridge without an address. It stands in the network of the lab's first process,
/// which every host can name: `netns 1`.
pub struct Network {
    bridge: Host,
}

impl Network {
    /// Makes the bridge.
    pub fn new(land: &Arc<Land>) -> Network {
        let space = Arc::new(Space::of_first_process(land.clone()));
        let bridge = Host::new(space, Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
        bridge.ip("link add bridge type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
                   link set bridge up\n");
        Network { bridge }
    }

    /// Makes hosts with these last numbers in their addresses, and plugs them in.
    pub fn attach(&self, land: &Arc<Land>, numbers: impl Iterator<Item = u8>) -> Vec<Host> {
        let mut ports = String::new();
        let hosts = numbers
            .map(|number| {
                ports += &format!("link set port{number} master bridge up\n");
                new_host(land, number)
            })
            .collect();
        self.bridge.ip(&ports);
        hosts
    }
}

fn new_host(land: &Arc<Land>, number: u8) -> Host {
    let space = Arc::new(Space::new(land.clone()));
    let v4 = Ipv4Addr::new(203, 0, 113, number);
    let v6 = format!("2001:db8:53::{number}");
    let host = Host::new(space, v4, v6.parse().expect("an address"));
    // Without this a new link-local address is no use for its first second.
    host.sysctl("net/ipv6/conf/default/accept_dad", "0");
    host.ip(&format!(
        "link set lo up\n\
         link add eth0 type veth peer name port{number} netns 1\n\
         addr add {v4}/24 dev eth0\n\
         addr add {v6}/64 dev eth0 nodad\n\
         link set eth0 up\n"
    ));
    host
}
