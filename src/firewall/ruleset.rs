//! The nftables tables of a cordon and of its twin as plain data, with the nft syntax of each
//! rule beside it (ARCHITECTURE.md, "Why the table is as it is"). Nothing here talks to the
//! kernel.

use super::expression::{self as expr, Expr};
use super::names::{ChainName, Family, SetName, table_name, twin_table_name};
use super::sets::{SetSpec, sets};
use crate::cordon::{Cordon, DEFAULT_RAMP_RATE, Ramp, Verdict};
use std::time::Duration;

/// Before conntrack (-200) and DNAT (-100), and before `raw` (-300).
const BEFORE_EVERYTHING: i32 = -310;
/// After source NAT on the way in (100) and after every filter.
const AFTER_NAT: i32 = 310;
/// Resets a second; remote packets beyond that are dropped.
const RESET_RATE: u64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookSpec {
    pub hook: nftnl::Hook,
    pub priority: i32,
}

/// One chain with its rules in order.
#[derive(Debug, Clone)]
pub struct ChainSpec {
    pub name: ChainName,
    /// `None` for a chain that only other chains lead to.
    pub hook: Option<HookSpec>,
    pub rules: Vec<RuleSpec>,
}

#[derive(Debug, Clone)]
pub struct RuleSpec {
    /// The rule in nft's syntax, for errors.
    pub syntax: String,
    pub expressions: Vec<Expr>,
    pub comment: Option<String>,
}

/// A whole table without elements.
#[derive(Debug, Clone)]
pub struct Ruleset {
    pub table: String,
    pub sets: Vec<SetSpec>,
    pub chains: Vec<ChainSpec>,
}

/// Which packets a table looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Looks {
    /// The cordon: every packet to the port.
    EveryPacket,
    /// The twin: the first packet of a connection, one step behind the cordon.
    FirstSyn,
}

impl Looks {
    /// What its rules match besides the port, as nft syntax with a blank behind it and as
    /// expressions.
    fn condition(self) -> (&'static str, Vec<Expr>) {
        match self {
            Self::EveryPacket => ("", Vec::new()),
            Self::FirstSyn => ("tcp flags & (syn | ack) == syn ", expr::first_syn()),
        }
    }

    /// The priority of a base chain, given the cordon's.
    fn priority(self, of_cordon: i32) -> i32 {
        match self {
            Self::EveryPacket => of_cordon,
            // Still before conntrack and NAT, or after NAT.
            Self::FirstSyn => of_cordon + 1,
        }
    }
}

impl Ruleset {
    /// The table of a cordon.
    pub fn of(cordon: &Cordon) -> Self {
        let looks = Looks::EveryPacket;
        Self {
            table: table_name(cordon.port),
            sets: sets(cordon),
            chains: vec![
                closed(cordon, looks),
                ramping(cordon.ramp),
                outer(looks),
                fragments(),
                gate(cordon.port, looks),
                inner(cordon.port, looks),
            ],
        }
    }

    /// The guard's table: the part of the cordon that keeps new connections out.
    pub fn twin_of(cordon: &Cordon) -> Self {
        use SetName::{Armed, Pass, Window};
        let looks = Looks::FirstSyn;
        let mut sets = sets(cordon);
        sets.retain(|set| matches!(set.name, Window | Armed | Pass(_)));
        Self {
            table: twin_table_name(cordon.port),
            sets,
            chains: vec![
                closed(cordon, looks),
                outer(looks),
                fragments(),
                gate(cordon.port, looks),
                inner(cordon.port, looks),
            ],
        }
    }
}

impl ChainSpec {
    fn new(name: ChainName) -> Self {
        Self { name, hook: None, rules: Vec::new() }
    }

    fn base(name: ChainName, hook: nftnl::Hook, priority: i32) -> Self {
        Self { hook: Some(HookSpec { hook, priority }), ..Self::new(name) }
    }

