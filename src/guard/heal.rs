//! Putting a cordon back, and having whoever got in meanwhile drained.

use super::message::Listener;
use super::stand::Guard;
use super::wanted::Moment;
use super::{Guarded, NAME};
use crate::audit::{self, Action};
use crate::cordon::{Cordon, Phase, Window};
use crate::firewall::{Detail, Event, Firewall, FirewallError};
use crate::postgres::Access;
use crate::sys::lock::{self, PortLock};
use crate::window::LONG;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a guard waits for a lock that somebody holds. Whoever changes the cordon has told
/// it before, so that it may go on without.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at a lock that is taken.
const LOCK_PAUSE: Duration = Duration::from_millis(5);
/// How often a cordon is put back before the guard takes a breath: someone may take it away
/// as often.
const ATTEMPTS: usize = 20;
/// After that, or after the kernel has refused: when it is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// A transaction that takes longer is no matter of milliseconds any more.
const PROMPT: Duration = Duration::from_millis(50);

/// Somebody may have got in while a cordon was away.
#[derive(Debug, Clone)]
pub struct Heal {
    /// The cordon that stands again.
    pub cordon: Cordon,
    /// How PostgreSQL is reached.
    pub access: Access,
}

/// What stands, at one look.
#[derive(Default)]
struct Seen {
    /// Where it is not what is to stand.
    faults: Vec<String>,
    /// The port, if a table of it is there.
    leftovers: Option<u16>,
}

