//! Writes elements of sets as messages of a transaction, and reads them back.

use super::attributes::{self as attr, Attributes, element};
use super::ffi::Plain;
use super::names::Family::{V4, V6};
use super::names::SetName;
use crate::cordon::PassList;
use nix::libc;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// The comment of a spared flow; a closing one has no comment.
pub const SPARED: &str = "spared";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// In network order.
    pub key: Vec<u8>,
    /// Whether this is the first key behind an interval.
    pub interval_end: bool,
    /// How long the kernel keeps it; read back, how long it will still keep it.
    pub timeout: Option<Duration>,
    /// At most 127 bytes.
    pub comment: Option<String>,
    /// Where the element counts packets.
    pub packets: u64,
}

impl Element {
    /// An element that the kernel removes after `timeout`.
    pub fn timed(key: &[u8], timeout: Duration) -> Self {
        Self { key: key.to_vec(), timeout: Some(timeout), ..Self::default() }
    }

    /// The port as a member of `window`, `farewell` or `ramp`.
    pub fn port(port: u16, timeout: Duration) -> Self {
        Self::timed(&port.to_be_bytes(), timeout)
    }

    /// One end of an interval of addresses.
    fn bound(address: IpAddr, interval_end: bool) -> Self {
        Self { key: address_bytes(address), interval_end, ..Self::default() }
    }

    /// An existing connection: the client's address and port, padded to four bytes.
    pub fn flow(flow: SocketAddr, timeout: Duration) -> Self {
        let mut key = address_bytes(flow.ip());
        key.extend(flow.port().to_be_bytes());
        key.extend([0, 0]);
        Self::timed(&key, timeout)
    }

    fn read(member: Attributes<'_>) -> Option<Self> {
        let counter = member
            .nested(element::EXPR)
            .and_then(|expr| expr.nested(attr::rule::EXPR_DATA)?.u64(attr::rule::COUNTER_PACKETS));
        let flags = member.u32(element::FLAGS).unwrap_or(0);
        Some(Self {
            key: member.nested(element::KEY)?.bytes(attr::DATA_VALUE)?.to_vec(),
            interval_end: flags & element::INTERVAL_END != 0,
            // An element without an expiration lasts for ever, even if a timeout of 0 is shown.
            timeout: member.u64(element::EXPIRATION).map(Duration::from_millis),
            comment: member.comment(element::USERDATA).map(str::to_owned),
            packets: counter.unwrap_or(0),
        })
    }

    /// The elements in one message of a dump.
    pub fn read_all(payload: &[u8]) -> impl Iterator<Item = Self> {
        Attributes::of_message(payload).list(element::LIST_ELEMENTS).filter_map(Self::read)
    }

    fn write(&self, buffer: &mut Vec<u8>) {
        attr::put_nested(buffer, attr::LIST_ELEM, |member| {
            attr::put_nested(member, element::KEY, |key| {
                attr::put(key, attr::DATA_VALUE, &self.key);
            });
            if self.interval_end {
                attr::put(member, element::FLAGS, &element::INTERVAL_END.to_be_bytes());
            }
            if let Some(timeout) = self.timeout {
                attr::put(member, element::TIMEOUT, &milliseconds(timeout).to_be_bytes());
            }
            if let Some(comment) = &self.comment {
                attr::put(member, element::USERDATA, &attr::comment_data(comment));
            }
        });
    }

    /// The address and port in the key of a flow.
    pub fn as_flow(&self) -> Option<SocketAddr> {
        let (address, rest) = self.key.split_at_checked(self.key.len().checked_sub(4)?)?;
        let port = u16::from_be_bytes([rest[0], rest[1]]);
        Some(SocketAddr::new(address_of(address)?, port))
    }

    pub fn as_address(&self) -> Option<IpAddr> {
        address_of(&self.key)
    }
}

/// A timeout for the kernel, rounded up because 0 would mean never.
pub fn milliseconds(timeout: Duration) -> u64 {
    let rounded = timeout.as_nanos().div_ceil(1_000_000).max(1);
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).into());
    }
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into())
}

