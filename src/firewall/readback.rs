//! Reads the tables from the kernel.

use super::attributes::{self as attr, Attributes, family_header};
use super::element::Element;
use super::names::{ChainName, SetName, is_pass_set, table_name, table_port};
use super::{Detail, FirewallError, ffi};
use crate::cordon::Counter;
use crate::sys::netlink::{Link, Message};
use nix::libc;
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant, SystemTime};

/// How long a table is read again and again because something changed meanwhile.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub struct Table {
    pub(super) flags: u32,
    pub(super) chains: Vec<ChainFacts>,
    pub(super) rules: Vec<RuleFacts>,
    pub(super) sets: Vec<SetFacts>,
    pub(super) elements: BTreeMap<String, Vec<Element>>,
    /// When the window's element was read.
    pub(super) read_at: Option<SystemTime>,
}

/// The rules that say something about a window. They are found by what they do in their chain.
impl Table {
    pub(super) fn rules_of(&self, chain: ChainName) -> impl Iterator<Item = &RuleFacts> {
        let name = chain.as_str();
        self.rules.iter().filter(move |rule| rule.chain == name)
    }

    /// Present only if the verdict is reset.
    pub(super) fn reset_rule(&self) -> Option<&RuleFacts> {
        self.rules_of(ChainName::Cordon).find(|rule| rule.is_reject)
    }

    /// Drops what no rule has let pass. Its comment is the user's reason. Only rules that block
    /// have a counter, and it is the last of them: somebody may have inserted one of their own.
    pub(super) fn drop_rule(&self) -> Option<&RuleFacts> {
        self.rules_of(ChainName::Cordon)
            .filter(|rule| rule.counter.is_some() && !rule.is_reject)
            .last()
    }

    /// Limits new connections in the ramp; its comment is the ramp's length.
    pub(super) fn ramp_rule(&self) -> Option<&RuleFacts> {
        self.rules_of(ChainName::Ramping).find(|rule| rule.rate.is_some())
    }

    /// Their counters say how much was blocked.
    pub(super) fn blocking_rules(&self) -> impl Iterator<Item = &RuleFacts> {
        self.rules_of(ChainName::Cordon).chain(self.rules_of(ChainName::Fragments))
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChainFacts {
    pub(super) name: String,
    pub(super) hook: Option<(u32, i32, u32)>,
}

#[derive(Debug)]
pub(super) struct RuleFacts {
    pub(super) chain: String,
    /// In libnftnl's notation, without the parts that change by themselves.
    pub(super) text: String,
    pub(super) is_reject: bool,
    pub(super) counter: Option<Counter>,
    /// The rate of its limit, in the unit of that limit.
    pub(super) rate: Option<u64>,
    pub(super) comment: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct SetFacts {
    pub(super) name: String,
    pub(super) key: (u32, u32),
    pub(super) flags: u32,
    pub(super) has_timeout: bool,
}

/// The ports that have a table.
pub fn ports(link: &mut Link) -> Result<Vec<u16>, FirewallError> {
    let tables = dump(link, libc::NFT_MSG_GETTABLE, |_| ())?;
    let name = |message: &Message| {
        let name = Attributes::of_message(message.payload()).name(attr::table::NAME)?;
        table_port(name)
    };
    let mut ports: Vec<u16> = tables.iter().filter_map(name).collect();
    ports.sort_unstable();
    Ok(ports)
}

/// Reads one port's table; `None` if there is none.
pub fn read(link: &mut Link, port: u16, detail: Detail) -> Result<Option<Table>, FirewallError> {
    let deadline = Instant::now() + READ_TIMEOUT;
    while Instant::now() < deadline {
        let before = generation(link)?;
        let table = read_once(link, &table_name(port), detail)?;
        // Who wants to open a port need not know every rule exactly.
        if detail == Detail::Block || generation(link)? == before {
            return Ok(table);
        }
    }
    Err(FirewallError::Read(io::Error::new(
        io::ErrorKind::ResourceBusy,
        "another program changes nftables all the time",
    )))
}

/// The generation of the ruleset; every transaction starts a new one.
fn generation(link: &mut Link) -> Result<Vec<u8>, FirewallError> {
    let answer = link
        .request(kind(libc::NFT_MSG_GETGEN), 0, &family_header(0))
        .map_err(FirewallError::read)?;
    let id = answer.first().and_then(|message| {
        // NFTA_GEN_ID
        Some(Attributes::of_message(message.payload()).bytes(1)?.to_vec())
    });
    Ok(id.unwrap_or_default())
}

fn kind(message: i32) -> u16 {
    ((libc::NFNL_SUBSYS_NFTABLES << 8) | message) as u16
}

/// Dumps objects of the `inet` family; an empty list if the table vanishes meanwhile.
fn dump(
    link: &mut Link,
    message: i32,
    filter: impl FnOnce(&mut Vec<u8>),
) -> Result<Vec<Message>, FirewallError> {
    let mut payload = family_header(libc::NFPROTO_INET as u16).to_vec();
    filter(&mut payload);
    match link.request(kind(message), libc::NLM_F_DUMP as u16, &payload) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Vec::new()),
        other => other.map_err(FirewallError::read),
    }
}

fn read_once(link: &mut Link, name: &str, detail: Detail) -> Result<Option<Table>, FirewallError> {
    let tables = dump(link, libc::NFT_MSG_GETTABLE, |_| ())?;
    let Some(found) = tables.iter().find(|message| {
        Attributes::of_message(message.payload()).name(attr::table::NAME) == Some(name)
    }) else {
        return Ok(None);
    };
    let mut table = Table {
        flags: Attributes::of_message(found.payload()).u32(attr::table::FLAGS).unwrap_or(0),
        ..Table::default()
    };

    for message in dump(link, libc::NFT_MSG_GETCHAIN, |_| ())? {
        let chain = Attributes::of_message(message.payload());
        if chain.name(attr::chain::TABLE) == Some(name) {
            table.chains.extend(read_chain(chain));
        }
    }
    let in_table = |payload: &mut Vec<u8>| attr::put_name(payload, attr::rule::TABLE, name);
    for message in dump(link, libc::NFT_MSG_GETRULE, in_table)? {
        let rule = Attributes::of_message(message.payload());
        if rule.name(attr::rule::TABLE) == Some(name) {
            table.rules.extend(read_rule(&message, rule));
        }
    }
    let in_table = |payload: &mut Vec<u8>| attr::put_name(payload, attr::set::TABLE, name);
    for message in dump(link, libc::NFT_MSG_GETSET, in_table)? {
        let set = Attributes::of_message(message.payload());
        if set.name(attr::set::TABLE) == Some(name) {
            table.sets.extend(read_set(set));
        }
    }
    // A long pass list takes the kernel seconds, so the sets whose elements expire are read
    // after it.
    table.sets.sort_by_key(|set| !is_pass_set(&set.name));
    for set in &table.sets {
        if detail == Detail::Block && is_pass_set(&set.name) {
            continue;
        }
        let of_set = |payload: &mut Vec<u8>| {
            attr::put_name(payload, attr::element::LIST_TABLE, name);
            attr::put_name(payload, attr::element::LIST_SET, &set.name);
        };
        let elements = dump(link, libc::NFT_MSG_GETSETELEM, of_set)?
            .iter()
            .flat_map(|message| Element::read_all(message.payload()).collect::<Vec<_>>())
            .collect();
        table.elements.insert(set.name.clone(), elements);
        if set.name == SetName::Window.as_str() {
            table.read_at = Some(SystemTime::now());
        }
    }
    Ok(Some(table))
}

fn read_chain(chain: Attributes<'_>) -> Option<ChainFacts> {
    let hook = chain.nested(attr::chain::HOOK).and_then(|hook| {
        let priority = hook.u32(attr::chain::HOOK_PRIORITY)? as i32;
        let policy = chain.u32(attr::chain::POLICY)?;
        Some((hook.u32(attr::chain::HOOK_NUMBER)?, priority, policy))
    });
    Some(ChainFacts { name: chain.name(attr::chain::NAME)?.to_owned(), hook })
}

fn read_rule(message: &Message, rule: Attributes<'_>) -> Option<RuleFacts> {
    let named = |name: &'static str| {
        rule.list(attr::rule::EXPRESSIONS)
            .find(move |expr| expr.name(attr::rule::EXPR_NAME) == Some(name))
    };
    let counter = named("counter").and_then(|expr| {
        let data = expr.nested(attr::rule::EXPR_DATA)?;
        Some(Counter {
            packets: data.u64(attr::rule::COUNTER_PACKETS)?,
            bytes: data.u64(attr::rule::COUNTER_BYTES)?,
        })
    });
    let limit = named("limit").and_then(|expr| expr.nested(attr::rule::EXPR_DATA));
    let rate = limit.and_then(|limit| limit.u64(attr::rule::LIMIT_RATE));
    Some(RuleFacts {
        chain: rule.name(attr::rule::CHAIN)?.to_owned(),
        text: normalized(&ffi::rule_text(&message.bytes)?),
        is_reject: named("reject").is_some(),
        counter,
        rate,
        comment: rule.comment(attr::rule::USERDATA).map(str::to_owned),
    })
}

