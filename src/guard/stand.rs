//! What a guard does: it waits, heals, and removes the table at the end.

use super::heal::{Draining, Heal};
use super::liveness::GuardLock;
use super::message::{Letter, Listener, Message, READY};
use super::wanted::{Moment, Wanted};
use super::{Guarded, NAME};
use crate::audit::{self, Action};
use crate::cordon::{Cordon, Phase, Window};
use crate::firewall::{Event, Events, Nftables, Twin};
use crate::postgres::Access;
use crate::sys::lock::LockError;
use crate::window;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So long before the end the window is looked at once more, for the record: its figures go
/// with its element.
const LAST_LOOK: Duration = Duration::from_millis(100);
/// Between two looks at an element whose time is up: the kernel rounds up.
const ROUNDING: Duration = Duration::from_millis(5);

/// Why a guard cannot stand guard.
#[derive(Debug, thiserror::Error)]
pub enum StandError {
    /// It was not started by pgcordon.
    #[error("{NAME} is started by pgcordon start, hold and run, not by hand")]
    ByHand,
    /// The kernel does not tell what happens.
    #[error("cannot listen to nftables: {0}")]
    Events(#[source] io::Error),
    /// Nobody can tell it anything.
    #[error("cannot listen to pgcordon: {0}")]
    Channel(#[source] io::Error),
    /// Another guard is there.
    #[error(transparent)]
    Taken(LockError),
    /// Waiting failed.
    #[error("cannot wait: {0}")]
    Wait(#[source] io::Error),
}

/// Stands guard over a port until its window is over. `channel` tells what is to stand;
/// `drain` ends the connections that got in while a cordon was away, in a thread of its own.
///
/// # Errors
/// Why there is no guard; it says so on the channel, too.
pub fn stand<D>(port: u16, channel: UnixStream, drain: D) -> Result<(), StandError>
where
    D: Fn(Heal, &mut Guarded) + Send + Sync + 'static,
{
    let events = Events::of(port).map_err(StandError::Events)?;
    let mut channel = Listener::new(channel).map_err(StandError::Channel)?;
    let Some((wanted, access)) = first_order(&mut channel)? else {
        return Ok(()); // Whoever has started it has not raised anything.
    };
    let lock = match GuardLock::take(port) {
        Err(error @ LockError::Taken { .. }) => {
            channel.say(error.to_string().as_bytes());
            return Err(StandError::Taken(error));
        }
        Err(error) => {
            tracing::warn!(%error, "the guard has no lock");
            None
        }
        Ok(lock) => Some(lock),
    };
    let mut guard = Guard {
        port,
        events,
        channel,
        inside: None,
        twin: None,
        is_heard: false,
        wanted,
        access,
        nftables: Nftables::new(),
        drain: Arc::new(drain),
        draining: None,
        again: None,
        last: None,
        _lock: lock,
    };
    guard.channel.say(READY);
    guard.twin = raise_twin(&guard.wanted.at(Moment::now()));
    if !guard.wait_until_heard()? && !guard.is_there() {
        // Whoever has raised the window is gone, and it may have been lifted since: it could
        // not be known that there is a guard.
        return Ok(());
    }
    // What was told until now is the raising of the cordon itself, or is seen at this look.
    guard.read_events()?;
    guard.check(&Event::default());
    guard.watch()
}

/// Waits for the first letter; `None` if there will be none.
fn first_order(channel: &mut Listener) -> Result<Option<(Wanted, Access)>, StandError> {
    let mut order = None;
    loop {
        for letter in channel.hear() {
            match (letter.message, &mut order) {
                (Message::Take { cordon, access }, _) => {
                    order = Some((Wanted::new(*cordon, letter.sent_at), *access));
                }
                (Message::Change(change), Some((wanted, _))) => {
                    wanted.change(letter.sent_at, &change);
                }
                (Message::Change(_) | Message::Heard, _) => {}
            }
        }
        if order.is_some() || channel.has_ended() {
            return Ok(order);
        }
        wait(&mut [PollFd::new(channel, PollFlags::IN)], None).map_err(StandError::Wait)?;
    }
}

/// Where the kernel has no owned tables, or refuses one, the guard does without.
fn raise_twin(cordon: &Cordon) -> Option<Twin> {
    if cordon.length.is_zero() || cordon.phase == Phase::Ramp {
        return None;
    }
    let twin = Twin::raise(cordon);
    twin.inspect_err(|error| tracing::warn!(%error, "the guard has no twin table"))
        .ok()
}

/// One guard on duty.
pub struct Guard<D> {
    pub(super) port: u16,
    pub(super) events: Events,
    /// Whoever raised the window or changes it.
    pub(super) channel: Listener,
    /// This process's own drain.
    pub(super) inside: Option<Listener>,
    pub(super) twin: Option<Twin>,
    /// Whether whoever has started it knows that it stands guard.
    is_heard: bool,
    pub(super) wanted: Wanted,
    pub(super) access: Access,
    pub(super) nftables: Nftables,
    pub(super) drain: Arc<D>,
    pub(super) draining: Option<Draining>,
    /// When a heal that failed is tried again.
    pub(super) again: Option<Instant>,
    /// The window as it was shortly before its end.
    last: Option<Window>,
    _lock: Option<GuardLock>,
}

impl<D> Guard<D>
where
    D: Fn(Heal, &mut Guarded) + Send + Sync + 'static,
{
    /// Waits until its word was heard; false if whoever has started it is gone.
    fn wait_until_heard(&mut self) -> Result<bool, StandError> {
        while !self.is_heard && !self.channel.has_ended() {
            let mut set = [PollFd::new(&self.channel, PollFlags::IN)];
            wait(&mut set, None).map_err(StandError::Wait)?;
            self.hear();
        }
        Ok(self.is_heard)
    }

    /// Waits for what happens, until all is over.
    fn watch(&mut self) -> Result<(), StandError> {
        loop {
            let left = self.wanted.left(Moment::now());
            if left.is_zero() {
                self.finish();
                return Ok(());
            }
            if left <= LAST_LOOK && self.last.is_none() {
                self.last = self.window();
            }
            let retry = self
                .again
                .map(|at| at.saturating_duration_since(Instant::now()));
            let look = Some(left.saturating_sub(LAST_LOOK)).filter(|look| !look.is_zero());
            let next = [retry, look].into_iter().flatten().min();
            self.wait_for_anything(next.map_or(left, |next| next.min(left)))?;
            let was_told = !self.channel.has_ended();
            self.hear();
            if was_told && self.channel.has_ended() {
                // Whoever is gone may have died between its word and its deed.
                self.check(&Event::default());
            }
            self.end_drain();
            let event = self.read_events()?;
            if event.touched || self.again.is_some_and(|at| at <= Instant::now()) {
                self.check(&event);
            }
        }
    }

    fn wait_for_anything(&self, most: Duration) -> Result<(), StandError> {
        let mut set = vec![PollFd::new(&self.events, PollFlags::IN)];
        for listener in [Some(&self.channel), self.inside.as_ref()]
            .into_iter()
            .flatten()
        {
            if !listener.has_ended() {
                set.push(PollFd::new(listener, PollFlags::IN));
            }
        }
        wait(&mut set, Some(most))
            .map(drop)
            .map_err(StandError::Wait)
    }

    /// Reads every notification that is there.
    fn read_events(&mut self) -> Result<Event, StandError> {
        let mut all = Event::default();
        while is_readable(&self.events).map_err(StandError::Wait)? {
            let event = self.events.read().map_err(StandError::Events)?;
            all.touched |= event.touched;
            all.touched_pass |= event.touched_pass;
            all.program = event.program.filter(|name| name != NAME).or(all.program);
        }
        Ok(all)
    }

    /// Takes over what is to stand from now on.
    pub fn hear(&mut self) {
        let mut letters = self.channel.hear();
        letters.extend(self.inside.as_mut().map(Listener::hear).unwrap_or_default());
        for Letter { sent_at, message } in letters {
            let before = self.wanted.at(sent_at);
            match message {
                Message::Take { cordon, access } => {
                    self.wanted = Wanted::new(*cordon, sent_at);
                    self.access = *access;
                }
                Message::Change(change) => self.wanted.change(sent_at, &change),
                Message::Heard => self.is_heard = true,
            }
            self.last = None;
            let after = self.wanted.at(sent_at);
            self.change_twin(&before, &after);
        }
    }

    /// The twin goes with the cordon. One that cannot is taken away: it must not block longer,
    /// or others, than is wanted.
    fn change_twin(&mut self, before: &Cordon, after: &Cordon) {
        if after.phase == Phase::Ramp {
            self.twin = None;
        }
        let Some(twin) = &mut self.twin else { return };
        let mut changed = Ok(());
        if after.length != before.length {
            changed = twin.end_in(self.wanted.at(Moment::now()).length);
        }
        if after.pass != before.pass {
            changed = changed.and_then(|()| twin.pass(&after.pass));
        }
        if let Err(error) = changed {
            tracing::warn!(%error, "the guard's twin table could not be changed");
            self.twin = None;
            self.twin = raise_twin(&self.wanted.at(Moment::now()));
        }
    }

    /// Removes the table when its elements' time is up.
    fn finish(&mut self) {
        self.twin = None;
        if let Some(window) = self.last.take() {
            let over = Window {
                remaining: Duration::ZERO,
                ..window
            };
            audit::Event::new(Action::End).window(&over).record();
        }
        loop {
            match window::sweep(&mut self.nftables, &[self.port]) {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "the empty table could not be removed");
                    return;
                }
            }
            match self.window() {
                Some(_) => std::thread::sleep(ROUNDING),
                None => return,
            }
        }
    }
}

fn wait(set: &mut [PollFd<'_>], most: Option<Duration>) -> io::Result<usize> {
    // Rounded up: what is waited for is not a moment early.
    let timeout = most.map(|most| Timespec {
        tv_sec: i64::try_from(most.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(most.subsec_nanos()),
    });
    match poll(set, timeout.as_ref()) {
        Ok(ready) => Ok(ready),
        Err(rustix::io::Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn is_readable(descriptor: &impl AsFd) -> io::Result<bool> {
    let mut set = [PollFd::new(descriptor, PollFlags::IN)];
    Ok(wait(&mut set, Some(Duration::ZERO))? > 0)
}
