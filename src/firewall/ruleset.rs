//! What a cordon is in nftables: the table of DESIGN.md section 4 as plain data, each rule
//! under its own nft syntax. Nothing here talks to the kernel.

use super::expression::{self as is, Family};
use super::ffi::Expr;
use super::ramp_note::ramp_comment;
use crate::cordon::{Cordon, DEFAULT_RAMP_RATE, Verdict};
use std::time::Duration;

/// Before conntrack (-200) and DNAT (-100), and before `raw` (-300).
const BEFORE_EVERYTHING: i32 = -310;
/// Behind NAT on the way in (100) and every filter.
const AFTER_NAT: i32 = 310;
/// How long a source address is remembered after its last knock.
const KNOCKS_KEPT: Duration = Duration::from_secs(60 * 60);
/// Resets a second; more remote packets than that are dropped.
const RESET_RATE: u64 = 1000;

/// The key of a set: nft's data type number and its length in bytes. Numbers as in
/// nft's `datatype.h`; a concatenation shifts by six bits and pads parts to four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// nft's number of the type.
    pub kind: u32,
    /// Bytes.
    pub length: u32,
}

const PROTOCOL_FAMILY: Key = Key { kind: 2, length: 1 };
const IPV4: Key = Key { kind: 7, length: 4 };
const IPV6: Key = Key {
    kind: 8,
    length: 16,
};
const PORT: Key = Key {
    kind: 13,
    length: 2,
};
const IPV4_AND_PORT: Key = Key {
    kind: 7 << 6 | 13,
    length: 8,
};
const IPV6_AND_PORT: Key = Key {
    kind: 8 << 6 | 13,
    length: 20,
};

/// Flags of a set, `NFT_SET_*`.
pub mod flag {
    /// Holds intervals.
    pub const INTERVAL: u32 = 0x4;
    /// Elements may time out.
    pub const TIMEOUT: u32 = 0x10;
    /// Rules may add elements.
    pub const DYNAMIC: u32 = 0x20;
}

/// One set, without its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetSpec {
    /// Its name.
    pub name: &'static str,
    /// What its elements are.
    pub key: Key,
    /// See [`flag`].
    pub flags: u32,
    /// The timeout of elements that bring none.
    pub timeout: Option<Duration>,
}

/// Where a base chain is hooked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookSpec {
    /// The hook.
    pub hook: nftnl::Hook,
    /// Its priority.
    pub priority: i32,
}

/// One chain, without its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSpec {
    /// Its name.
    pub name: &'static str,
    /// `None` for a chain that only other chains lead to.
    pub hook: Option<HookSpec>,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct RuleSpec {
    /// The chain it stands in.
    pub chain: &'static str,
    /// What it says in nft's syntax; names the rule in errors.
    pub syntax: String,
    /// What it says to the kernel.
    pub expressions: Vec<Expr>,
    /// Its comment.
    pub comment: Option<String>,
}

/// A whole table.
#[derive(Debug, Clone)]
pub struct Ruleset {
    /// Its name.
    pub table: String,
    /// Its sets.
    pub sets: Vec<SetSpec>,
    /// Its chains; a chain stands before those that lead to it.
    pub chains: Vec<ChainSpec>,
    /// Its rules in order.
    pub rules: Vec<RuleSpec>,
}

/// The name of a port's table.
#[must_use]
pub fn table_name(port: u16) -> String {
    format!("pgcordon_{port}")
}

/// The port of a table's name; `None` if it is not one of ours.
#[must_use]
pub fn table_port(name: &str) -> Option<u16> {
    let port: u16 = name.strip_prefix("pgcordon_")?.parse().ok()?;
    (port != 0 && table_name(port) == name).then_some(port)
}

impl Ruleset {
    /// The table of a cordon, without elements.
    #[must_use]
    pub fn of(cordon: &Cordon) -> Self {
        Self {
            table: table_name(cordon.port),
            sets: sets(cordon),
            chains: chains(),
            rules: rules(cordon),
        }
    }
}

pub(super) fn sets(cordon: &Cordon) -> Vec<SetSpec> {
    let length = cordon.length;
    let farewell = cordon.farewell.max(Duration::from_millis(1));
    let timed = |name, key, timeout| SetSpec {
        name,
        key,
        flags: flag::TIMEOUT,
        timeout,
    };
    let pass = |name, key| SetSpec {
        name,
        key,
        flags: flag::INTERVAL,
        timeout: None,
    };
    // A set that a rule adds to gets `size 65535` from the kernel; named here, it would be
    // allocated at once (2 MiB for both), and walked at each reading. The rule that counts
    // stops at that size, the one that drops does not.
    let knocks = |name, key| SetSpec {
        name,
        key,
        flags: flag::TIMEOUT | flag::DYNAMIC,
        timeout: Some(KNOCKS_KEPT),
    };
    vec![
        timed("window", PORT, Some(length)),
        timed("armed", PROTOCOL_FAMILY, Some(length)),
        timed("farewell", PORT, Some(farewell)),
        timed("ramp", PORT, Some(cordon.whole_length())),
        pass("pass4", IPV4),
        pass("pass6", IPV6),
        timed("flows4", IPV4_AND_PORT, Some(length)),
        timed("flows6", IPV6_AND_PORT, Some(length)),
        knocks("knocks4", IPV4),
        knocks("knocks6", IPV6),
    ]
}

pub(super) fn chains() -> Vec<ChainSpec> {
    let inner = |name| ChainSpec { name, hook: None };
    let base = |name, hook, priority| ChainSpec {
        name,
        hook: Some(HookSpec { hook, priority }),
    };
    vec![
        inner("cordon"),
        inner("ramping"),
        inner("outer"),
        inner("shards"),
        base("gate", nftnl::Hook::PreRouting, BEFORE_EVERYTHING),
        base("inner", nftnl::Hook::In, AFTER_NAT),
    ]
}