    /// Appends a rule, given in nft's syntax and as the parts it consists of.
    fn rule(
        &mut self,
        syntax: impl Into<String>,
        parts: impl IntoIterator<Item = Vec<Expr>>,
    ) -> &mut RuleSpec {
        self.rules.push(RuleSpec {
            syntax: syntax.into(),
            expressions: parts.into_iter().flatten().collect(),
            comment: None,
        });
        let last = self.rules.len() - 1;
        &mut self.rules[last]
    }

    /// Appends the rules that let local clients and those on the pass list through.
    fn let_in(&mut self) {
        self.rule(
            "iif lo fib saddr type local accept",
            [expr::from_loopback(), expr::source_local(), expr::accept()],
        );
        for family in Family::BOTH {
            let (ip, pass) = (expr::keyword(family), SetName::Pass(family));
            self.rule(
                format!("{ip} saddr @{pass} accept"),
                [expr::source(family), expr::in_set(pass), expr::accept()],
            );
        }
    }
}

impl RuleSpec {
    fn comment(&mut self, comment: Option<String>) {
        self.comment = comment;
    }
}

/// What happens to a packet while the port is closed. The user's reason is the comment of the
/// rule that drops.
fn closed(cordon: &Cordon, looks: Looks) -> ChainSpec {
    let mut chain = ChainSpec::new(ChainName::Cordon);
    chain.let_in();
    let drop = [expr::counter(), expr::drop()];
    if looks == Looks::FirstSyn {
        chain.rule("counter drop", drop);
        return chain;
    }
    for family in Family::BOTH {
        let (ip, flows) = (expr::keyword(family), SetName::Flows(family));
        chain.rule(
            format!("tcp flags & syn == 0 {ip} saddr . tcp sport @{flows} accept"),
            [expr::no_syn(), expr::flow(family), expr::in_set(flows), expr::accept()],
        );
    }
    chain.rule(
        "tcp flags & syn == 0 tcp dport @farewell accept",
        [expr::no_syn(), expr::port_loaded(), expr::in_set(SetName::Farewell), expr::accept()],
    );
    for family in Family::BOTH {
        let (ip, knocks) = (expr::keyword(family), SetName::Knocks(family));
        chain.rule(
            format!("update @{knocks} {{ {ip} saddr counter }}"),
            [expr::source(family), expr::count_in(knocks)],
        );
    }
    if cordon.verdict == Verdict::Reset {
        chain.rule(
            "limit rate 1000/second burst 1000 packets counter reject with tcp reset",
            [expr::tcp(), expr::below(RESET_RATE), expr::counter(), expr::reject_with_reset()],
        );
    }
    chain.rule("counter drop", drop).comment(cordon.reason.as_ref().map(ToString::to_string));
    chain
}

/// What happens to a new connection in the ramp. Without a ramp its set stays empty, and no
/// packet gets here.
fn ramping(ramp: Option<Ramp>) -> ChainSpec {
    let rate = ramp.map_or(DEFAULT_RAMP_RATE, |ramp| ramp.per_second);
    let mut chain = ChainSpec::new(ChainName::Ramping);
    chain.let_in();
    chain
        .rule(
            format!("limit rate over {rate}/second burst {rate} packets drop"),
            [expr::over(rate.into()), expr::drop()],
        )
        .comment(ramp.map(ramp_comment));
    chain
}

/// Before NAT, a packet to the port may be meant for another host: only local destinations
/// are blocked.
fn outer(looks: Looks) -> ChainSpec {
    let mut chain = ChainSpec::new(ChainName::Outer);
    chain.rule(
        "tcp dport @window fib daddr type local goto cordon",
        [
            expr::to_port_in(SetName::Window),
            expr::destination_local(),
            expr::goto(ChainName::Cordon),
        ],
    );
    if looks == Looks::EveryPacket {
        chain.rule("tcp dport @window accept", [expr::to_port_in(SetName::Window), expr::accept()]);
        chain.rule(
            "tcp dport @ramp fib daddr type local tcp flags & (syn | ack) == syn goto ramping",
            [
                expr::to_port_in(SetName::Ramp),
                expr::destination_local(),
                expr::first_syn(),
                expr::goto(ChainName::Ramping),
            ],
        );
    }
    chain
}

