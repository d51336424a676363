//! Changes of a cordon in force, as data.

use crate::cordon::{ClosingFlow, Cordon, PassList};
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Change {
    /// From now on the block lasts as long as this cordon's, and so do its spared flows and a
    /// farewell that lasts to the end. Ramp and identity become this cordon's too. The rules and
    /// the pass list stay.
    Renew(Box<Cordon>),
    /// Lets existing connections through.
    Flows {
        spared: Vec<SocketAddr>,
        /// These may finish their close.
        closing: Vec<ClosingFlow>,
        /// How long the spared ones pass.
        remaining: Duration,
    },
    /// Replaces the pass list.
    Pass(PassList),
    /// Lets packets of all existing connections pass, this long from now on.
    Farewell(Duration),
    /// Ends the farewell. Sockets whose close is under way may finish it.
    FarewellOver {
        closing: Vec<SocketAddr>,
        /// How long their packets pass.
        linger: Duration,
    },
}

impl Change {
    /// Renews a cordon. The pass list may be long and does not change, so it is left out.
    pub fn renew(cordon: Cordon) -> Self {
        Self::Renew(Box::new(Cordon { pass: PassList::default(), ..cordon }))
    }

    /// The cordon after this change.
    pub fn applied_to(self, mut cordon: Cordon) -> Cordon {
        match self {
            Self::Renew(renewed) => {
                let farewell = match renewed.farewell_lasts() {
                    true => renewed.length,
                    false => cordon.farewell,
                };
                return Cordon {
                    identity: renewed.identity,
                    length: renewed.length,
                    ramp: renewed.ramp,
                    farewell,
                    spared: renewed.spared,
                    closing: renewed.closing,
                    ..cordon
                };
            }
            Self::Flows { spared, closing, .. } => {
                for flow in spared {
                    if !cordon.spared.contains(&flow) {
                        cordon.spared.push(flow);
                    }
                }
                add_closing(&mut cordon.closing, closing);
            }
            Self::Pass(pass) => cordon.pass = pass,
            Self::Farewell(length) => cordon.farewell = length,
            Self::FarewellOver { closing, linger } => {
                cordon.farewell = Duration::ZERO;
                let closing =
                    closing.into_iter().map(|client| ClosingFlow { client, remaining: linger });
                add_closing(&mut cordon.closing, closing.collect());
            }
        }
        cordon
    }
}

/// Adds flows, each once, with the longer time.
fn add_closing(flows: &mut Vec<ClosingFlow>, more: Vec<ClosingFlow>) {
    for new in more {
        match flows.iter_mut().find(|flow| flow.client == new.client) {
            Some(flow) => flow.remaining = flow.remaining.max(new.remaining),
            None => flows.push(new),
        }
    }
}
