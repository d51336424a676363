//! Any valid policy survives being written and read again, and what is no text is not taken for one.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use pgcordon::testing::cordon::{
    CancelTime, DrainTime, Interface, Name, Network, OnExpiry, Port, RampLength, Rate, Reason,
    Verdict, WindowLength,
};
use pgcordon::testing::policy::{
    Allow, Drain, Given, Policy, Ramp, Run, Setting, Shown, Sources, Spare, explain, parse,
};
use pgcordon::testing::postgres::Access;
use proptest::collection::{hash_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde_json::Value;

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

#[test]
fn a_tag_is_refused_wherever_it_stands() {
    for (text, place) in [
        ("reason: !foo bar\n", "2:9: reason: "),
        ("spare:\n  roles: [backup, !foo bar]\n", "3:19: spare.roles[1]: "),
        ("drain: !foo {farewell: 2s}\n", "2:8: drain: "),
        ("!foo reason: bar\n", "2:1: "),
    ] {
        let fault = parse(&format!("version: 1\n{text}")).unwrap_err().to_string();
        assert!(fault.starts_with(place) && fault.contains("a policy has no tags"), "{fault}");
    }
    parse("version: 1\nreason: \"!foo bar\"\n").unwrap();
}

#[test]
fn what_is_no_text_does_not_stand_for_one() {
    for (text, fault) in [
        ("spare: {roles: [1]}\n", "2:17: spare.roles[0]: `1` is a number; "),
        ("spare: {databases: [true]}\n", "2:21: spare.databases[0]: `true` is true or false; "),
        ("allow: {interfaces: [10]}\n", "2:22: allow.interfaces[0]: `10` is a number; "),
        ("reason: 1.5\n", "2:9: reason: `1.5` is a number; "),
        ("description: 1\n", "2:14: description: `1` is a number; "),
        ("allow: {addresses_file: 1}\n", "2:25: allow.addresses_file: `1` is a number; "),
        ("postgres: {passfile: false}\n", "2:22: postgres.passfile: `false` is true or false; "),
    ] {
        let told = parse(&format!("version: 1\n{text}")).unwrap_err().to_string();
        assert_eq!(told, format!("{fault}where text is meant, put it into quotes"));
    }
    let told = parse("version: 1\nspare: {roles: [~]}\n").unwrap_err().to_string();
    assert_eq!(told, "2:17: spare.roles[0]: there is no value here; text is wanted");
    parse("version: 1\nports: [5432]\nspare: {roles: ['1', '~', 'true']}\nreason: '1.5'\n")
        .unwrap();
}

#[test]
fn what_the_help_calls_the_default_is_what_is_built_in() {
    for Setting { key, shown, default } in explain(&Sources::default()) {
        match shown {
            Shown::One(Given { value: Value::Null, .. }) => {}
            Shown::One(Given { value, .. }) => {
                let text = match value {
                    Value::String(text) => text,
                    Value::Array(list) => list[0].to_string(),
                    other => other.to_string(),
                };
                assert_eq!(text, default, "{key}");
            }
            Shown::List(list) => assert_eq!(list, [], "{key}"),
        }
    }
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let policy = parse("\u{feff}version: 1\nwindow: 5s\n").unwrap();
    assert_eq!(policy, parse("version: 1\nwindow: 5s\n").unwrap());
    let fault = parse("\u{feff}version: 1\nwindwo: 5s\n").unwrap_err();
    assert!(fault.to_string().starts_with("2:1"), "{fault}");
}