/// A rule's text without its handle, without what its counters have counted, and without zeros
/// that some kernels add for attributes that were not sent.
pub(super) fn normalized(text: &str) -> String {
    let lines = text.lines().enumerate().map(|(number, line)| {
        if number == 0 {
            // `inet TABLE CHAIN [HANDLE [POSITION]]`
            return line.split(' ').take(3).collect::<Vec<_>>().join(" ");
        }
        let line = line.trim_end().replace(" timeout 0ms", "");
        let line = match line.strip_suffix(" 0x0 ]") {
            Some(lookup) if lookup.contains("[ lookup ") => format!("{lookup} ]"),
            _ => line,
        };
        match line.find("counter pkts ") {
            Some(start) => {
                let end = line[start..].find(']').map_or(line.len(), |end| start + end);
                format!("{}counter {}", &line[..start], &line[end..])
            }
            None => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn read_set(set: Attributes<'_>) -> Option<SetFacts> {
    Some(SetFacts {
        name: set.name(attr::set::NAME)?.to_owned(),
        key: (set.u32(attr::set::KEY_TYPE).unwrap_or(0), set.u32(attr::set::KEY_LEN).unwrap_or(0)),
        flags: set.u32(attr::set::FLAGS).unwrap_or(0),
        has_timeout: set.u64(attr::set::TIMEOUT).is_some_and(|timeout| timeout > 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_handles_do_not_make_a_rule_another() {
        let fresh = "inet t c\n  [ counter pkts 0 bytes 0 ]\n  [ immediate reg 0 drop ]\n";
        let later = "inet t c 7 6\n  [ counter pkts 12 bytes 720 ]\n  [ immediate reg 0 drop ]\n";
        assert_eq!(normalized(fresh), normalized(later));
        assert!(normalized(fresh).contains("drop"));
        let sent = "inet t c\n  [ lookup reg 1 set pass4 ]\n  [ cmp eq reg 1 0x0 ]";
        let read = "inet t c 9\n  [ lookup reg 1 set pass4 0x0 ]\n  [ cmp eq reg 1 0x0 ]";
        assert_eq!(normalized(sent), normalized(read));
        assert!(normalized(read).contains("cmp eq reg 1 0x0"));
    }
}
