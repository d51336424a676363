//! Compares a table that was read with what pgcordon has written.

use super::attributes as attr;
use super::element::Element;
use super::ffi;
use super::names::SetName;
use super::readback::{ChainFacts, RuleFacts, SetFacts, Table, normalized};
use super::ruleset::{ChainSpec, Ruleset};
use super::sets::flag;
use super::transaction::{build_rule, chain, table};
use crate::cordon::{Cordon, Tolerance};
use nftnl::MsgType;
use nix::libc;
use std::time::Duration;

impl Table {
    /// The differences in words.
    pub fn faults(&self, expected: &Ruleset) -> Vec<String> {
        let mut faults = Vec::new();
        if self.flags & attr::table::DORMANT != 0 {
            faults.push("the table is dormant".to_owned());
        }
        for spec in &expected.sets {
            let wanted = SetFacts {
                name: spec.name.to_string(),
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
                name: spec.name.to_string(),
                hook: spec.hook.map(|at| (at.hook as u32, at.priority, accept)),
            };
            if !self.chains.contains(&wanted) {
                faults.push(format!("chain {} is missing or changed", spec.name));
            }
            self.compare_rules(&expected.table, spec, &mut faults);
        }
        let known = |name: &str| expected.chains.iter().any(|spec| spec.name.as_str() == name);
        for chain in self.chains.iter().filter(|chain| !known(&chain.name)) {
            faults.push(format!("chain {} is not ours", chain.name));
        }
        let timed = expected.sets.iter().filter(|set| set.flags & flag::TIMEOUT != 0);
        for set in timed {
            if self.elements(set.name).iter().any(|element| element.timeout.is_none()) {
                faults.push(format!("an element of set {} has no timeout", set.name));
            }
        }
        faults
    }

    /// Fragments must be blocked as long as the port.
    pub(super) fn gate_fault(&self, remaining: Duration) -> Option<String> {
        let lasts = |element: &Element| {
            let timeout = element.timeout;
            timeout.is_some_and(|timeout| !Tolerance::FRAGMENTS.is_earlier(timeout, remaining))
        };
        let is_ipv6 = |element: &&Element| element.key == [libc::NFPROTO_IPV6 as u8];
        let is_armed = self.elements(SetName::Armed).iter().filter(is_ipv6).any(lasts);
        (!is_armed).then(|| "fragments of IPv6 are not blocked to the end".to_owned())
    }

    /// The ramp must have the length that was asked for. Its element is read after the window's.
    pub(super) fn ramp_fault(&self, cordon: &Cordon) -> Option<String> {
        let whole = cordon.whole_length();
        cordon.ramp?;
        let fault = match self.port_element(SetName::Ramp, cordon.port) {
            None => "is missing",
            Some(element) => {
                // A ramp without an end is already reported with its set.
                let timeout = element.timeout?;
                match Tolerance::RAMP_ELEMENT {
                    tolerance if tolerance.is_later(timeout, whole) => "is too long",
                    tolerance if tolerance.is_earlier(timeout, whole) => "is too short",
                    _ => return None,
                }
            }
        };
        Some(format!("the ramp {fault}"))
    }

    fn compare_rules(&self, table_name: &str, expected: &ChainSpec, faults: &mut Vec<String>) {
        let name = expected.name;
        let found: Vec<&RuleFacts> = self.rules_of(name).collect();
        if found.len() != expected.rules.len() {
            faults.push(format!(
                "chain {name} has {} rules instead of {}",
                found.len(),
                expected.rules.len()
            ));
            return;
        }
        let table = table(table_name);
        let parent = chain(name, &table);
        for (found, wanted) in found.iter().zip(&expected.rules) {
            let message = ffi::message_bytes(&build_rule(&parent, wanted), MsgType::Add);
            let text = ffi::rule_text(&message).map(|text| normalized(&text));
            if text.as_ref() != Some(&found.text) {
                faults.push(format!("rule `{}` of chain {name} is changed", wanted.syntax));
            }
        }
    }
}