impl Seen {
    fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

/// A drain that is going on.
pub struct Draining {
    thread: JoinHandle<()>,
    /// Whether another one has to follow.
    again: bool,
}

impl<D> Guard<D>
where
    D: Fn(Heal, &mut Guarded) + Send + Sync + 'static,
{
    /// Looks whether what stands is what is to stand, and puts it back.
    pub fn check(&mut self, event: &Event) {
        self.again = None;
        let is_long = self.wanted.at(Moment::now()).pass.len() > LONG;
        // A long pass list takes the kernel seconds to show: it is looked at only if it was
        // touched, and nobody waits for that.
        if is_long
            && event.touched_pass
            && self.look(Detail::Whole).is_ok_and(|seen| seen.is_whole())
        {
            return;
        }
        let _port = self.lock();
        self.hear();
        let mut detail = match is_long && !event.touched_pass {
            true => Detail::Block,
            false => Detail::Whole,
        };
        let mut has_healed = false;
        for _ in 0..ATTEMPTS {
            let Ok(seen) = self.look(detail) else { break };
            if seen.is_whole() {
                if has_healed {
                    self.drain();
                }
                return;
            }
            match self.put_back(seen.leftovers.as_slice()) {
                Ok(()) => {
                    has_healed = true;
                    if is_long {
                        detail = Detail::Block;
                    }
                    self.tell(event, &seen.faults);
                }
                // Somebody is at it at the same time.
                Err(FirewallError::Exists | FirewallError::Missing { .. }) => {}
                Err(error) => {
                    tracing::warn!(%error, "the cordon could not be put back");
                    break;
                }
            }
        }
        self.again = Some(Instant::now() + AGAIN);
        if has_healed {
            self.drain();
        }
    }

    /// Whether the window is there that was to be guarded.
    pub fn is_there(&mut self) -> bool {
        let _port = self.lock();
        self.hear();
        self.window().is_some()
    }

    /// The window that is guarded, as it stands.
    pub fn window(&mut self) -> Option<Window> {
        let id = self.wanted.at(Moment::now()).identity.id;
        let standing = self.nftables.read(self.port, Detail::Block).ok().flatten();
        let window = standing.and_then(|standing| standing.window);
        window.filter(|window| window.identity.id == id)
    }

    /// Compares what stands with what is to stand.
    fn look(&mut self, detail: Detail) -> Result<Seen, FirewallError> {
        let began = Moment::now();
        if self.wanted.left(began).is_zero() {
            return Ok(Seen::default());
        }
        let standing = self.nftables.read(self.port, detail).inspect_err(|error| {
            tracing::warn!(%error, "the guard cannot read nftables");
        })?;
        Ok(Seen {
            faults: self.wanted.faults(standing.as_ref(), began),
            leftovers: standing.map(|standing| standing.port),
        })
    }

    /// Puts on record that the cordon was damaged, and by whom.
    fn tell(&mut self, event: &Event, faults: &[String]) {
        let program = event.program.as_deref().unwrap_or("another program");
        let why = format!("changed by {program}: {}", faults.join("; "));
        let mut record = audit::Event::new(Action::Heal);
        if let Some(window) = self.window() {
            record = record.window(&window);
        }
        record.with("program", program).why(why).record();
    }

    /// Raises the cordon with the time that is left.
    fn put_back(&mut self, leftovers: &[u16]) -> Result<(), FirewallError> {
        let mut healed = self.wanted.clone();
        healed.healed();
        let began = Moment::now();
        let cordon = healed.at(began);
        self.nftables
            .raise(std::slice::from_ref(&cordon), leftovers)?;
        self.wanted = healed;
        if Moment::now().since(began) > PROMPT && cordon.phase == Phase::Closed {
            // A long pass list has taken its time, by which the window must not be longer.
            match self.wanted.end(Moment::now()) {
                Some(end) => self.nftables.change(&[(self.port, end)])?,
                // It has lasted beyond the window: the next look makes a ramp of it, or nothing.
                None => self.again = Some(Instant::now()),
            }
        }
        Ok(())
    }

    /// The port's lock. Whoever holds it may be telling something just now.
    fn lock(&mut self) -> Option<PortLock> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match lock::try_port(self.port) {
                Ok(Some(lock)) => return Some(lock),
                Ok(None) if Instant::now() < deadline => {}
                Ok(None) => {
                    tracing::warn!(
                        "the port's lock is held for too long; the guard goes on without"
                    );
                    return None;
                }
                Err(error) => {
                    tracing::debug!(%error, "the guard goes on without a lock");
                    return None;
                }
            }
            std::thread::sleep(LOCK_PAUSE);
            self.hear();
        }
    }

    /// Ends the connections that got in, unless existing ones go on anyway. One drain at a
    /// time: what happens during one is met by the next.
    fn drain(&mut self) {
        let cordon = self.wanted.at(Moment::now());
        if cordon.farewell_lasts() || cordon.phase == Phase::Ramp {
            return;
        }
        if let Some(draining) = &mut self.draining {
            draining.again = true;
            return;
        }
        let started = UnixStream::pair().and_then(|(ours, theirs)| {
            let inside = Listener::new(ours)?;
            let (drain, port) = (Arc::clone(&self.drain), self.port);
            let heal = Heal {
                cordon,
                access: self.access.clone(),
            };
            let work = move || match Guarded::within(port, theirs) {
                Ok(mut firewall) => drain(heal, &mut firewall),
                Err(error) => tracing::warn!(%error, "the guard cannot drain"),
            };
            let thread = std::thread::Builder::new()
                .name(NAME.to_owned())
                .spawn(work)?;
            Ok((inside, thread))
        });
        match started {
            Ok((inside, thread)) => {
                self.inside = Some(inside);
                self.draining = Some(Draining {
                    thread,
                    again: false,
                });
            }
            Err(error) => tracing::warn!(%error, "the guard cannot drain"),
        }
    }

    /// The drain's end of the channel closes when it is over.
    pub fn end_drain(&mut self) {
        if !self.inside.as_ref().is_some_and(Listener::has_ended) {
            return;
        }
        self.inside = None;
        if let Some(draining) = self.draining.take() {
            if draining.thread.join().is_err() {
                tracing::warn!("the guard's drain has failed");
            }
            if draining.again {
                self.drain();
            }
        }
    }
}
