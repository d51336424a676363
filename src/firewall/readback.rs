//! Tables as the kernel shows them, and what they mean.

use super::attributes::{self as attr, Attributes, family_header};
use super::element::{Element, SPARED, read_ranges};
use super::netlink::{Link, Message};
use super::ruleset::{self, Ruleset, flag};
use super::transaction::{build_rule, table};
use super::{Detail, FirewallError, Standing, ffi};
use crate::cordon::{
    ClosingFlow, Cordon, Counter, Identity, Knock, PassList, Phase, Reason, Verdict, Window,
};
use nftnl::{Chain, MsgType};
use nix::libc;
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// How often a table is read again because something changed meanwhile.
const ATTEMPTS: usize = 5;

/// A table of ours, with everything in it.
#[derive(Debug, Default)]
pub struct Table {
    flags: u32,
    chains: Vec<ChainFacts>,
    rules: Vec<RuleFacts>,
    sets: Vec<SetFacts>,
    elements: BTreeMap<String, Vec<Element>>,
    /// When the window's element was read.
    read_at: Option<SystemTime>,
}

#[derive(Debug, PartialEq, Eq)]
struct ChainFacts {
    name: String,
    hook: Option<(u32, i32, u32)>,
}

#[derive(Debug)]
struct RuleFacts {
    chain: String,
    /// In libnftnl's notation, without what changes by itself.
    text: String,
    is_reject: bool,
    counter: Option<Counter>,
    comment: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct SetFacts {
    name: String,
    key: (u32, u32),
    flags: u32,
    has_timeout: bool,
}

/// The ports whose tables exist.
///
/// # Errors
/// What the kernel says of the request.
pub fn ports(link: &mut Link) -> Result<Vec<u16>, FirewallError> {
    let tables = dump(link, libc::NFT_MSG_GETTABLE, |_| ())?;
    let name = |message: &Message| {
        let name = Attributes::of_message(message.payload()).name(attr::table::NAME)?;
        ruleset::table_port(name)
    };
    let mut ports: Vec<u16> = tables.iter().filter_map(name).collect();
    ports.sort_unstable();
    Ok(ports)
}

/// Reads one port's table; `None` if there is none.
///
/// # Errors
/// What the kernel says of the requests; a table that changes with every reading.
pub fn read(link: &mut Link, port: u16, detail: Detail) -> Result<Option<Table>, FirewallError> {
    for _ in 0..ATTEMPTS {
        let before = generation(link)?;
        let table = read_once(link, &ruleset::table_name(port), detail)?;
        if generation(link)? == before {
            return Ok(table);
        }
    }
    Err(FirewallError::Read(io::Error::new(
        io::ErrorKind::ResourceBusy,
        "another program changes nftables all the time",
    )))
}

/// The number of the ruleset's generation; every transaction makes a new one.
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

/// Dumps objects of the `inet` family. What vanishes meanwhile is an empty list.
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
        flags: Attributes::of_message(found.payload())
            .u32(attr::table::FLAGS)
            .unwrap_or(0),
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
        if set.name == "window" {
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
    Some(ChainFacts {
        name: chain.name(attr::chain::NAME)?.to_owned(),
        hook,
    })
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
    Some(RuleFacts {
        chain: rule.name(attr::rule::CHAIN)?.to_owned(),
        text: normalized(&ffi::rule_text(&message.bytes)?),
        is_reject: named("reject").is_some(),
        counter,
        comment: rule.comment(attr::rule::USERDATA).map(str::to_owned),
    })
}

/// A rule's text without the rule's number, what its counters have counted, and zeros that
/// the kernel adds for attributes that were not sent (and that another kernel may not add).
fn normalized(text: &str) -> String {
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
                let end = line[start..]
                    .find(']')
                    .map_or(line.len(), |end| start + end);
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
        key: (
            set.u32(attr::set::KEY_TYPE).unwrap_or(0),
            set.u32(attr::set::KEY_LEN).unwrap_or(0),
        ),
        flags: set.u32(attr::set::FLAGS).unwrap_or(0),
        has_timeout: set
            .u64(attr::set::TIMEOUT)
            .is_some_and(|timeout| timeout > 0),
    })
}

