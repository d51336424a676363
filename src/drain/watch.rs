//! Waiting for processes to end, without polling: all their pidfds in one epoll set.

use crate::cordon::Peer;
use crate::sys::fd;
use rustix::event::epoll;
use rustix::time::Timespec;
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use tokio::io::unix::AsyncFd;

/// How many exits are taken in at once.
const BATCH: usize = 256;

/// A backend that the drain has met.
#[derive(Debug)]
pub struct Met {
    /// The process, kept open so that the pid cannot become another's.
    pidfd: OwnedFd,
    /// What is known of it, for the report.
    pub peer: Peer,
    /// Whether it was told to end.
    pub told: bool,
    ended: bool,
}

/// All backends that the drain has met.
pub struct Watch {
    epoll: AsyncFd<OwnedFd>,
    met: Vec<Met>,
    alive: HashMap<i32, usize>,
}

impl Watch {
    pub fn new() -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll: fd::watched(set)?, met: Vec::new(), alive: HashMap::new() })
    }

    /// Watches a backend, unless it is watched already.
    pub fn add(&mut self, pid: i32, pidfd: OwnedFd, peer: Peer) -> io::Result<()> {
        if self.alive.contains_key(&pid) {
            return Ok(());
        }
        let number = self.met.len();
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(self.epoll.get_ref(), &pidfd, data, epoll::EventFlags::IN)?;
        self.alive.insert(pid, number);
        self.met.push(Met { pidfd, peer, told: false, ended: false });
        Ok(())
    }

    /// Waits until at least one of them ends.
    pub async fn exit(&mut self) -> io::Result<()> {
        self.epoll.readable().await?.clear_ready();
        self.take_in()
    }

    /// Takes in who has ended.
    pub fn take_in(&mut self) -> io::Result<()> {
        let at_once = Timespec::default();
        loop {
            let mut events = Vec::with_capacity(BATCH);
            let buffer = rustix::buffer::spare_capacity(&mut events);
            let count = epoll::wait(self.epoll.get_ref(), buffer, Some(&at_once))?;
            for event in &events {
                let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                if let Some(met) = self.met.get_mut(number) {
                    epoll::delete(self.epoll.get_ref(), &met.pidfd)?;
                    met.ended = true;
                }
            }
            self.alive.retain(|_, number| !self.met[*number].ended);
            if count < BATCH {
                return Ok(());
            }
        }
    }

    pub fn alive_mut(&mut self, pid: i32) -> Option<&mut Met> {
        self.alive.get(&pid).map(|number| &mut self.met[*number])
    }

    pub fn is_alive(&self, pid: i32) -> bool {
        self.alive.contains_key(&pid)
    }

    pub fn alive(&self) -> usize {
        self.alive.len()
    }

    pub fn found(&self) -> usize {
        self.met.len()
    }

    /// Those that are still there, by pid.
    pub fn left(&self) -> Vec<Peer> {
        let left = self.met.iter().filter(|met| !met.ended);
        let mut left: Vec<Peer> = left.map(|met| met.peer.clone()).collect();
        left.sort_by_key(|peer| peer.pid);
        left
    }
}
