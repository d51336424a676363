//! The guard's twin of a cordon: a second table that only the guard can remove, since it has
//! the owner flag. When another program flushes nftables, the twin keeps new connections out
//! until the guard has put the cordon back.
//!
//! The cordon sees every packet before the twin and counts it. The twin looks only at the first
//! packet of a connection; existing connections are up to the cordon.

use super::FirewallError;
use super::element::pass_elements;
use super::names::twin_table_name;
use super::nftables::block;
use super::ruleset::Ruleset;
use super::transaction::Transaction;
use crate::cordon::{Cordon, PassList};
use crate::sys::netlink::Link;
use std::time::Duration;

/// The twin of one port's cordon. It vanishes when this value is dropped or the process ends.
pub struct Twin {
    link: Link,
    port: u16,
}

impl Twin {
    /// Raises the twin of a cordon. It ends by itself when the window ends.
    ///
    /// Kernels before 5.12 refuse it: they do not know the owner flag.
    pub fn raise(cordon: &Cordon) -> Result<Self, FirewallError> {
        let mut link = Link::open(mnl::Bus::Netfilter).map_err(FirewallError::Open)?;
        let ruleset = Ruleset::twin_of(cordon);
        let mut transaction = Transaction::new();
        transaction.create_owned_table(&ruleset.table);
        transaction.fill(&ruleset);
        for (set, elements) in pass_elements(&cordon.pass) {
            transaction.add_elements(&ruleset.table, set, &elements);
        }
        for (set, element) in block(cordon.port, None, cordon.length) {
            transaction.add_elements(&ruleset.table, set, &[element]);
        }
        transaction.commit_on(&mut link)?;
        let port = cordon.port;
        Ok(Self { link, port })
    }

    /// Makes the twin end after `remaining`.
    pub fn end_in(&mut self, remaining: Duration) -> Result<(), FirewallError> {
        let table = twin_table_name(self.port);
        let mut transaction = Transaction::new();
        for (set, element) in block(self.port, None, remaining) {
            transaction.replace_elements(&table, set, &[element]);
        }
        transaction.commit_on(&mut self.link)
    }

    /// Replaces the pass list.
    pub fn pass(&mut self, pass: &PassList) -> Result<(), FirewallError> {
        let table = twin_table_name(self.port);
        let mut transaction = Transaction::new();
        for (set, elements) in pass_elements(pass) {
            transaction.replace_elements(&table, set, &elements);
        }
        transaction.commit_on(&mut self.link)
    }
}
