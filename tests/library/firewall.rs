//! Cordons in the nftables of a network namespace: what is written comes back from the kernel.

use crate::clients::net::in_namespace;
use pgcordon::testing::cordon::{ClosingFlow, Cordon, Identity, PassList, Phase, Verdict};
use pgcordon::testing::firewall::{Detail, Firewall, Nftables};
use std::process::Command;
use std::time::{Duration, SystemTime};

const MINUTE: Duration = Duration::from_secs(60);

fn cordon(pass: PassList) -> Cordon {
    Cordon {
        port: 5432,
        identity: Identity::new(1, SystemTime::UNIX_EPOCH, "ops", 0),
        phase: Phase::Closed,
        length: MINUTE,
        ramp: None,
        farewell: Duration::ZERO,
        verdict: Verdict::Reset,
        pass,
        spared: Vec::new(),
        closing: Vec::new(),
        reason: None,
    }
}

fn pass(networks: &[&str]) -> PassList {
    PassList::new(networks.iter().map(|network| network.parse().unwrap())).unwrap()
}

/// Raises a cordon in the calling thread's namespace and reads it.
fn there_and_back(cordon: &Cordon) -> Cordon {
    Nftables.raise(std::slice::from_ref(cordon), &[]).unwrap();
    let table = Nftables.read(cordon.port, Detail::Whole).unwrap().expect("the port's table");
    assert_eq!(table.faults, Vec::<String>::new());
    table.window.expect("the window in force").cordon
}

#[test]
fn a_pass_list_survives_the_kernels_form() {
    for networks in [
        &["10.0.0.0/31", "10.0.0.2/32", "10.0.0.4/32", "192.0.2.0/24"][..],
        &["255.255.255.255/32", "0.0.0.0/32"],
        &["2001:db8::/32", "ffff::/16", "::1/128"],
        &[],
    ] {
        let list = pass(networks);
        in_namespace(move || assert_eq!(there_and_back(&cordon(list.clone())).pass, list));
    }
}

#[test]
fn neighbours_that_do_not_merge_into_one_network_are_one_interval() {
    in_namespace(|| {
        there_and_back(&cordon(pass(&["10.0.0.0/31", "10.0.0.2/32"])));
        let mut nft = Command::new("nft");
        let listed = nft.args(["list", "set", "inet", "pgcordon_5432", "pass4"]).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout);
        assert!(listed.contains("elements = { 10.0.0.0-10.0.0.2 }"), "{listed}");
    });
}

#[test]
fn a_list_that_no_single_message_holds_is_written_whole() {
    let every_other = (0..20_000_u32).map(|n| std::net::Ipv4Addr::from_bits(n * 2).into());
    let list = PassList::new(every_other.map(|address: std::net::IpAddr| address.into())).unwrap();
    in_namespace(move || assert_eq!(there_and_back(&cordon(list.clone())).pass, list));
}

#[test]
fn flows_of_both_families_come_back() {
    in_namespace(|| {
        let flows = |port| {
            ["203.0.113.7", "2001:db8::7"].map(|ip| (ip.parse::<std::net::IpAddr>().unwrap(), port))
        };
        let spared = flows(43000).map(Into::into).to_vec();
        let closing = flows(43001).map(|client| client.into());
        let written = Cordon {
            spared: spared.clone(),
            closing: closing.map(|client| ClosingFlow { client, remaining: MINUTE }).to_vec(),
            ..cordon(PassList::default())
        };
        let read = there_and_back(&written);
        assert_eq!(read.spared, spared);
        assert_eq!(read.closing.iter().map(|flow| flow.client).collect::<Vec<_>>(), closing);
    });
}