impl Table {
    fn elements(&self, set: &str) -> &[Element] {
        self.elements.get(set).map_or(&[], Vec::as_slice)
    }

    /// The port's element in a set, while it lasts.
    fn port_element(&self, set: &str, port: u16) -> Option<&Element> {
        let mut elements = self.elements(set).iter();
        elements.find(|element| element.key == port.to_be_bytes())
    }

    /// What the table means for its port.
    #[must_use]
    pub fn standing(&self, port: u16) -> Standing {
        let window = self.window(port);
        let faults = match &window {
            Some(window) => {
                let mut faults = self.faults(&expected(window));
                faults.extend(self.gate_fault(window.remaining));
                faults
            }
            None => Vec::new(),
        };
        Standing {
            port,
            window,
            faults,
        }
    }

    fn window(&self, port: u16) -> Option<Window> {
        let element = self.port_element("window", port)?;
        let remaining = element.timeout.unwrap_or(Duration::MAX);
        let identity = element
            .comment
            .as_deref()
            .and_then(Identity::from_comment)
            .unwrap_or_else(|| Identity::new(0, SystemTime::UNIX_EPOCH, "?", 0));
        let drop_rule = self
            .rules
            .iter()
            .rev()
            .find(|rule| rule.chain == "cordon" && !rule.is_reject);
        let is_reset = |rule: &RuleFacts| rule.chain == "cordon" && rule.is_reject;
        Some(Window {
            port,
            phase: Phase::Closed,
            identity,
            remaining,
            ends_at: self.read_at.unwrap_or_else(SystemTime::now)
                + remaining.min(Duration::from_secs(u64::from(u32::MAX))),
            verdict: if self.rules.iter().any(is_reset) {
                Verdict::Reset
            } else {
                Verdict::Drop
            },
            reason: drop_rule
                .and_then(|rule| rule.comment.as_deref())
                .and_then(|comment| Reason::new(comment).ok()),
            blocked: self.blocked(),
            knocks: self.knocks(),
            pass: self.pass(),
            pass_was_read: self.elements.keys().any(|set| is_pass_set(set)),
            farewell: self
                .port_element("farewell", port)
                .and_then(|e| e.timeout)
                .unwrap_or_default(),
            spared: self
                .flows()
                .filter(|flow| is_spared(flow))
                .filter_map(Element::as_flow)
                .collect(),
            closing: self
                .flows()
                .filter(|flow| !is_spared(flow))
                .filter_map(closing_flow)
                .collect(),
        })
    }

    fn blocked(&self) -> Counter {
        let counting = self
            .rules
            .iter()
            .filter(|rule| rule.chain == "cordon" || rule.chain == "shards");
        counting
            .filter_map(|rule| rule.counter)
            .fold(Counter::default(), |sum, counter| Counter {
                packets: sum.packets + counter.packets,
                bytes: sum.bytes + counter.bytes,
            })
    }

    fn knocks(&self) -> Vec<Knock> {
        let both = self
            .elements("knocks4")
            .iter()
            .chain(self.elements("knocks6"));
        let mut knocks: Vec<Knock> = both
            .filter_map(|element| {
                Some(Knock {
                    address: element.as_address()?,
                    packets: element.packets,
                })
            })
            .collect();
        knocks.sort_by_key(|knock| (std::cmp::Reverse(knock.packets), knock.address));
        knocks
    }

