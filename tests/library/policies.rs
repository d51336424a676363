//! Any valid policy survives being written and read again.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use pgcordon::testing::cordon::{
    CancelTime, DrainTime, Interface, Name, Network, OnExpiry, Port, RampLength, Rate, Reason,
    Verdict, WindowLength,
};
use pgcordon::testing::policy::{Allow, Drain, Policy, Ramp, Run, Spare, parse};
use pgcordon::testing::postgres::Access;
use proptest::collection::{hash_set, vec};
use proptest::option::of;
use proptest::prelude::*;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// Text as people write it, and as nobody does: quotes, colons, line ends, other scripts.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        "\\PC{0,40}",
        "([a-z#:'\"\\-]{0,8}[\n ]{0,2}){0,6}",
        prop::sample::select(vec![
            "true",
            "null",
            "~",
            "1",
            "0x10",
            "1e3",
            "yes",
            "- a",
            "&a",
            "*a",
            ".inf",
            "2001:db8::"
        ])
        .prop_map(str::to_owned),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    let name = prop_oneof!["[ -~]{1,63}", "\\PC{1,15}", "(true|null|[0-9]{1,5}|~)"];
    name.prop_map(Name)
}

fn path() -> impl Strategy<Value = PathBuf> {
    "/[ -~]{0,40}".prop_map(PathBuf::from)
}

fn network() -> impl Strategy<Value = Network> {
    let v4 = (any::<[u8; 4]>(), 2..=32_u8).prop_map(|(a, n)| (IpAddr::from(a), n));
    let v6 = (any::<[u8; 16]>(), 2..=128_u8).prop_map(|(a, n)| (IpAddr::from(a), n));
    prop_oneof![v4, v6].prop_filter_map("mapped networks are IPv4's", |(address, length)| {
        let network = IpNet::new(address, length).ok()?.trunc();
        let read = pgcordon::testing::cordon::PassList::parse_network(&network.to_string()).ok()?;
        (read == network).then_some(Network(network))
    })
}

fn milliseconds(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn allow() -> impl Strategy<Value = Allow> {
    let interface = "[a-z0-9.\\-]{1,15}".prop_map(Interface);
    (
        // So few and so small that they never cover everything together.
        of(vec(network(), 0..3)),
        of(path()),
        of(vec(interface, 0..4)),
        of(any::<bool>()),
    )
        .prop_map(|(addresses, addresses_file, interfaces, replication)| Allow {
            addresses,
            addresses_file,
            interfaces,
            replication,
            entries: None,
        })
}

fn spare() -> impl Strategy<Value = Spare> {
    let names = || of(vec(name(), 1..4));
    (names(), names(), names()).prop_map(|(roles, databases, applications)| Spare {
        roles,
        databases,
        applications,
        rules: None,
    })
}

fn drain() -> impl Strategy<Value = Drain> {
    let time = || of(milliseconds(0..=DAY).prop_map(DrainTime));
    let (farewell, timeout) = (time(), time());
    let cancel_first = of(milliseconds(0..=DAY).prop_map(CancelTime));
    (farewell, timeout, cancel_first, of(any::<bool>())).prop_map(
        |(farewell, timeout, cancel_first, strict)| Drain {
            farewell,
            timeout,
            cancel_first,
            strict,
        },
    )
}

fn ramp() -> impl Strategy<Value = Ramp> {
    let length = prop_oneof![Just(Duration::ZERO), milliseconds(1000..=DAY)];
    (of(length.prop_map(RampLength)), of((1..=1_000_000_u32).prop_map(Rate)))
        .prop_map(|(length, rate)| Ramp { length, rate })
}

fn postgres() -> impl Strategy<Value = Access> {
    let host = (any::<IpAddr>(), path());
    let way = prop_oneof![
        Just((None, None, None)),
        path().prop_map(|dir| (Some(dir), None, None)),
        host.prop_map(|(host, file)| (None, Some(host), Some(file))),
    ];
    (way, of(name()), of(name())).prop_map(|((socket_dir, host, passfile), user, database)| {
        Access { socket_dir, user, database, host, passfile }
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let ports = hash_set((1..=u16::MAX).prop_map(|port| port), 1..5);
    let ports = ports.prop_map(|ports| ports.into_iter().map(Port).collect::<Vec<_>>());
    let window = of(milliseconds(1000..=DAY).prop_map(WindowLength));
    let max = of(milliseconds(DAY..=400 * DAY).prop_map(WindowLength));
    let verdict = of(prop_oneof![Just(Verdict::Drop), Just(Verdict::Reset)]);
    let on_expiry =
        of(prop_oneof![Just(OnExpiry::Warn), Just(OnExpiry::Extend), Just(OnExpiry::Kill)]);
    let reason = of("[ !#-~]{0,100}".prop_map(|text| text.parse::<Reason>().unwrap()));
    let values = (of(text()), of(ports), window, max, verdict, on_expiry, reason);
    let sections = (allow(), spare(), drain(), ramp(), postgres());
    (values, sections).prop_map(|(values, sections)| {
        let (description, ports, window, max_window, verdict, on_expiry, reason) = values;
        let (allow, spare, drain, ramp, postgres) = sections;
        Policy {
            version: 1,
            description,
            ports,
            window,
            max_window,
            verdict,
            allow,
            spare,
            drain,
            ramp,
            run: Run { on_expiry },
            postgres,
            reason,
            file: None,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_policy_survives_being_written_and_read(policy in policy()) {
        let text = serde_yaml::to_string(&policy).unwrap();
        match parse(&text) {
            Ok(read) => prop_assert_eq!(read, policy, "{}", text),
            Err(fault) => prop_assert!(false, "{} of\n{}", fault, text),
        }
    }
}
