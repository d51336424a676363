//! The guard's twin of a cordon: a second table that nobody but the guard can remove, since
//! it carries the owner flag. It keeps new connections out in the moment between a foreign
//! flush and the guard's answer to it.
//!
//! It stands behind the cordon, which sees every packet first and counts it. Only the first
//! packet of a connection is looked at: whoever is connected is the cordon's own business.

use super::element::pass_elements;
use super::expression as is;
use super::nftables::block;
use super::ruleset::{ChainSpec, HookSpec, RuleSpec, Ruleset, SetSpec};
use super::transaction::Transaction;
use super::{FirewallError, ruleset};
use crate::cordon::{Cordon, PassList};
use crate::sys::netlink::Link;
use std::time::Duration;

/// Behind the cordon's own chains, and before conntrack and NAT, or behind NAT.
const BEHIND: i32 = 1;

/// The twin of one port's cordon; gone when this value is dropped, or with the process.
pub struct Twin {
    link: Link,
    port: u16,
}

impl Twin {
    /// Raises the twin of a cordon. It ends with the cordon's window by itself.
    ///
    /// # Errors
    /// A kernel before 5.12 does not know owned tables; any other refusal.
    pub fn raise(cordon: &Cordon) -> Result<Self, FirewallError> {
        let mut link = Link::open(mnl::Bus::Netfilter).map_err(FirewallError::Open)?;
        let ruleset = table_of(cordon);
        let mut transaction = Transaction::new();
        transaction.create_owned_table(&ruleset.table);
        transaction.fill(&ruleset);
        let (pass4, pass6) = pass_elements(&cordon.pass);
        transaction.add_elements(&ruleset.table, "pass4", &pass4);
        transaction.add_elements(&ruleset.table, "pass6", &pass6);
        let (window, armed) = block(cordon.port, None, cordon.length);
        transaction.add_elements(&ruleset.table, "armed", &[armed]);
        transaction.add_elements(&ruleset.table, "window", &[window]);
        transaction.commit_on(&mut link)?;
        let port = cordon.port;
        Ok(Self { link, port })
    }

    /// The twin ends so long from now.
    ///
    /// # Errors
    /// The firewall's word; then it is what it was.
    pub fn end_in(&mut self, remaining: Duration) -> Result<(), FirewallError> {
        let table = name(self.port);
        let (window, armed) = block(self.port, None, remaining);
        let mut transaction = Transaction::new();
        transaction.replace_elements(&table, "armed", &[armed]);
        transaction.replace_elements(&table, "window", &[window]);
        transaction.commit_on(&mut self.link)
    }

    /// These addresses pass.
    ///
    /// # Errors
    /// The firewall's word; then it is what it was.
    pub fn pass(&mut self, pass: &PassList) -> Result<(), FirewallError> {
        let table = name(self.port);
        let (pass4, pass6) = pass_elements(pass);
        let mut transaction = Transaction::new();
        transaction.replace_elements(&table, "pass4", &pass4);
        transaction.replace_elements(&table, "pass6", &pass6);
        transaction.commit_on(&mut self.link)
    }
}

/// The name of the twin's table.
fn name(port: u16) -> String {
    format!("{}_guard", ruleset::table_name(port))
}

/// The twin without its elements.
fn table_of(cordon: &Cordon) -> Ruleset {
    Ruleset {
        table: name(cordon.port),
        sets: sets(cordon),
        chains: chains(),
        rules: rules(cordon.port),
    }
}

/// Those of the cordon that the twin's rules look at.
fn sets(cordon: &Cordon) -> Vec<SetSpec> {
    let mut sets = ruleset::sets(cordon);
    sets.retain(|set| matches!(set.name, "window" | "armed" | "pass4" | "pass6"));
    sets
}

/// Those of the cordon, a step behind them.
fn chains() -> Vec<ChainSpec> {
    let mut chains = ruleset::chains();
    chains.retain(|chain| chain.name != "ramping");
    for chain in &mut chains {
        chain.hook = chain.hook.map(|at| HookSpec {
            priority: at.priority + BEHIND,
            ..at
        });
    }
    chains
}

fn rules(port: u16) -> Vec<RuleSpec> {
    let rule = |chain, syntax: &str, parts: Vec<Vec<super::ffi::Expr>>| RuleSpec {
        chain,
        syntax: syntax.to_owned(),
        expressions: ruleset::all(parts),
        comment: None,
    };
    let mut rules = ruleset::let_in("cordon");
    rules.extend([
        rule("cordon", "counter drop", vec![is::counter(), is::drop()]),
        rule(
            "outer",
            "tcp dport @window fib daddr type local goto cordon",
            vec![
                is::to_port_in("window"),
                is::destination_local(),
                is::goto(c"cordon"),
            ],
        ),
        rule(
            "gate",
            &format!("tcp dport {port} tcp flags & (syn | ack) == syn goto outer"),
            vec![is::to_port(port), is::first_syn(), is::goto(c"outer")],
        ),
        rule(
            "gate",
            "meta nfproto @armed frag frag-off 0 jump shards",
            vec![
                is::armed_family(),
                is::first_fragment(),
                is::jump(c"shards"),
            ],
        ),
        rule(
            "inner",
            &format!(
                "tcp dport {port} tcp flags & (syn | ack) == syn tcp dport @window goto cordon"
            ),
            vec![
                is::to_port(port),
                is::first_syn(),
                is::port_loaded(),
                is::in_set("window"),
                is::goto(c"cordon"),
            ],
        ),
    ]);
    rules.extend(ruleset::shards());
    rules
}