/// Joins the parts of a rule.
pub(super) fn all(parts: impl IntoIterator<Item = Vec<Expr>>) -> Vec<Expr> {
    parts.into_iter().flatten().collect()
}

fn rules(cordon: &Cordon) -> Vec<RuleSpec> {
    use Family::{V4, V6};
    let port = cordon.port;
    // Where there is no ramp the set stays empty, and the rule is never reached.
    let rate = cordon
        .ramp
        .map_or(DEFAULT_RAMP_RATE, |ramp| ramp.per_second);
    // They stand first in their chains.
    let mut rules = let_in("cordon");
    rules.extend(let_in("ramping"));
    let mut rule = |chain, syntax: &str, parts: Vec<Vec<Expr>>| {
        rules.push(RuleSpec {
            chain,
            syntax: syntax.to_owned(),
            expressions: all(parts),
            comment: None,
        });
    };

    rule(
        "cordon",
        "tcp flags & syn == 0 ip saddr . tcp sport @flows4 accept",
        vec![
            is::no_syn(),
            is::flow(V4),
            is::in_set("flows4"),
            is::accept(),
        ],
    );
    rule(
        "cordon",
        "tcp flags & syn == 0 ip6 saddr . tcp sport @flows6 accept",
        vec![
            is::no_syn(),
            is::flow(V6),
            is::in_set("flows6"),
            is::accept(),
        ],
    );
    rule(
        "cordon",
        "tcp flags & syn == 0 tcp dport @farewell accept",
        vec![
            is::no_syn(),
            is::port_loaded(),
            is::in_set("farewell"),
            is::accept(),
        ],
    );
    rule(
        "cordon",
        "update @knocks4 { ip saddr counter }",
        vec![is::source(V4), is::count_in("knocks4")],
    );
    rule(
        "cordon",
        "update @knocks6 { ip6 saddr counter }",
        vec![is::source(V6), is::count_in("knocks6")],
    );
    if cordon.verdict == Verdict::Reset {
        rule(
            "cordon",
            "limit rate 1000/second burst 1000 packets counter reject with tcp reset",
            vec![
                is::tcp(),
                is::below(RESET_RATE),
                is::counter(),
                is::reject_with_reset(),
            ],
        );
    }
    rule("cordon", "counter drop", vec![is::counter(), is::drop()]);

    rule(
        "ramping",
        &format!("limit rate over {rate}/second burst {rate} packets drop"),
        vec![is::over(rate.into()), is::drop()],
    );

    rule(
        "outer",
        "tcp dport @window fib daddr type local goto cordon",
        vec![
            is::to_port_in("window"),
            is::destination_local(),
            is::goto(c"cordon"),
        ],
    );
    rule(
        "outer",
        "tcp dport @window accept",
        vec![is::to_port_in("window"), is::accept()],
    );
    rule(
        "outer",
        "tcp dport @ramp fib daddr type local tcp flags & (syn | ack) == syn goto ramping",
        vec![
            is::to_port_in("ramp"),
            is::destination_local(),
            is::first_syn(),
            is::goto(c"ramping"),
        ],
    );

    rule(
        "gate",
        &format!("tcp dport {port} goto outer"),
        vec![is::to_port(port), is::goto(c"outer")],
    );
    rule(
        "gate",
        "meta nfproto @armed frag frag-off 0 jump shards",
        vec![
            is::armed_family(),
            is::first_fragment(),
            is::jump(c"shards"),
        ],
    );
    rule(
        "inner",
        &format!("tcp dport {port} tcp dport @window goto cordon"),
        vec![
            is::to_port(port),
            is::port_loaded(),
            is::in_set("window"),
            is::goto(c"cordon"),
        ],
    );

    rules.extend(shards());
    for rule in &mut rules {
        if rule.chain == "cordon" && rule.syntax == "counter drop" {
            rule.comment = cordon.reason.as_ref().map(ToString::to_string);
        }
        if rule.chain == "ramping" && rule.syntax.starts_with("limit") {
            rule.comment = cordon.ramp.map(ramp_comment);
        }
    }
    rules
}

/// The rules that let local clients and those on the pass list through, in whichever chain.
pub(super) fn let_in(chain: &'static str) -> Vec<RuleSpec> {
    use Family::{V4, V6};
    let rule = |syntax: &str, parts: Vec<Vec<Expr>>| RuleSpec {
        chain,
        syntax: syntax.to_owned(),
        expressions: all(parts),
        comment: None,
    };
    vec![
        rule(
            "iif lo fib saddr type local accept",
            vec![is::from_loopback(), is::source_local(), is::accept()],
        ),
        rule(
            "ip saddr @pass4 accept",
            vec![is::source(V4), is::in_set("pass4"), is::accept()],
        ),
        rule(
            "ip6 saddr @pass6 accept",
            vec![is::source(V6), is::in_set("pass6"), is::accept()],
        ),
    ]
}

/// The rules for an IPv6 fragment in which no port can be seen.
pub(super) fn shards() -> Vec<RuleSpec> {
    let rule = |syntax: &str, parts: Vec<Vec<Expr>>| RuleSpec {
        chain: "shards",
        syntax: syntax.to_owned(),
        expressions: all(parts),
        comment: None,
    };
    vec![
        rule("meta l4proto != tcp return", vec![is::not_tcp(), is::ret()]),
        rule(
            "tcp dport != 0 return",
            vec![is::port_readable(), is::ret()],
        ),
        rule(
            "fib daddr type != local return",
            vec![is::destination_not_local(), is::ret()],
        ),
        rule("counter drop", vec![is::counter(), is::drop()]),
    ]
}
