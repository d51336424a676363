//! The firewall that writes to and reads from the kernel's nftables.

use super::element::{Element, SPARED, pass_elements};
use super::names::SetName::{self, Armed, Farewell, Flows, Ramp, Window};
use super::names::{Family, table_name};
use super::ruleset::Ruleset;
use super::transaction::Transaction;
use super::{Change, Detail, Firewall, FirewallError, TableState, readback};
use crate::cordon::{ClosingFlow, Cordon, Identity};
use crate::sys::netlink::Link;
use nix::libc;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// nftables of the network namespace of the thread that calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nftables;

impl Nftables {
    pub fn new() -> Self {
        Self
    }

    fn link() -> Result<Link, FirewallError> {
        Link::open(mnl::Bus::Netfilter).map_err(FirewallError::Open)
    }

    /// Reads, and tries again once after a passing error: a cordon in force must not seem lost
    /// because one answer was lost. Each try has its own socket, since a dump may still be under
    /// way on the old one.
    fn reading<T>(
        read: impl Fn(&mut Link) -> Result<T, FirewallError>,
    ) -> Result<T, FirewallError> {
        match read(&mut Self::link()?) {
            Err(error) if error.is_passing() => {
                tracing::debug!(%error, "nftables is read once more");
                read(&mut Self::link()?)
            }
            other => other,
        }
    }
}

impl Firewall for Nftables {
    fn ports(&mut self) -> Result<Vec<u16>, FirewallError> {
        Self::reading(readback::ports)
    }

    fn read(&mut self, port: u16, detail: Detail) -> Result<Option<TableState>, FirewallError> {
        let table = Self::reading(|link| readback::read(link, port, detail))?;
        Ok(table.map(|table| table.state(port)))
    }

    fn raise(&mut self, cordons: &[Cordon], leftovers: &[u16]) -> Result<Instant, FirewallError> {
        let mut transaction = Transaction::new();
        leftovers.iter().for_each(|port| transaction.delete_table(*port));
        for cordon in cordons {
            let table = table_name(cordon.port);
            transaction.create(&Ruleset::of(cordon));
            for (set, elements) in pass_elements(&cordon.pass) {
                transaction.add_elements(&table, set, &elements);
            }
            let spared = spared_elements(&cordon.spared, cordon.length);
            add_flows(&mut transaction, &table, &spared);
            add_flows(&mut transaction, &table, &closing_elements(&cordon.closing));
            if !cordon.farewell.is_zero() {
                let farewell = Element::port(cordon.port, cordon.farewell);
                transaction.add_elements(&table, Farewell, &[farewell]);
            }
            if cordon.ramp.is_some() {
                let ramp = named(cordon.port, Some(&cordon.identity), cordon.whole_length());
                transaction.add_elements(&table, Ramp, &[ramp]);
            }
            if cordon.is_closed() {
                let block = block(cordon.port, Some(&cordon.identity), cordon.length);
                for (set, element) in block {
                    transaction.add_elements(&table, set, &[element]);
                }
            }
        }
        transaction.commit()?;
        Ok(Instant::now())
    }

    fn change(&mut self, changes: &[(u16, Change)]) -> Result<(), FirewallError> {
        let mut transaction = Transaction::new();
        for (port, change) in changes {
            write_change(&mut transaction, *port, change);
        }
        transaction.commit()
    }

    fn remove(&mut self, ports: &[u16]) -> Result<(), FirewallError> {
        let mut transaction = Transaction::new();
        ports.iter().for_each(|port| transaction.delete_table(*port));
        transaction.commit()
    }
}

fn write_change(transaction: &mut Transaction, port: u16, change: &Change) {
    let table = table_name(port);
    match change {
        Change::Renew(cordon) => {
            let (identity, length) = (Some(&cordon.identity), cordon.length);
            if cordon.ramp.is_some() {
                let ramp = named(port, identity, cordon.whole_length());
                transaction.replace_elements(&table, Ramp, &[ramp]);
            }
            if cordon.farewell_lasts() {
                let farewell = Element::port(port, length);
                transaction.replace_elements(&table, Farewell, &[farewell]);
            }
            if !cordon.spared.is_empty() || !cordon.closing.is_empty() {
                for family in Family::BOTH {
                    transaction.flush_set(&table, Flows(family));
                }
                let spared = spared_elements(&cordon.spared, length);
                add_flows(transaction, &table, &spared);
                add_flows(transaction, &table, &closing_elements(&cordon.closing));
            }
            for (set, element) in block(port, identity, length) {
                transaction.replace_elements(&table, set, &[element]);
            }
        }
        Change::Pass(pass) => {
            for (set, elements) in pass_elements(pass) {
                transaction.replace_elements(&table, set, &elements);
            }
        }
        Change::Farewell(length) => {
            let farewell = Element::port(port, *length);
            transaction.replace_elements(&table, Farewell, &[farewell]);
        }
        Change::Flows { spared, closing, remaining } => {
            add_flows(transaction, &table, &spared_elements(spared, *remaining));
            add_flows(transaction, &table, &closing_elements(closing));
        }
        Change::FarewellOver { closing, linger } => {
            let closing = closing.iter().map(|flow| Element::flow(*flow, *linger));
            add_flows(transaction, &table, &closing.collect::<Vec<_>>());
            transaction.flush_set(&table, Farewell);
        }
    }
}

/// The two elements that are the block, with their sets: the family of fragments, and the
/// port.
pub(super) fn block(
    port: u16,
    identity: Option<&Identity>,
    length: Duration,
) -> [(SetName, Element); 2] {
    let armed = Element::timed(&[libc::NFPROTO_IPV6 as u8], length);
    [(Armed, armed), (Window, named(port, identity, length))]
}

/// The port as an element with the identity of the window. The ramp's element has it too, since
/// the window's element expires first.
fn named(port: u16, identity: Option<&Identity>, length: Duration) -> Element {
    let mut element = Element::port(port, length);
    element.comment = identity.map(Identity::to_string);
    element
}

/// The comment tells spared flows from closing ones.
fn spared_elements(flows: &[SocketAddr], timeout: Duration) -> Vec<Element> {
    let spared = |flow: &SocketAddr| {
        let mut element = Element::flow(*flow, timeout);
        element.comment = Some(SPARED.to_owned());
        element
    };
    flows.iter().map(spared).collect()
}

fn closing_elements(flows: &[ClosingFlow]) -> Vec<Element> {
    flows.iter().map(|flow| Element::flow(flow.client, flow.remaining)).collect()
}

/// Adds flows to the set of their family, each once.
fn add_flows(transaction: &mut Transaction, table: &str, flows: &[Element]) {
    let mut flows = flows.to_vec();
    flows.sort_by(|one, other| one.key.cmp(&other.key));
    flows.dedup_by(|one, other| one.key == other.key);
    let is_v4 = |flow: &Element| flow.as_flow().is_some_and(|flow| flow.is_ipv4());
    let (v4, v6): (Vec<_>, Vec<_>) = flows.into_iter().partition(is_v4);
    transaction.add_elements(table, Flows(Family::V4), &v4);
    transaction.add_elements(table, Flows(Family::V6), &v6);
}