/// The elements of both pass sets. Neighbouring networks are written as one interval.
pub fn pass_elements(pass: &PassList) -> [(SetName, Vec<Element>); 2] {
    let v4 = pass
        .v4()
        .iter()
        .map(|net| (u128::from(net.network().to_bits()), u128::from(net.broadcast().to_bits())));
    let v6 = pass.v6().iter().map(|net| (net.network().to_bits(), net.broadcast().to_bits()));
    let v4 = intervals(v4, u128::from(u32::MAX), |bits| Ipv4Addr::from_bits(bits as u32).into());
    let v6 = intervals(v6, u128::MAX, |bits| Ipv6Addr::from_bits(bits).into());
    [(SetName::Pass(V4), v4), (SetName::Pass(V6), v6)]
}

/// Turns ascending ranges into pairs of elements: the first address of a range, and the first
/// one behind it. A range up to the last address of its family has no second element.
fn intervals(
    ranges: impl Iterator<Item = (u128, u128)>,
    highest: u128,
    address: impl Fn(u128) -> IpAddr,
) -> Vec<Element> {
    let mut merged: Vec<(u128, u128)> = Vec::new();
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(before) if before.1.checked_add(1) == Some(first) => before.1 = last,
            _ => merged.push((first, last)),
        }
    }
    let mut elements = Vec::with_capacity(merged.len() * 2);
    for (first, last) in merged {
        elements.push(Element::bound(address(first), false));
        if last < highest {
            elements.push(Element::bound(address(last + 1), true));
        }
    }
    elements
}

/// The ranges (first and last address) that a pass set's elements stand for.
pub fn read_ranges(mut elements: Vec<Element>) -> Vec<(IpAddr, IpAddr)> {
    // The kernel dumps a tree in any order. At the same key, an end comes before a start.
    elements.sort_by(|a, b| (&a.key, !a.interval_end).cmp(&(&b.key, !b.interval_end)));
    let mut ranges = Vec::new();
    let mut open: Option<IpAddr> = None;
    for element in &elements {
        let Some(address) = element.as_address() else {
            continue;
        };
        if !element.interval_end {
            open = Some(address);
        } else if let Some(first) = open.take() {
            ranges.push((first, before(address)));
        }
    }
    if let Some(first) = open {
        let last = match first {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::BROADCAST),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::from_bits(u128::MAX)),
        };
        ranges.push((first, last));
    }
    ranges
}

fn before(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits().wrapping_sub(1)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits().wrapping_sub(1)).into(),
    }
}

/// The most bytes of elements in one message. The list is one attribute, whose length has 16
/// bits, and the names of table and set need room too.
const MESSAGE_BYTES: usize = Plain::LONGEST - 512;

/// Messages that add elements to a set. Only the last one asks for an acknowledgement: the
/// kernel reports failures anyway, and hundreds of answers would not fit into the buffer.
pub fn add_messages(table: &str, set: SetName, elements: &[Element]) -> Vec<Plain> {
    let mut messages = Vec::new();
    let mut list = Vec::new();
    for element in elements {
        element.write(&mut list);
        if list.len() > MESSAGE_BYTES - 256 {
            messages.push(message(libc::NFT_MSG_NEWSETELEM, table, set, &list));
            list.clear();
        }
    }
    if !list.is_empty() {
        messages.push(message(libc::NFT_MSG_NEWSETELEM, table, set, &list));
    }
    if let Some(last) = messages.last_mut() {
        last.flags |= libc::NLM_F_ACK as u16;
    }
    messages
}

/// A message that removes all elements of a set.
pub fn flush_message(table: &str, set: SetName) -> Plain {
    message(libc::NFT_MSG_DELSETELEM, table, set, &[])
}

fn message(kind: i32, table: &str, set: SetName, list: &[u8]) -> Plain {
    let mut payload = Vec::with_capacity(list.len() + 128);
    attr::put_name(&mut payload, element::LIST_TABLE, table);
    attr::put_name(&mut payload, element::LIST_SET, set.as_str());
    if !list.is_empty() {
        attr::put_nested(&mut payload, element::LIST_ELEMENTS, |all| all.extend(list));
    }
    let flags = if kind == libc::NFT_MSG_NEWSETELEM {
        // Not exclusive: a closing flow may already be in the set.
        libc::NLM_F_CREATE
    } else {
        libc::NLM_F_ACK
    };
    Plain { kind: kind as u16, family: libc::NFPROTO_INET as u16, flags: flags as u16, payload }
}
