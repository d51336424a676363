//! The guard's twin of a cordon: a second table that nobody but the guard can remove, since
//! it carries the owner flag. It keeps new connections out in the moment between a foreign
//! flush and the guard's answer to it.
//!
//! It stands behind the cordon, which sees every packet first and counts it. Only the first
//! packet of a connection is looked at: whoever is connected is the cordon's own business.

use super::FirewallError;
use super::element::pass_elements;
use super::names::twin_table_name;
use super::nftables::block;
use super::ruleset::Ruleset;
use super::transaction::Transaction;
use crate::cordon::{Cordon, PassList};
use crate::sys::netlink::Link;
use std::time::Duration;

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

    /// The twin ends so long from now.
    ///
    /// # Errors
    /// The firewall's word; then it is what it was.
    pub fn end_in(&mut self, remaining: Duration) -> Result<(), FirewallError> {
        let table = twin_table_name(self.port);
        let mut transaction = Transaction::new();
        for (set, element) in block(self.port, None, remaining) {
            transaction.replace_elements(&table, set, &[element]);
        }
        transaction.commit_on(&mut self.link)
    }

    /// These addresses pass.
    ///
    /// # Errors
    /// The firewall's word; then it is what it was.
    pub fn pass(&mut self, pass: &PassList) -> Result<(), FirewallError> {
        let table = twin_table_name(self.port);
        let mut transaction = Transaction::new();
        for (set, elements) in pass_elements(pass) {
            transaction.replace_elements(&table, set, &elements);
        }
        transaction.commit_on(&mut self.link)
    }
}
