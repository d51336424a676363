//! A guard that this process has started.

use super::NAME;
use super::channel::{Message, Sender};
use super::target::{Moment, Target};
use crate::cordon::Cordon;
use crate::firewall::Change;
use crate::postgres::Access;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a new guard may take until it stands guard.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// What a guard is told that leaves the systemd service it was started in.
pub const OUTSIDE: &str = "outside";

pub enum Guard {
    Child(Child),
    /// This process itself, for what it does beside its guard duty.
    Myself,
}

/// A guard that has to be told what is to stand on its port.
pub struct Handle {
    pub(super) guard: Guard,
    sender: Sender,
    access: Access,
    target: Option<Target>,
}

impl Handle {
    /// Starts a guard for a port. It does nothing until it is told what to guard, and ends if
    /// this process does before that. With `outside` it leaves the systemd service that this
    /// process is in.
    pub fn start(port: u16, outside: bool) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        // The very program that runs, even if its file was replaced meanwhile.
        let child = Command::new("/proc/self/exe")
            .arg0(NAME)
            .arg(port.to_string())
            .args(outside.then_some(OUTSIDE))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Self::new(Guard::Child(child), ours)
    }

    pub fn inside(stream: UnixStream) -> io::Result<Self> {
        Self::new(Guard::Myself, stream)
    }

    fn new(guard: Guard, stream: UnixStream) -> io::Result<Self> {
        Ok(Self { guard, sender: Sender::new(stream)?, access: Access::default(), target: None })
    }

    /// The pid of one that was started here.
    pub fn pid(&self) -> Option<u32> {
        match &self.guard {
            Guard::Child(child) => Some(child.id()),
            Guard::Myself => None,
        }
    }

    /// Tells it what to guard from `at` on.
    pub fn take(&mut self, at: Moment, cordon: Cordon, access: Access) -> io::Result<()> {
        self.access = access;
        self.again(at, cordon)
    }

    /// Tells it what to guard instead, from `at` on.
    pub fn again(&mut self, at: Moment, cordon: Cordon) -> io::Result<()> {
        self.target = Some(Target::new(cordon.clone(), at));
        let (cordon, access) = (Box::new(cordon), Box::new(self.access.clone()));
        self.sender.tell(at, Message::Take { cordon, access })
    }

    pub fn change(&mut self, at: Moment, change: &Change) -> io::Result<()> {
        if let Some(target) = &mut self.target {
            target.change(at, change);
        }
        self.sender.tell(at, Message::Change(change.clone()))
    }

    pub fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// Waits until it stands guard.
    pub fn wait(&mut self) -> io::Result<()> {
        self.sender.wait_for_word(READY_WITHIN)?;
        self.sender.tell(Moment::now(), Message::Heard)
    }

    /// Ends it, unless it is this process itself.
    pub fn kill(&mut self) {
        if let Guard::Child(child) = &mut self.guard {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