    fn pass(&self) -> PassList {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for set in ["pass4", "pass6"] {
            for range in read_ranges(self.elements(set).to_vec()) {
                match range {
                    (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first, last)),
                    (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first, last)),
                    _ => {}
                }
            }
        }
        // Someone else may have put more into the set than we would.
        PassList::from_ranges(v4, v6).unwrap_or_default()
    }

    fn flows(&self) -> impl Iterator<Item = &Element> {
        let v4 = self.elements("flows4").iter();
        v4.chain(self.elements("flows6"))
    }

    /// Where the table is not what it should be, in words; empty if it is whole.
    #[must_use]
    pub fn faults(&self, expected: &Ruleset) -> Vec<String> {
        let mut faults = Vec::new();
        if self.flags & attr::table::DORMANT != 0 {
            faults.push("the table is dormant".to_owned());
        }
        for spec in &expected.sets {
            let wanted = SetFacts {
                name: spec.name.to_owned(),
                key: (spec.key.kind, spec.key.length),
                flags: spec.flags,
                has_timeout: spec.timeout.is_some(),
            };
            if !self.sets.contains(&wanted) {
                faults.push(format!("set {} is missing or changed", spec.name));
            }
        }
        for spec in &expected.chains {
            let accept = libc::NF_ACCEPT as u32;
            let wanted = ChainFacts {
                name: spec.name.to_owned(),
                hook: spec.hook.map(|at| (at.hook as u32, at.priority, accept)),
            };
            if !self.chains.contains(&wanted) {
                faults.push(format!("chain {} is missing or changed", spec.name));
            }
            self.compare_rules(spec.name, expected, &mut faults);
        }
        let timed = expected
            .sets
            .iter()
            .filter(|set| set.flags & flag::TIMEOUT != 0);
        for set in timed {
            if self
                .elements(set.name)
                .iter()
                .any(|element| element.timeout.is_none())
            {
                faults.push(format!("an element of set {} has no timeout", set.name));
            }
        }
        faults
    }

    /// The block of fragments must last as long as that of the port.
    fn gate_fault(&self, remaining: Duration) -> Option<String> {
        let lasts = |element: &Element| {
            element
                .timeout
                .is_some_and(|timeout| timeout + Duration::from_secs(1) >= remaining)
        };
        let is_armed = self.elements("armed").iter().any(lasts);
        (!is_armed).then(|| "fragments of IPv6 are not blocked to the end".to_owned())
    }

    fn compare_rules(&self, chain: &'static str, expected: &Ruleset, faults: &mut Vec<String>) {
        let found: Vec<&RuleFacts> = self.rules.iter().filter(|r| r.chain == chain).collect();
        let wanted: Vec<_> = expected.rules.iter().filter(|r| r.chain == chain).collect();
        if found.len() != wanted.len() {
            faults.push(format!(
                "chain {chain} has {} rules instead of {}",
                found.len(),
                wanted.len()
            ));
            return;
        }
        let table = table(&expected.table);
        let name = std::ffi::CString::new(chain).unwrap_or_default();
        let parent = Chain::new(name, &table);
        for (found, wanted) in found.iter().zip(wanted) {
            let message = ffi::message_bytes(&build_rule(&parent, wanted), MsgType::Add);
            let text = ffi::rule_text(&message).map(|text| normalized(&text));
            if text.as_ref() != Some(&found.text) {
                faults.push(format!(
                    "rule `{}` of chain {chain} is changed",
                    wanted.syntax
                ));
            }
        }
    }
}

fn is_pass_set(name: &str) -> bool {
    matches!(name, "pass4" | "pass6")
}

fn is_spared(flow: &Element) -> bool {
    flow.comment.as_deref() == Some(SPARED)
}

fn closing_flow(flow: &Element) -> Option<ClosingFlow> {
    Some(ClosingFlow {
        client: flow.as_flow()?,
        remaining: flow.timeout.unwrap_or_default(),
    })
}

/// The rules that a window's table must have.
fn expected(window: &Window) -> Ruleset {
    Ruleset::of(&Cordon {
        port: window.port,
        identity: window.identity.clone(),
        length: window.remaining,
        farewell: Duration::ZERO,
        verdict: window.verdict,
        pass: PassList::default(),
        reason: window.reason.clone(),
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
