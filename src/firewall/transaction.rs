//! One nftables transaction. Every step has a name, all are sent as one message, and an error
//! of the kernel is reported with the name of its step.

use super::FirewallError;
use super::attributes as attr;
use super::element::{Element, add_messages, flush_message, milliseconds};
use super::ffi::{self, Flagged, Plain};
use super::names::{ChainName, SetName, c_name, table_name};
use super::ruleset::{ChainSpec, RuleSpec, Ruleset};
use super::sets::SetSpec;
use crate::sys::netlink::{self, Link};
use nftnl::nftnl_sys as sys;
use nftnl::set::{Set, SetKey};
use nftnl::{Batch, Chain, ChainType, MsgType, NlMsg, Policy, ProtoFamily, Rule, Table};
use nix::libc;
use nix::sys::socket::{MsgFlags, sendmsg};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::time::Instant;

pub struct Transaction {
    batch: Batch,
    steps: Vec<Step>,
}

struct Step {
    name: String,
    acknowledged: bool,
    deletes_table: bool,
}

/// nftnl wants a set's key as a type; ours is set afterwards.
struct AnyKey;

impl SetKey for AnyKey {
    const TYPE: u32 = 0;
    const LEN: u32 = 0;

    fn data(&self) -> Box<[u8]> {
        Box::default()
    }
}

pub fn table(name: &str) -> Table {
    Table::new(c_name(name), ProtoFamily::Inet)
}

/// A chain without its hook.
pub fn chain(name: ChainName, table: &Table) -> Chain<'_> {
    Chain::new(c_name(name.as_str()), table)
}

pub fn build_rule<'a>(chain: &'a Chain<'a>, spec: &RuleSpec) -> Rule<'a> {
    let mut rule = Rule::new(chain);
    for expression in &spec.expressions {
        rule.add_expr(expression);
    }
    if let Some(comment) = &spec.comment {
        // Ours are all shorter than 127 bytes; longer ones would be refused.
        let _ = rule.set_comment(c_name(comment));
    }
    rule
}

impl Transaction {
    pub fn new() -> Self {
        Self { batch: Batch::new(), steps: Vec::new() }
    }

    /// Adds a message that the kernel answers only if it refuses it. The last message of the
    /// transaction is always answered.
    fn add(&mut self, name: String, message: &impl NlMsg, kind: MsgType, flags: i32) {
        let quiet = Flagged { message, add: flags as u16, remove: libc::NLM_F_ACK as u16 };
        self.batch.add(&quiet, kind);
        self.note(name, false, false);
    }

    /// Removes a port's table and all that is in it.
    pub fn delete_table(&mut self, port: u16) {
        let name = table_name(port);
        self.batch.add(&table(&name), MsgType::Del);
        self.note(format!("delete table inet {name}"), true, true);
    }

