//! The TCP sockets of a host, as `ss` shows them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::host::Host;

/// A TCP state by the kernel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum TcpState {
    Established,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

/// One socket. The address of a listener's peer is unspecified, with port 0.
#[derive(Clone, Debug)]
pub struct Socket {
    /// Its state.
    pub state: TcpState,
    /// Bytes sent and not acknowledged.
    pub send_queue: u32,
    /// The other side's.
    pub peer: SocketAddr,
}

impl Host {
    /// Every TCP socket here with this port on either side.
    pub fn socket_list(&self, port: u16) -> Vec<Socket> {
        let filter = format!("( sport = :{port} or dport = :{port} )");
        let outcome = self.run(["ss", "-Htan", &filter]);
        outcome.assert_status(0);
        outcome.stdout.lines().map(parse).collect()
    }

    /// How many of them are in which state.
    pub fn sockets(&self, port: u16) -> BTreeMap<TcpState, usize> {
        count(self.socket_list(port))
    }

    /// The same without those whose peer is this host itself: listeners, connections over
    /// loopback or over its own address on the bridge.
    pub fn remote_sockets(&self, port: u16) -> BTreeMap<TcpState, usize> {
        let mut sockets = self.socket_list(port);
        sockets.retain(|socket| {
            let peer = socket.peer.ip();
            let own = peer.is_unspecified() || peer.is_loopback();
            !own && !self.addresses().contains(&peer)
        });
        count(sockets)
    }
}

fn count(sockets: Vec<Socket>) -> BTreeMap<TcpState, usize> {
    let mut counts = BTreeMap::new();
    for socket in sockets {
        *counts.entry(socket.state).or_default() += 1;
    }
    counts
}

/// `ESTAB 0 0 203.0.113.1:5432 203.0.113.11:43000`
fn parse(line: &str) -> Socket {
    let parts: Vec<_> = line.split_whitespace().collect();
    let [state, _, send_queue, _, peer, ..] = parts[..] else {
        panic!("a line of ss: {line:?}");
    };
    Socket {
        state: match state {
            "ESTAB" => TcpState::Established,
            "SYN-SENT" => TcpState::SynSent,
            "SYN-RECV" => TcpState::SynRecv,
            "FIN-WAIT-1" => TcpState::FinWait1,
            "FIN-WAIT-2" => TcpState::FinWait2,
            "TIME-WAIT" => TcpState::TimeWait,
            "CLOSE-WAIT" => TcpState::CloseWait,
            "LAST-ACK" => TcpState::LastAck,
            "LISTEN" => TcpState::Listen,
            "CLOSING" => TcpState::Closing,
            other => panic!("a TCP state of ss: {other}"),
        },
        send_queue: send_queue.parse().expect("a number"),
        peer: address(peer),
    }
}

/// `*:*`, `203.0.113.1:5432`, `[::ffff:203.0.113.1]:5432`, `[fe80::1%eth0]:5432`
fn address(text: &str) -> SocketAddr {
    let (host, port) = text.rsplit_once(':').expect("a port");
    let host = host.replace(['[', ']'], "");
    let host = host.split('%').next().unwrap_or_default();
    let ip = match host {
        "*" => Ipv6Addr::UNSPECIFIED.into(),
        _ => host.parse::<IpAddr>().expect("an address"),
    };
    SocketAddr::new(ip.to_canonical(), port.parse().unwrap_or(0))
}
