//! Reads a backend's client from its title, which is its command line in `/proc`.

use std::net::{IpAddr, SocketAddr};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    Address {
        /// Canonical, and without the scope of a link-local address.
        address: SocketAddr,
    },
    Unix,
    /// The title names no client, a host name (`log_hostname`), or more than one client: roles,
    /// databases and backup labels are free text and may look like a client.
    Unknown,
}

impl Client {
    /// Reads a title such as `postgres: main: user db 203.0.113.7(43000) idle`
    /// (`BackendInitialize` in PostgreSQL's `postmaster.c`, later `backend_startup.c`).
    pub fn from_title(title: &str) -> Self {
        if !title.starts_with("postgres: ") {
            return Self::Unknown; // Not yet set: the postmaster's own command line.
        }
        let mut named = title.split_whitespace().filter_map(client);
        match (named.next(), named.next()) {
            (Some(client), None) => client,
            _ => Self::Unknown,
        }
    }
}

/// One word of a title, if it names a client.
fn client(word: &str) -> Option<Client> {
    if word == "[local]" {
        return Some(Client::Unix);
    }
    let (host, port) = word.strip_suffix(')')?.rsplit_once('(')?;
    let port: u16 = port.parse().ok()?;
    let address = match host.split_once('%') {
        Some((address, _interface)) => IpAddr::V6(address.parse().ok()?),
        None => host.parse().ok()?,
    };
    Some(Client::Address { address: SocketAddr::new(address.to_canonical(), port) })
}
