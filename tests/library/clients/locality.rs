//! The kernel's routing decides who is local.

use super::net::{CLIENT, Remote, SERVER, connect, in_namespace, ip, listener};
use pgcordon::testing::clients::{InterfaceError, Locality, Sockets, interface_networks};
use std::net::{IpAddr, SocketAddrV6};

#[test]
fn local_is_what_routing_calls_local() {
    in_namespace(|| {
        let _remote = Remote::linked();
        ip("route add local 10.9.0.0/16 dev lo");
        ip("addr add 198.51.100.1/32 dev lo");
        ip("-6 route add local 2001:db8:9::/48 dev lo");
        ip("route add blackhole 192.0.2.0/26");
        ip("route add unreachable 192.0.2.64/26");
        ip("route add prohibit 192.0.2.128/26");
        ip("-6 route add blackhole 2001:db8:8::/64");
        ip("-6 route add unreachable 2001:db8:7::/64");
        let mut locality = Locality::open().expect("a routing socket");
        let mut is_local = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            locality.is_local(address, 0).expect("an answer")
        };
        for address in [
            "127.0.0.1",
            "127.9.8.7",
            "::1",
            SERVER,
            "::ffff:203.0.113.1",
            "2001:db8::1",
            "198.51.100.1",
            "10.9.200.3",
            "2001:db8:9::77",
        ] {
            assert!(is_local(address), "{address} is local");
        }
        for address in [
            CLIENT,
            "2001:db8::7",
            "::ffff:203.0.113.7",
            "10.8.0.1",        // no route at all
            "2001:db8:ffff::", // no route at all
            "192.0.2.1",       // blackhole
            "192.0.2.65",      // unreachable
            "192.0.2.129",     // prohibit
            "2001:db8:8::1",   // blackhole
            "2001:db8:7::1",   // unreachable
            "203.0.113.255",   // broadcast
        ] {
            assert!(!is_local(address), "{address} is remote");
        }
    });
}

#[test]
fn a_link_local_address_is_local_on_its_own_link_alone() {
    in_namespace(|| {
        let _remote = Remote::linked();
        ip("link add other type veth peer name otherend");
        ip("link set other addrgenmode none");
        ip("link set otherend addrgenmode none");
        ip("addr add fe80::9/64 dev other nodad");
        ip("link set other up");
        ip("link set otherend up");
        let link = nix::net::if_::if_nametoindex("link0").unwrap();
        let other = nix::net::if_::if_nametoindex("other").unwrap();
        let mut locality = Locality::open().expect("a routing socket");
        let mut is_local = |address: &str, interface| {
            let address: IpAddr = address.parse().unwrap();
            locality.is_local(address, interface).expect("an answer")
        };
        assert!(is_local("fe80::1", link));
        assert!(is_local("fe80::9", other));
        assert!(!is_local("fe80::7", link));
        assert!(!is_local("fe80::1", other), "the other link's fe80::1 is someone else");
        assert!(!is_local("fe80::9", link));
        assert!(!is_local("fe80::9", 9999), "an interface that is gone");
        // The interface counts for link-local addresses alone.
        assert!(is_local(SERVER, other));
    });
}

#[test]
fn a_client_of_the_own_link_local_address_is_local_by_its_sockets_interface() {
    in_namespace(|| {
        let _remote = Remote::linked();
        let (_listening, port) = listener();
        let link = nix::net::if_::if_nametoindex("link0").unwrap();
        let own = SocketAddrV6::new("fe80::1".parse().unwrap(), port, 0, link);
        let _client = connect(own.into());
        let mut sockets = Sockets::open().expect("sock_diag");
        let mut locality = Locality::open().expect("a routing socket");
        let found = sockets.connected(port).expect("a scan");
        assert_eq!(found.len(), 1);
        let local = locality.is_local(found[0].remote.ip(), found[0].interface);
        assert!(local.expect("an answer"), "{found:?}");
    });
}

#[test]
fn an_address_that_was_taken_away_is_not_local_any_more() {
    in_namespace(|| {
        let _remote = Remote::linked();
        let mut locality = Locality::open().expect("a routing socket");
        let own: IpAddr = SERVER.parse().unwrap();
        assert!(locality.is_local(own, 0).expect("an answer"));
        ip(&format!("addr del {SERVER}/24 dev link0"));
        locality.forget();
        assert!(!locality.is_local(own, 0).expect("an answer"));
    });
}

#[test]
fn the_networks_of_an_interface_are_those_of_its_addresses() {
    in_namespace(|| {
        let _remote = Remote::linked();
        ip("addr add 203.0.113.2/24 dev link0");
        ip("addr add 10.8.0.1 peer 10.8.0.2/32 dev link0");
        let networks = interface_networks("link0").expect("networks");
        let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.8.0.2/32", "203.0.113.0/24", "2001:db8::/64"]);

        ip("link add bare type veth peer name bareend");
        let bare = interface_networks("bare");
        assert!(matches!(bare, Err(InterfaceError::NoNetwork(_))), "{bare:?}");
        for name in ["nosuch", "", "a name that is far too long"] {
            let unknown = interface_networks(name);
            assert!(matches!(unknown, Err(InterfaceError::Unknown(_))), "{unknown:?}");
        }
    });
}
