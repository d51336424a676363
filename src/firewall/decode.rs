//! Decodes a table that was read: which window is in force on its port.

use super::TableState;
use super::element::{Element, SPARED, read_ranges};
use super::names::{Family, SetName, is_pass_set};
use super::readback::Table;
use super::ruleset::{Ruleset, ramp_length};
use crate::cordon::{
    ClosingFlow, Cordon, Counter, DEFAULT_RAMP_RATE, Identity, Knock, PassList, Phase, Ramp,
    Verdict, Window,
};
use std::time::{Duration, SystemTime};

impl Table {
    pub(super) fn elements(&self, set: SetName) -> &[Element] {
        self.elements.get(set.as_str()).map_or(&[], Vec::as_slice)
    }

    /// The port's element in a set, until it expires.
    pub(super) fn port_element(&self, set: SetName, port: u16) -> Option<&Element> {
        let mut elements = self.elements(set).iter();
        elements.find(|element| element.key == port.to_be_bytes())
    }

    pub fn state(&self, port: u16) -> TableState {
        let window = self.window(port);
        let faults = match &window {
            Some(window) => {
                let mut faults = self.faults(&Ruleset::of(&window.cordon));
                if window.is_closed() {
                    faults.extend(self.gate_fault(window.cordon.length));
                }
                faults.extend(self.ramp_fault(&window.cordon));
                faults
            }
            None => Vec::new(),
        };
        TableState { port, window, faults }
    }

    fn window(&self, port: u16) -> Option<Window> {
        let window = self.port_element(SetName::Window, port);
        let (phase, element) = match window {
            Some(element) => (Phase::Closed, element),
            None => (Phase::Ramp, self.port_element(SetName::Ramp, port)?),
        };
        let remaining = element.timeout.unwrap_or(Duration::MAX);
        let identity = element
            .comment
            .as_deref()
            .and_then(Identity::from_comment)
            .unwrap_or_else(|| Identity::new(0, SystemTime::UNIX_EPOCH, "?", 0));
        let cordon = Cordon {
            port,
            identity,
            phase,
            length: remaining,
            ramp: self.ramp(port, phase, remaining),
            farewell: self
                .port_element(SetName::Farewell, port)
                .and_then(|e| e.timeout)
                .unwrap_or_default(),
            verdict: match self.reset_rule() {
                Some(_) => Verdict::Reset,
                None => Verdict::Drop,
            },
            pass: self.pass(),
            spared: self
                .elements_of_both(SetName::Flows)
                .filter(|flow| is_spared(flow))
                .filter_map(Element::as_flow)
                .collect(),
            closing: self
                .elements_of_both(SetName::Flows)
                .filter(|flow| !is_spared(flow))
                .filter_map(closing_flow)
                .collect(),
            reason: self
                .drop_rule()
                .and_then(|rule| rule.comment.as_deref())
                .and_then(|comment| comment.parse().ok()),
        };
        Some(Window {
            cordon,
            ends_at: self.read_at.unwrap_or_else(SystemTime::now)
                + remaining.min(Duration::from_secs(u64::from(u32::MAX))),
            blocked: self.blocked(),
            knocks: self.knocks(),
            pass_was_read: self.elements.keys().any(|set| is_pass_set(set)),
        })
    }

    /// The ramp's rule has its rate and length. If somebody has flushed the rules, the
    /// elements still tell the length.
    fn ramp(&self, port: u16, phase: Phase, remaining: Duration) -> Option<Ramp> {
        let rule = self.ramp_rule();
        let rate = rule.and_then(|rule| u32::try_from(rule.rate?).ok());
        let noted = rule.and_then(|rule| ramp_length(rule.comment.as_deref()?));
        let counted = || {
            let all = self.port_element(SetName::Ramp, port)?.timeout?;
            Some(match phase {
                Phase::Closed => all.saturating_sub(remaining),
                Phase::Ramp => all,
            })
        };
        Some(Ramp {
            length: noted.or_else(counted)?,
            per_second: rate.unwrap_or(DEFAULT_RAMP_RATE),
        })
    }

    fn blocked(&self) -> Counter {
        self.blocking_rules().filter_map(|rule| rule.counter).fold(
            Counter::default(),
            |sum, counter| Counter {
                packets: sum.packets + counter.packets,
                bytes: sum.bytes + counter.bytes,
            },
        )
    }

    fn knocks(&self) -> Vec<Knock> {
        let mut knocks: Vec<Knock> = self
            .elements_of_both(SetName::Knocks)
            .filter_map(|element| {
                Some(Knock { address: element.as_address()?, packets: element.packets })
            })
            .collect();
        knocks.sort_by_key(|knock| (std::cmp::Reverse(knock.packets), knock.address));
        knocks
    }

    fn pass(&self) -> PassList {
        let ranges = Family::BOTH
            .into_iter()
            .flat_map(|family| read_ranges(self.elements(SetName::Pass(family)).to_vec()));
        // Somebody else may have put more into the set than a pass list may hold.
        PassList::from_ranges(ranges).unwrap_or_default()
    }

    fn elements_of_both(&self, set: fn(Family) -> SetName) -> impl Iterator<Item = &Element> {
        let sets = Family::BOTH.map(set).into_iter();
        sets.flat_map(|set| self.elements(set))
    }
}

fn is_spared(flow: &Element) -> bool {
    flow.comment.as_deref() == Some(SPARED)
}

fn closing_flow(flow: &Element) -> Option<ClosingFlow> {
    Some(ClosingFlow { client: flow.as_flow()?, remaining: flow.timeout.unwrap_or_default() })
}
