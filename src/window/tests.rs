//! What happens to windows when the firewall does what it is told, and when it does not.

mod extend;
mod lift;
mod lock;
mod pass;
mod raise;
mod ramp;

use super::fake::Call::{Change, Ports, Raise, Read, Remove};
use super::fake::When::{After, Before};
use super::fake::{Fake, State};
use super::*;
use crate::cordon::{Identity, PassList, Phase, Ramp, Verdict, WindowEnd, WindowId};
use std::net::SocketAddr;
use std::time::SystemTime;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const RAMP: Ramp = Ramp {
    length: MINUTE,
    per_second: 10,
};

/// A cordon of ten minutes; the id tells windows of one port apart.
fn cordon(port: u16, id: u64) -> Cordon {
    Cordon {
        port,
        identity: Identity::new(id, SystemTime::now(), "root", 0),
        phase: Phase::Closed,
        length: 10 * MINUTE,
        ramp: None,
        farewell: 2 * SECOND,
        verdict: Verdict::Drop,
        pass: PassList::default(),
        spared: Vec::new(),
        closing: Vec::new(),
        reason: None,
    }
}

fn with_ramp(port: u16, id: u64) -> Cordon {
    Cordon {
        ramp: Some(RAMP),
        ..cordon(port, id)
    }
}

fn id(port: u16, id: u64) -> WindowId {
    WindowId { port, id }
}

fn network(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn passing(text: &str) -> PassList {
    PassList::new([network(text)]).unwrap()
}

fn lost(_: &mut State) -> Result<(), FirewallError> {
    Err(FirewallError::NoAnswer)
}

fn refused(_: &mut State) -> Result<(), FirewallError> {
    Err(FirewallError::Refused {
        step: "create the table".to_owned(),
        source: std::io::ErrorKind::OutOfMemory.into(),
    })
}

fn unreadable(_: &mut State) -> Result<(), FirewallError> {
    Err(FirewallError::Read(std::io::ErrorKind::TimedOut.into()))
}

fn taken(pid: u32) -> LockError {
    LockError::Taken {
        port: 5432,
        holder: format!("pgcordon process {pid}"),
        pid: Some(pid),
    }
}

/// Who stands on a port, and what it is doing.
fn standing(fake: &Fake, port: u16) -> Option<(u64, Phase)> {
    let window = fake.window(port)?;
    Some((window.cordon.identity.id, window.cordon.phase))
}

fn shared(fake: &mut Fake, cordons: &[Cordon]) -> Result<Raised, WindowError> {
    raise(fake, cordons, Ownership::Shared)
}
