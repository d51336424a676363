//! The drain after a heal: it ends the connections that got in while a cordon was away.

use super::channel::{Receiver, Timestamped};
use super::{Guarded, NAME};
use crate::audit::{self, Action};
use crate::cordon::{Cordon, Phase};
use crate::drain::{self, Order};
use crate::postgres::Access;
use crate::sys::privilege;
use std::io;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

/// The drain of a guard: one at a time, in a thread of its own.
#[derive(Default)]
pub struct Redrain {
    running: Option<Running>,
}

struct Running {
    /// What the drain changes in the cordon is told here; it closes when the drain is over.
    changes: Receiver,
    thread: JoinHandle<()>,
    /// Whether another one has to follow.
    again: bool,
}

impl Redrain {
    /// Drains behind a cordon, unless existing connections go on anyway. What happens during
    /// one drain is met by the next.
    pub fn start(&mut self, cordon: Cordon, access: &Access) {
        if cordon.farewell_lasts() || cordon.phase == Phase::Ramp {
            return;
        }
        if let Some(running) = &mut self.running {
            running.again = true;
            return;
        }
        match Running::start(cordon, access.clone()) {
            Ok(running) => self.running = Some(running),
            Err(error) => tracing::warn!(%error, "the guard cannot drain"),
        }
    }

    /// Where the running drain tells its own changes.
    pub fn changes(&self) -> Option<&Receiver> {
        self.running.as_ref().map(|running| &running.changes)
    }

    pub fn receive(&mut self) -> Vec<Timestamped> {
        let running = self.running.as_mut();
        running.map_or_else(Vec::new, |running| running.changes.receive())
    }

    /// Takes note of a drain that has ended. Says whether another one has to follow.
    pub fn end(&mut self) -> bool {
        let is_over = |running: &mut Running| running.changes.has_ended();
        let Some(ended) = self.running.take_if(is_over) else {
            return false;
        };
        if ended.thread.join().is_err() {
            tracing::warn!("the guard's drain has failed");
        }
        ended.again
    }
}

impl Running {
    fn start(cordon: Cordon, access: Access) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let changes = Receiver::new(ours)?;
        let work = move || match Guarded::within(cordon.port, theirs) {
            Ok(firewall) => drain(&cordon, access, firewall),
            Err(error) => tracing::warn!(%error, "the guard cannot drain"),
        };
        let thread = std::thread::Builder::new().name(NAME.to_owned()).spawn(work)?;
        Ok(Self { changes, thread, again: false })
    }
}

fn drain(cordon: &Cordon, access: Access, mut firewall: Guarded) {
    if let Err(error) = privilege::use_all() {
        tracing::warn!(%error, "the guard drains with fewer rights");
    }
    match Order::after_heal(cordon, access) {
        Ok(order) => audit::Event::new(Action::Drain)
            .with("port", cordon.port)
            .drain(&drain::drain(&mut firewall, &order))
            .record(),
        Err(error) => tracing::warn!(%error, "who had got in could not be drained"),
    }
}