    /// Creates a table that belongs to the socket this is sent on (`NFT_TABLE_F_OWNER`, Linux
    /// 5.12): nobody else can change or remove it, and it vanishes with the socket.
    pub fn create_owned_table(&mut self, name: &str) {
        let mut payload = Vec::new();
        attr::put_name(&mut payload, attr::table::NAME, name);
        attr::put(&mut payload, attr::table::FLAGS, &attr::table::OWNER.to_be_bytes());
        let message = Plain {
            kind: libc::NFT_MSG_NEWTABLE as u16,
            family: libc::NFPROTO_INET as u16,
            flags: (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16,
            payload,
        };
        self.add_plain(format!("table inet {name} with the owner flag"), &message);
    }

    /// Creates a table with its sets, chains and rules. The kernel refuses it if it exists.
    pub fn create(&mut self, ruleset: &Ruleset) {
        let table = table(&ruleset.table);
        self.add(
            format!("table inet {}", ruleset.table),
            &table,
            MsgType::Add,
            libc::NLM_F_CREATE | libc::NLM_F_EXCL,
        );
        self.fill(ruleset);
    }

    pub fn fill(&mut self, ruleset: &Ruleset) {
        let table = table(&ruleset.table);
        for (number, spec) in (1..).zip(&ruleset.sets) {
            self.create_set(&table, number, spec);
        }
        for spec in &ruleset.chains {
            self.create_chain(&table, spec);
        }
        for spec in &ruleset.chains {
            let chain = chain(spec.name, &table);
            for rule in &spec.rules {
                let name = format!("rule `{}` of chain {}", rule.syntax, spec.name);
                self.add(name, &build_rule(&chain, rule), MsgType::Add, 0);
            }
        }
    }

    fn create_set(&mut self, table: &Table, number: u32, spec: &SetSpec) {
        let set =
            Set::<AnyKey>::new_named(&c_name(spec.name.as_str()), number, table, ProtoFamily::Inet);
        ffi::set_u32(&set, sys::NFTNL_SET_KEY_TYPE, spec.key.kind);
        ffi::set_u32(&set, sys::NFTNL_SET_KEY_LEN, spec.key.length);
        ffi::set_u32(&set, sys::NFTNL_SET_FLAGS, spec.flags);
        if let Some(timeout) = spec.timeout {
            ffi::set_u64(&set, sys::NFTNL_SET_TIMEOUT, milliseconds(timeout));
        }
        self.add(format!("set {}", spec.name), &set, MsgType::Add, 0);
    }

    fn create_chain(&mut self, table: &Table, spec: &ChainSpec) {
        let mut chain = chain(spec.name, table);
        if let Some(base) = spec.hook {
            chain.set_type(ChainType::Filter);
            chain.set_hook(base.hook, base.priority);
            chain.set_policy(Policy::Accept);
        }
        self.add(format!("chain {}", spec.name), &chain, MsgType::Add, 0);
    }

    pub fn add_elements(&mut self, table: &str, set: SetName, elements: &[Element]) {
        for message in add_messages(table, set, elements) {
            self.add_plain(format!("elements of set {set}"), &message);
        }
    }

    pub fn flush_set(&mut self, table: &str, set: SetName) {
        self.add_plain(format!("flush of set {set}"), &flush_message(table, set));
    }

    fn add_plain(&mut self, name: String, message: &Plain) {
        self.batch.add(message, MsgType::Add);
        self.note(name, message.flags & libc::NLM_F_ACK as u16 != 0, false);
    }

    fn note(&mut self, name: String, acknowledged: bool, deletes_table: bool) {
        self.steps.push(Step { name, acknowledged, deletes_table });
    }

    /// Removes all elements of a set and adds others. Both in one transaction change a timeout
    /// on every kernel. Before Linux 6.12 a plain re-add silently keeps the old timeout, and a
    /// delete fails if the element has just expired.
    pub fn replace_elements(&mut self, table: &str, set: SetName, elements: &[Element]) {
        self.flush_set(table, set);
        self.add_elements(table, set, elements);
    }

    /// Sends the transaction and waits for the kernel's answer, within a bound.
    ///
    /// After an error nothing of the transaction is in force, except that after
    /// [`FirewallError::NoAnswer`] it may be.
    pub fn commit(self) -> Result<(), FirewallError> {
        if self.steps.is_empty() {
            return Ok(());
        }
        // A new socket: a late answer to an earlier transaction cannot be taken for ours.
        let mut link = Link::open(mnl::Bus::Netfilter).map_err(FirewallError::Open)?;
        self.commit_on(&mut link)
    }

    /// [`commit`](Self::commit) on an open socket: a table with the owner flag belongs to the
    /// socket that created it.
    pub fn commit_on(self, link: &mut Link) -> Result<(), FirewallError> {
        let batch = self.batch.finalize();
        let range = batch.sequence_numbers();
        // From Linux 6.10 on nftnl numbers the batch's own first and last message too.
        let numbers_its_ends = range.len() == self.steps.len() + 2;
        let first = range.start + u32::from(numbers_its_ends);
        let pages: Vec<IoSlice<'_>> = batch.iter().map(IoSlice::new).collect();
        let bytes: usize = pages.iter().map(|page| page.len()).sum();
        link.make_room(bytes).map_err(FirewallError::Open)?;
        // All pages in one message: the kernel refuses a batch that is cut.
        sendmsg::<()>(link.socket().as_raw_fd(), &pages, &[], MsgFlags::empty(), None)
            .map_err(|error| FirewallError::Send(error.into()))?;
        await_answers(link, &self.steps, first)
    }
}

/// Reads until every step that asks for it is acknowledged, or one is refused.
///
/// The kernel answers after it has committed or given up. The answer for a failed commit has
/// the sequence number of the batch itself and comes before the answers of the steps.
fn await_answers(link: &mut Link, steps: &[Step], first: u32) -> Result<(), FirewallError> {
    let deadline = Instant::now() + netlink::WAIT;
    let mut left = steps.iter().filter(|step| step.acknowledged).count();
    while left > 0 {
        let answers = link.answers(deadline).map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => FirewallError::NoAnswer,
            _ => FirewallError::Receive(error),
        })?;
        for (sequence, error) in answers {
            let number = sequence.checked_sub(first);
            let step = number.and_then(|number| steps.get(number as usize));
            match (error, step) {
                (Some(source), step) => {
                    let name = step.map_or("the transaction as a whole", |step| &step.name);
                    let deletes_table = step.is_some_and(|step| step.deletes_table);
                    return Err(FirewallError::refused(name, deletes_table, source));
                }
                (None, Some(_)) => left = left.saturating_sub(1),
                (None, None) => {}
            }
        }
    }
    Ok(())
}
