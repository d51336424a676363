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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_sessions_name_their_clients() {
        let other = "203.0.113.7:43000";
        for (title, client) in [
            ("app shop 203.0.113.7(43000) idle", other),
            ("main: app shop 203.0.113.7(43000) idle in transaction (aborted)", other),
            ("walsender repl 2001:db8::7(43000) streaming 0/3000148", "[2001:db8::7]:43000"),
            ("app shop ::ffff:203.0.113.7(43000) SELECT", other),
            ("app name with spaces 127.0.0.1(1) authentication", "127.0.0.1:1"),
            ("app shop fe80::1%eth0(43000) idle", "[fe80::1]:43000"),
        ] {
            let address = client.parse().unwrap();
            let named = Client::from_title(&format!("postgres: {title}"));
            assert_eq!(named, Client::Address { address }, "{title}");
        }
        let local = Client::from_title("postgres: app shop [local] idle");
        assert_eq!(local, Client::Unix);
    }

    #[test]
    fn nothing_is_guessed_from_a_title() {
        for title in [
            "/usr/lib/postgresql/15/bin/postgres -D /data 203.0.113.7(43000)",
            "postgres: checkpointer",
            "postgres: parallel worker for PID 4711",
            "postgres: app shop client.example(43000) idle",
            // A role may bear the name of a local client.
            "postgres: 127.0.0.1(1) shop 203.0.113.7(43000) idle",
            "postgres: [local] shop 203.0.113.7(43000) idle",
            "postgres: app shop 203.0.113.7(430",
            "postgres: app shop 203.0.113.7(70000) idle",
            "postgres: app shop 203.0.113.7%eth0(43000) idle",
            "",
        ] {
            assert_eq!(Client::from_title(title), Client::Unknown, "{title}");
        }
    }
}