/// Drops an IPv6 fragment in which no port can be seen.
fn fragments() -> ChainSpec {
    let mut chain = ChainSpec::new(ChainName::Fragments);
    chain.rule("meta l4proto != tcp return", [expr::not_tcp(), expr::ret()]);
    chain.rule("tcp dport != 0 return", [expr::port_readable(), expr::ret()]);
    chain.rule("fib daddr type != local return", [expr::destination_not_local(), expr::ret()]);
    chain.rule("counter drop", [expr::counter(), expr::drop()]);
    chain
}

/// Sees packets before any other table does.
fn gate(port: u16, looks: Looks) -> ChainSpec {
    let (syntax, condition) = looks.condition();
    let priority = looks.priority(BEFORE_EVERYTHING);
    let mut chain = ChainSpec::base(ChainName::Gate, nftnl::Hook::PreRouting, priority);
    chain.rule(
        format!("tcp dport {port} {syntax}goto outer"),
        [expr::to_port(port), condition, expr::goto(ChainName::Outer)],
    );
    chain.rule(
        "meta nfproto @armed frag frag-off 0 jump shards",
        [expr::armed_family(), expr::first_fragment(), expr::jump(ChainName::Fragments)],
    );
    chain
}

/// Sees packets that another table has redirected to the port.
fn inner(port: u16, looks: Looks) -> ChainSpec {
    let (syntax, condition) = looks.condition();
    let priority = looks.priority(AFTER_NAT);
    let mut chain = ChainSpec::base(ChainName::Inner, nftnl::Hook::In, priority);
    chain.rule(
        format!("tcp dport {port} {syntax}tcp dport @window goto cordon"),
        [
            expr::to_port(port),
            condition,
            expr::port_loaded(),
            expr::in_set(SetName::Window),
            expr::goto(ChainName::Cordon),
        ],
    );
    chain
}

/// The comment that keeps a ramp's length: after the window nothing else in the kernel
/// tells it.
fn ramp_comment(ramp: Ramp) -> String {
    format!("ramp of {} ms", ramp.length.as_millis())
}

/// Reads a comment that [`ramp_comment`] has written.
pub fn ramp_length(comment: &str) -> Option<Duration> {
    let milliseconds = comment.strip_prefix("ramp of ")?.strip_suffix(" ms")?;
    Some(Duration::from_millis(milliseconds.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::ffi::{message_bytes, rule_text};
    use super::super::transaction::{build_rule, chain, table};
    use super::*;
    use crate::cordon::{Identity, PassList, Phase};
    use std::time::SystemTime;

    /// The words behind `@`, `goto` and `jump` of a rule's syntax.
    fn names(syntax: &str) -> Vec<String> {
        let words: Vec<&str> = syntax.split(' ').collect();
        let name = |pair: &[&str]| match pair {
            ["goto" | "jump", chain] => Some(format!("-> {chain} ")),
            [_, set] => set.strip_prefix('@').map(|set| format!("set {set} ")),
            _ => None,
        };
        words.windows(2).filter_map(name).collect()
    }

    #[test]
    fn the_syntax_of_each_rule_names_the_sets_and_chains_of_its_expressions() {
        let cordon = Cordon {
            port: 5432,
            identity: Identity::new(1, SystemTime::UNIX_EPOCH, "ops", 0),
            phase: Phase::Closed,
            length: Duration::from_secs(60),
            ramp: None,
            farewell: Duration::ZERO,
            verdict: Verdict::Reset,
            pass: PassList::default(),
            spared: Vec::new(),
            closing: Vec::new(),
            reason: None,
        };
        for ruleset in [Ruleset::of(&cordon), Ruleset::twin_of(&cordon)] {
            let table = table(&ruleset.table);
            for spec in &ruleset.chains {
                let chain = chain(spec.name, &table);
                for rule in &spec.rules {
                    let bytes = message_bytes(&build_rule(&chain, rule), nftnl::MsgType::Add);
                    let text = rule_text(&bytes).unwrap();
                    for name in names(&rule.syntax) {
                        assert!(text.contains(&name), "{name}in {text}");
                    }
                }
            }
        }
    }
}
