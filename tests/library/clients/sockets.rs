//! Sockets are listed with everything a drain asks of them, and only open ones destroyed.

use super::net::{CLIENT, LONG, Remote, SERVER, connect, in_namespace, listener, run, within};
use pgcordon::testing::clients::{DestroyError, Destroyed, Socket, Sockets, State};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

fn at(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

fn inode(socket: &impl AsFd) -> u32 {
    let stat = rustix::fs::fstat(socket).expect("fstat");
    stat.st_ino as u32
}

/// The socket at the other end of `client`.
fn peer_of(client: &TcpStream, sockets: &mut Sockets, port: u16) -> Socket {
    let own = client.local_addr().expect("its address");
    let is_peer = |socket: &Socket| {
        (socket.remote.ip(), socket.remote.port()) == (own.ip().to_canonical(), own.port())
    };
    let mut found = sockets.connected(port).expect("a scan").into_iter();
    found.find(is_peer).expect("the client's socket")
}

#[test]
fn clients_of_both_families_are_listed_with_canonical_addresses() {
    in_namespace(|| {
        let remote = Remote::linked();
        let (listening, port) = listener();
        let (other, _) = listener();
        let mut sockets = Sockets::open().expect("sock_diag");

        let mut clients = Vec::new();
        for (server, client) in
            [(SERVER, CLIENT), ("2001:db8::1", "2001:db8::7"), ("127.0.0.1", "127.0.0.1")]
        {
            let address = at(server, port);
            let stream = match client == CLIENT || server.contains(':') {
                true => remote.connect(address),
                false => connect(address),
            };
            let (accepted, _) = listening.accept().expect("accept");
            clients.push((stream, accepted, address, client));
        }
        let _elsewhere = connect(at("127.0.0.1", other.local_addr().unwrap().port()));

        let found = sockets.connected(port).expect("a scan");
        assert_eq!(found.len(), clients.len(), "{found:?}");
        for (stream, accepted, address, client) in &clients {
            let socket = peer_of(stream, &mut sockets, port);
            assert_eq!(socket.local, *address);
            assert_eq!(socket.remote.ip(), client.parse::<IpAddr>().unwrap());
            assert_eq!(socket.state, State::Established);
            assert_eq!(socket.inode, inode(accepted));
            assert!(!socket.is_unaccepted());
        }
        let listeners = sockets.listening(port).expect("a scan");
        assert_eq!(listeners.len(), 1);
        assert_eq!(listeners[0].inode, inode(&listening));
        assert_eq!(listeners[0].state, State::Listen);
    });
}

#[test]
fn a_link_local_client_bears_its_interface_and_no_scope() {
    in_namespace(|| {
        let remote = Remote::linked();
        let (_listening, port) = listener();
        let link = remote.run(|| nix::net::if_::if_nametoindex("link0").unwrap());
        let address = std::net::SocketAddrV6::new("fe80::1".parse().unwrap(), port, 0, link);
        let client = remote.connect(address.into());
        let mut sockets = Sockets::open().expect("sock_diag");
        let socket = peer_of(&client, &mut sockets, port);
        assert_eq!(
            socket.remote.to_string(),
            client.local_addr().unwrap().to_string().replace(&format!("%{link}"), "")
        );
        assert_eq!(socket.interface, nix::net::if_::if_nametoindex("link0").unwrap());
        assert_eq!(sockets.destroy(&socket).expect("destroy"), Destroyed::Done);
    });
}

#[test]
fn a_destroyed_client_is_reset_and_everyone_else_goes_on() {
    in_namespace(|| {
        let remote = Remote::linked();
        let (listening, port) = listener();
        let mut sockets = Sockets::open().expect("sock_diag");
        let mut cut = remote.connect(at(SERVER, port));
        let mut stays = remote.connect(at(SERVER, port));
        let (_first, _) = listening.accept().expect("accept");
        let (mut second, _) = listening.accept().expect("accept");

        let socket = peer_of(&cut, &mut sockets, port);
        assert_eq!(sockets.destroy(&socket).expect("destroy"), Destroyed::Done);
        let end = cut.read(&mut [0; 1]).expect_err("a reset");
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
        assert_eq!(sockets.state(&socket).expect("its state"), None);
        assert_eq!(sockets.destroy(&socket).expect("again"), Destroyed::Gone);

        second.write_all(b"x").expect("write");
        stays.read_exact(&mut [0; 1]).expect("the other client's byte");
        let _new = remote.connect(at(SERVER, port));
    });
}

#[test]
fn a_client_nobody_has_accepted_and_a_half_open_one_can_be_destroyed() {
    in_namespace(|| {
        let remote = Remote::linked();
        let (_listening, port) = listener();
        let mut sockets = Sockets::open().expect("sock_diag");
        for server in [SERVER, "2001:db8::1"] {
            let waiting = remote.connect(at(server, port));
            let socket = peer_of(&waiting, &mut sockets, port);
            assert!(socket.is_unaccepted(), "{socket:?}");
            let done = sockets.destroy(&socket).expect("destroy");
            assert_eq!(done, Destroyed::Done);
        }

        // The client loses every SYN+ACK, so that its handshake stays half open.
        for (server, client) in [(SERVER, CLIENT), ("2001:db8::1", "2001:db8::7")] {
            remote.run(|| {
                run("nft", &["flush", "ruleset"]);
                run("nft", &["add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c tcp flags & (syn | ack) == (syn | ack) drop"]);
                let attempt = TcpStream::connect_timeout(&at(server, port), Duration::from_millis(50));
                attempt.expect_err("a handshake without an answer");
            });
            let found = sockets.connected(port).expect("a scan");
            let half = found.iter().find(|socket| socket.state == State::SynReceived);
            let half =
                half.unwrap_or_else(|| panic!("no half-open connection to {server}: {found:?}"));
            assert_eq!(half.remote.ip(), client.parse::<IpAddr>().unwrap());
            assert_eq!(half.local, at(server, port));
            assert!(half.is_unaccepted());
            assert_eq!(sockets.destroy(half).expect("destroy"), Destroyed::Done);
            assert_eq!(sockets.destroy(half).expect("again"), Destroyed::Gone);
            assert!(sockets.connected(port).expect("a scan").is_empty());
        }
    });
}

#[test]
fn listening_and_closing_sockets_are_never_destroyed() {
    in_namespace(|| {
        let remote = Remote::linked();
        let (listening, port) = listener();
        let mut sockets = Sockets::open().expect("sock_diag");
        for listener in sockets.listening(port).expect("a scan") {
            let refused = sockets.destroy(&listener);
            assert!(matches!(refused, Err(DestroyError::NotOpen(_, State::Listen))));
        }

        let client = remote.connect(at(SERVER, port));
        let before = peer_of(&client, &mut sockets, port);
        drop(listening.accept().expect("accept"));
        let closing = within(LONG, "FIN_WAIT2", || {
            let socket = peer_of(&client, &mut sockets, port);
            (socket.state == State::FinWait2).then_some(socket)
        });
        assert_eq!(closing.cookie(), before.cookie());
        let refused = sockets.destroy(&closing);
        assert!(matches!(refused, Err(DestroyError::NotOpen(_, State::FinWait2))));
        // Nor one that was open at the scan and has begun to close since.
        let late = sockets.destroy(&before).expect("destroy");
        assert_eq!(late, Destroyed::Closing);

        // The client's FIN ends it in TIME_WAIT, which is no open connection either.
        drop(client);
        let ended = within(LONG, "TIME_WAIT", || {
            let found = sockets.connected(port).expect("a scan");
            found.into_iter().find(|socket| socket.state == State::TimeWait)
        });
        assert!(!ended.state.is_open() && !ended.state.is_closing());
    });
}

#[test]
fn a_client_that_does_not_read_shows_a_full_queue_that_stands_still() {
    in_namespace(|| {
        let remote = Remote::linked();
        let (listening, port) = listener();
        let mut sockets = Sockets::open().expect("sock_diag");
        let mut client = remote.connect(at(SERVER, port));
        let (mut server, _) = listening.accept().expect("accept");
        server.set_nonblocking(true).expect("nonblocking");
        let chunk = [0; 65536];
        let stuck = within(LONG, "a queue that stands still", || {
            while server.write(&chunk).is_ok() {}
            let before = peer_of(&client, &mut sockets, port);
            std::thread::sleep(Duration::from_millis(50));
            let after = peer_of(&client, &mut sockets, port);
            (before.acknowledged == after.acknowledged && after.send_queue > 0).then_some(after)
        });
        let acknowledged = stuck.acknowledged.expect("acknowledged bytes");
        assert!(acknowledged > 0);
        // Once it reads, the count moves.
        client.set_nonblocking(true).expect("nonblocking");
        let mut room = vec![0; 65536];
        within(LONG, "progress", || {
            while client.read(&mut room).is_ok_and(|read| read > 0) {}
            let now = peer_of(&client, &mut sockets, port);
            (now.acknowledged > Some(acknowledged)).then_some(())
        });
    });
}

#[test]
fn a_thousand_sockets_are_scanned_and_destroyed() {
    in_namespace(|| {
        // All tests of this process share it, so it is raised and never lowered.
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).expect("many files");
        let listening = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listening.local_addr().expect("its address");
        let held: Vec<_> =
            (0..1000).map(|_| (connect(address), listening.accept().expect("accept"))).collect();
        let mut sockets = Sockets::open().expect("sock_diag");
        let begin = Instant::now();
        let found = sockets.connected(address.port()).expect("a scan");
        let took = begin.elapsed();
        assert_eq!(found.len(), held.len());
        println!("1000 sockets in {took:?}");
        let begin = Instant::now();
        for socket in &found {
            sockets.destroy(socket).expect("destroy");
        }
        println!("destroyed in {:?}", begin.elapsed());
        assert!(sockets.connected(address.port()).expect("a scan").is_empty());
    });
}

#[test]
fn open_closing_and_all_other_states_are_told_apart() {
    let states = || (0..=13).map(State::from_kernel);
    let open: Vec<_> = states().filter(|state| state.is_open()).collect();
    let closing: Vec<_> = states().filter(|state| state.is_closing()).collect();
    use State::{CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, SynReceived};
    assert_eq!(open, [Established, SynReceived, CloseWait, SynReceived]);
    assert_eq!(closing, [FinWait1, FinWait2, LastAck, Closing]);
}
