//! A slow and lossy link between two hosts.
//!
//! Not every kernel has netem, so the link is a tun interface on either host and a relay
//! between them that delays and drops packets. What it drops is chosen by a fixed seed.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::host::Host;
use super::running::Running;
use super::story::SOON;

/// The link's address on the server.
const NEAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The link's address on the client.
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// A link, as long as it is kept.
pub struct SlowLink {
    _ends: [Running; 2],
}

impl SlowLink {
    /// Links a client to a server: each packet takes `delay` in either direction, and of
    /// 100 packets `loss` are lost.
    pub fn between(server: &Host, client: &Host, delay: Duration, loss: u8) -> SlowLink {
        let end = |own: Ipv4Addr, peer: Ipv4Addr, here: &Host, there: &Host, seed: &str| {
            let relay = here
                .python_program("relay.py")
                .args([own.to_string(), peer.to_string()])
                .args([here.v4.to_string(), there.v4.to_string()])
                .args([delay.as_secs_f64().to_string()])
                .args([(f64::from(loss) / 100.0).to_string(), seed.to_owned()])
                .limit(Duration::from_secs(600))
                .spawn();
            relay.wait_for_stdout("ready", SOON);
            relay
        };
        let near = end(NEAR, FAR, server, client, "1");
        let far = end(FAR, NEAR, client, server, "2");
        SlowLink { _ends: [near, far] }
    }

    /// The server's address and port behind the link.
    pub fn server(&self, port: u16) -> SocketAddr {
        (NEAR, port).into()
    }
}
