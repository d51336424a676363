//! Addresses and networks that may pass.

use pgcordon::testing::cordon::{PassError, PassList};

fn list(networks: &[&str]) -> PassList {
    PassList::new(networks.iter().map(|n| n.parse().unwrap())).unwrap()
}

fn shown(list: &PassList) -> Vec<String> {
    list.networks().map(|n| n.to_string()).collect()
}

#[test]
fn overlaps_and_neighbours_are_merged() {
    let halves = list(&["10.0.0.0/25", "10.0.0.128/25"]);
    let more = ["10.0.0.7/32", "2001:db8::1/128"].map(|n| n.parse().unwrap());
    let merged = halves.with(more).unwrap();
    assert_eq!(shown(&merged), ["10.0.0.0/24", "2001:db8::1/128"]);
}

#[test]
fn membership_follows_the_networks_and_unmaps_addresses() {
    let pass = list(&["10.0.0.0/24", "10.2.0.0/16", "2001:db8::/64"]);
    for inside in ["10.0.0.255", "10.2.3.4", "::ffff:10.0.0.1", "2001:db8::9"] {
        assert!(pass.contains(inside.parse().unwrap()), "{inside}");
    }
    for outside in ["10.0.1.0", "9.255.255.255", "10.3.0.0", "2001:db8:0:1::"] {
        assert!(!pass.contains(outside.parse().unwrap()), "{outside}");
    }
}

#[test]
fn mapped_networks_are_ipv4_networks() {
    let network = PassList::parse_network("::ffff:203.0.113.0/120").unwrap();
    assert_eq!(network.to_string(), "203.0.113.0/24");
}

#[test]
fn taking_an_address_out_splits_its_network() {
    let rest = list(&["10.0.0.0/30"]).without(["10.0.0.1/32".parse().unwrap()]).unwrap();
    assert_eq!(shown(&rest), ["10.0.0.0/32", "10.0.0.2/31"]);
}

#[test]
fn a_list_that_covers_everything_is_refused_even_in_halves() {
    let halves = ["0.0.0.0/1", "128.0.0.0/1"].map(|n| n.parse().unwrap());
    let all = PassError::Everything("0.0.0.0/0".to_owned());
    assert_eq!(PassList::new(halves), Err(all));
    let all = PassError::Everything("::/0".to_owned());
    assert_eq!(PassList::parse_network("::/0"), Err(all));
}

#[test]
fn ranges_of_the_kernel_come_back_as_networks() {
    let range = ("10.0.0.0".parse().unwrap(), "10.0.0.2".parse().unwrap());
    let pass = PassList::from_ranges([range]).unwrap();
    assert_eq!(shown(&pass), ["10.0.0.0/31", "10.0.0.2/32"]);
}
