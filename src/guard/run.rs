//! What a guard does: it waits, heals, and removes the table at the end.

use super::NAME;
use super::channel::{Message, READY, Receiver, Timestamped};
use super::heal::Healer;
use super::liveness::GuardLock;
use super::redrain::Redrain;
use super::target::{Moment, Target};
use crate::audit::{self, Action};
use crate::cordon::{Cordon, Phase, Window};
use crate::firewall::{Event, Events, Twin};
use crate::postgres::Access;
use crate::sys::fd;
use crate::sys::lock::{self, LockError, PortLock};
use rustix::event::{PollFd, PollFlags};
use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// So long before the end the window is looked at once more, for the record: its figures go
/// with its element.
const LAST_LOOK: Duration = Duration::from_millis(100);
/// Between two looks at an element whose time is up: the kernel rounds up.
const SWEEP_RETRY: Duration = Duration::from_millis(5);

/// Why a guard cannot stand guard.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error("{NAME} is started by pgcordon start, hold and run, not by hand")]
    ByHand,
    #[error("cannot listen to nftables: {0}")]
    Events(#[source] io::Error),
    #[error("cannot listen to pgcordon: {0}")]
    Channel(#[source] io::Error),
    #[error(transparent)]
    Taken(LockError),
    #[error("cannot wait: {0}")]
    Wait(#[source] io::Error),
}

/// Guards a port until its window is over. `channel` tells what is to stand. Where there is no
/// guard, the channel is told why, too.
pub fn run(port: u16, channel: UnixStream) -> Result<(), GuardError> {
    let events = Events::of(port).map_err(GuardError::Events)?;
    let mut channel = Receiver::new(channel).map_err(GuardError::Channel)?;
    let Some((target, access)) = first_message(&mut channel)? else {
        return Ok(()); // Whoever has started it has not raised anything.
    };
    let lock = match GuardLock::take(port) {
        Err(error @ LockError::Taken { .. }) => {
            channel.say(error.to_string().as_bytes());
            return Err(GuardError::Taken(error));
        }
        Err(error) => {
            tracing::warn!(%error, "the guard has no lock");
            None
        }
        Ok(lock) => Some(lock),
    };
    channel.say(READY);
    let mut guard = Run {
        port,
        events,
        channel,
        is_heard: false,
        twin: raise_twin(&target.at(Moment::now())),
        healer: Healer::new(port, target),
        access,
        redrain: Redrain::default(),
        last: None,
        _lock: lock,
    };
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

/// Waits for the first message; `None` if there will be none.
fn first_message(channel: &mut Receiver) -> Result<Option<(Target, Access)>, GuardError> {
    let mut order = None;
    loop {
        for Timestamped { sent_at, message } in channel.receive() {
            match (message, &mut order) {
                (Message::Take { cordon, access }, _) => {
                    order = Some((Target::new(*cordon, sent_at), *access));
                }
                (Message::Change(change), Some((target, _))) => target.change(sent_at, &change),
                (Message::Change(_) | Message::Heard, _) => {}
            }
        }
        if order.is_some() || channel.has_ended() {
            return Ok(order);
        }
        channel.wait().map_err(GuardError::Wait)?;
    }
}

/// Where the kernel has no owned tables, or refuses one, the guard does without.
fn raise_twin(cordon: &Cordon) -> Option<Twin> {
    if cordon.length.is_zero() || cordon.phase == Phase::Ramp {
        return None;
    }
    let twin = Twin::raise(cordon);
    twin.inspect_err(|error| tracing::warn!(%error, "the guard has no twin table")).ok()
}

struct Run {
    port: u16,
    events: Events,
    /// Whoever raised the window or changes it.
    channel: Receiver,
    /// Whether whoever has started this guard knows that it stands guard.
    is_heard: bool,
    twin: Option<Twin>,
    healer: Healer,
    access: Access,
    redrain: Redrain,
    /// The window as it was shortly before its end.
    last: Option<Window>,
    _lock: Option<GuardLock>,
}

impl Run {
    /// Waits until its word was heard; false if whoever has started it is gone.
    fn wait_until_heard(&mut self) -> Result<bool, GuardError> {
        while !self.is_heard && !self.channel.has_ended() {
            self.channel.wait().map_err(GuardError::Wait)?;
            self.receive();
        }
        Ok(self.is_heard)
    }

    fn watch(&mut self) -> Result<(), GuardError> {
        loop {
            let left = self.healer.target.left(Moment::now());
            if left.is_zero() {
                self.finish();
                return Ok(());
            }
            if left <= LAST_LOOK && self.last.is_none() {
                self.last = self.healer.window();
            }
            let retry = self.healer.retry_at;
            let retry = retry.map(|at| at.saturating_duration_since(Instant::now()));
            let look = Some(left.saturating_sub(LAST_LOOK)).filter(|look| !look.is_zero());
            let next = [retry, look].into_iter().flatten().min();
            self.wait_for_anything(next.map_or(left, |next| next.min(left)))?;
            let was_told = !self.channel.has_ended();
            self.receive();
            if was_told && self.channel.has_ended() {
                // Whoever is gone may have died between its word and its deed.
                self.check(&Event::default());
            }
            if self.redrain.end() {
                self.drain();
            }
            let event = self.read_events()?;
            let retry_at = self.healer.retry_at;
            if event.touched || retry_at.is_some_and(|at| at <= Instant::now()) {
                self.check(&event);
            }
        }
    }

    fn wait_for_anything(&self, most: Duration) -> Result<(), GuardError> {
        let mut set = vec![PollFd::new(&self.events, PollFlags::IN)];
        let channels = [Some(&self.channel), self.redrain.changes()];
        for channel in channels.into_iter().flatten() {
            if !channel.has_ended() {
                set.push(PollFd::new(channel, PollFlags::IN));
            }
        }
        fd::wait(&mut set, Some(most)).map(drop).map_err(GuardError::Wait)
    }

    fn read_events(&mut self) -> Result<Event, GuardError> {
        let mut all = Event::default();
        while fd::is_readable(&self.events, Duration::ZERO).map_err(GuardError::Wait)? {
            let event = self.events.read().map_err(GuardError::Events)?;
            all.touched |= event.touched;
            all.touched_pass |= event.touched_pass;
            all.program = event.program.filter(|name| name != NAME).or(all.program);
        }
        Ok(all)
    }

    /// Takes over what is to stand from now on.
    fn receive(&mut self) {
        let mut messages = self.channel.receive();
        messages.extend(self.redrain.receive());
        for Timestamped { sent_at, message } in messages {
            let before = self.healer.target.at(sent_at);
            match message {
                Message::Take { cordon, access } => {
                    self.healer.target = Target::new(*cordon, sent_at);
                    self.access = *access;
                }
                Message::Change(change) => self.healer.target.change(sent_at, &change),
                Message::Heard => self.is_heard = true,
            }
            self.last = None;
            let after = self.healer.target.at(sent_at);
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
            changed = twin.end_in(self.healer.target.at(Moment::now()).length);
        }
        if after.pass != before.pass {
            changed = changed.and_then(|()| twin.pass(&after.pass));
        }
        if let Err(error) = changed {
            tracing::warn!(%error, "the guard's twin table could not be changed");
            self.twin = None;
            self.twin = raise_twin(&self.healer.target.at(Moment::now()));
        }
    }

    /// Looks whether what stands is what is to stand, puts it back, and has those drained who
    /// got in meanwhile.
    fn check(&mut self, event: &Event) {
        self.healer.retry_at = None;
        if self.healer.is_long_list_untouched(event) {
            return;
        }
        let _port = self.lock();
        self.receive();
        if self.healer.check(event) {
            self.drain();
        }
    }

    fn drain(&mut self) {
        let cordon = self.healer.target.at(Moment::now());
        self.redrain.start(cordon, &self.access);
    }

    /// Whether the window is there that was to be guarded.
    fn is_there(&mut self) -> bool {
        let _port = self.lock();
        self.receive();
        self.healer.window().is_some()
    }

    /// The port's lock. Whoever holds it may be telling something just now, and has told before
    /// it changes the cordon: so the guard may go on without.
    fn lock(&mut self) -> Option<PortLock> {
        match lock::port(self.port, || self.receive()) {
            Ok(lock) => return Some(lock),
            Err(LockError::Taken { .. }) => {
                tracing::warn!("the port's lock is held for too long; the guard goes on without")
            }
            Err(error) => tracing::debug!(%error, "the guard goes on without a lock"),
        }
        None
    }

    /// Removes the table when its elements' time is up.
    fn finish(&mut self) {
        self.twin = None;
        if let Some(mut window) = self.last.take() {
            window.cordon.length = Duration::ZERO;
            audit::Event::new(Action::End).window(&window).record();
        }
        loop {
            if let Err(error) = self.healer.sweep() {
                tracing::warn!(%error, "the empty table could not be removed");
                return;
            }
            if self.healer.window().is_none() {
                return;
            }
            std::thread::sleep(SWEEP_RETRY);
        }
    }
}
