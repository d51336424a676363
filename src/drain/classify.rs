//! Who is remote, and what follows from it: decided here, for rows and sockets alike.

use crate::clients::{Locality, Socket};
use crate::cordon::{Fate, PassList};
use ipnet::IpNet;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Decides what happens to a connection by the client's address.
pub struct Classifier {
    locality: Locality,
    pass: PassList,
    /// If only some are to be cut: whose.
    pub only: Option<PassList>,
    spared: Vec<SocketAddr>,
    /// The interfaces of clients with link-local addresses, which rows do not tell.
    interfaces: HashMap<SocketAddr, u32>,
}

impl Classifier {
    pub fn new(pass: &PassList, spared: &[SocketAddr]) -> io::Result<Self> {
        Ok(Self {
            locality: Locality::open()?,
            pass: pass.clone(),
            only: None,
            spared: spared.to_vec(),
            interfaces: HashMap::new(),
        })
    }

    pub fn allow(&mut self, addresses: &[IpAddr]) {
        let more = addresses.iter().copied().map(IpNet::from);
        // A list that is too long already has failed long before this.
        if let Ok(pass) = self.pass.with(more) {
            self.pass = pass;
        }
    }

    pub fn spare(&mut self, flows: impl IntoIterator<Item = SocketAddr>) {
        self.spared.extend(flows);
    }

    /// What happens to the connection of a client; `interface` is that of its socket, which
    /// counts for link-local addresses, or 0.
    pub fn fate(&mut self, client: SocketAddr, interface: u32) -> io::Result<Fate> {
        let address = client.ip().to_canonical();
        let plain = SocketAddr::new(address, client.port());
        let interface = match interface {
            0 => self.interfaces.get(&plain).copied().unwrap_or(0),
            known => known,
        };
        if self.locality.is_local(address, interface)? {
            return Ok(Fate::Local);
        }
        let is_left_alone = |only: &PassList| !only.contains(address);
        if self.pass.contains(address) || self.only.as_ref().is_some_and(is_left_alone) {
            return Ok(Fate::Pass);
        }
        let is_same = |flow: &SocketAddr| flow.ip() == address && flow.port() == client.port();
        match self.spared.iter().any(is_same) {
            true => Ok(Fate::Spared),
            false => Ok(Fate::Cut),
        }
    }

    /// Whether a socket's connection is to be cut.
    pub fn cuts(&mut self, socket: &Socket) -> io::Result<bool> {
        if socket.interface != 0 {
            self.interfaces.insert(socket.remote, socket.interface);
        }
        Ok(self.fate(socket.remote, socket.interface)? == Fate::Cut)
    }

    /// Whether a socket's own address is still on this host: to no other one can an answer
    /// be sent.
    pub fn is_own(&mut self, socket: &Socket) -> io::Result<bool> {
        self.locality.is_local(socket.local.ip().to_canonical(), socket.interface)
    }

    /// Forgets what the routing said: addresses come and go.
    pub fn look_again(&mut self) {
        self.locality.forget();
    }
}
