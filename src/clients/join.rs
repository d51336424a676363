//! Joins sockets, the processes that hold them, and rows of SQL.

use super::{Backend, Socket};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// What a row of `pg_stat_activity` is joined by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowKey {
    /// The backend's pid in PostgreSQL's own counting, which in a container is not this host's.
    pub pid: i32,
    /// `client_addr` and `client_port`.
    pub client: SocketAddr,
}

#[derive(Debug)]
pub struct Joined<'a, R> {
    pub socket: &'a Socket,
    pub backend: Option<&'a Backend>,
    pub row: Option<&'a R>,
}

/// Joins sockets to backends by inode, and to rows by the client's address and port without
/// scope, since PostgreSQL strips it. If two clients share both (through two addresses or links
/// of this host), the pid decides. `key` is `None` for a row without a TCP client.
pub fn join<'a, R>(
    sockets: &'a [Socket],
    backends: &'a [Backend],
    rows: &'a [R],
    key: impl Fn(&R) -> Option<RowKey>,
) -> Vec<Joined<'a, R>> {
    let mut owners = HashMap::new();
    for backend in backends {
        owners.extend(backend.inodes.iter().map(|inode| (*inode, backend)));
    }
    let mut by_client: HashMap<(IpAddr, u16), Vec<(i32, &R)>> = HashMap::new();
    for row in rows {
        if let Some(RowKey { pid, client }) = key(row) {
            let rows = by_client.entry(plain(client)).or_default();
            rows.push((pid, row));
        }
    }
    sockets
        .iter()
        .map(|socket| {
            let backend = owners.get(&socket.inode).copied();
            let rows = by_client.get(&plain(socket.remote)).map(Vec::as_slice);
            let row = match rows.unwrap_or_default() {
                [] => None,
                [(_, row)] => Some(*row),
                several => several
                    .iter()
                    .find(|(pid, _)| backend.is_some_and(|backend| backend.pid == *pid))
                    .map(|(_, row)| *row),
            };
            Joined { socket, backend, row }
        })
        .collect()
}

/// An address without scope and flow label.
fn plain(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}
