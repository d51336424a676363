//! Changes of a cordon that is in force, as data.

use crate::cordon::{ClosingFlow, Cordon, PassList};
use std::net::SocketAddr;
use std::time::Duration;

/// A change of a cordon that is in force.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Change {
    /// The block lasts as long as that of this cordon from now on, and so do the flows that it
    /// spares and a farewell to the end; its ramp comes after it, and its identity stands
    /// beside it. The rules and the pass list stay.
    Renew(Box<Cordon>),
    /// These existing connections are let through.
    Flows {
        /// The clients' addresses and ports.
        spared: Vec<SocketAddr>,
        /// Closes that go on.
        closing: Vec<ClosingFlow>,
        /// For how long the spared ones pass.
        remaining: Duration,
    },
    /// The pass list is this one.
    Pass(PassList),
    /// Packets of existing connections pass for so long from now on.
    Farewell(Duration),
    /// No more farewell; sockets whose close is under way may finish it.
    FarewellOver {
        /// The clients' addresses and ports.
        closing: Vec<SocketAddr>,
        /// For how long their packets pass.
        linger: Duration,
    },
}

impl Change {
    /// What renews a cordon. The pass list stays as it is and may be long, so that nobody is
    /// told it.
    pub fn renew(cordon: Cordon) -> Self {
        Self::Renew(Box::new(Cordon {
            pass: PassList::default(),
            ..cordon
        }))
    }

    /// What becomes of a cordon with this change.
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
            Self::Flows {
                spared, closing, ..
            } => {
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
                let closing = closing.into_iter().map(|client| ClosingFlow {
                    client,
                    remaining: linger,
                });
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
