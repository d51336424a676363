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

/// A backend that has not ended.
pub struct Met {
    pidfd: OwnedFd,
    /// What is known of it, for the report.
    pub peer: Peer,
    /// Whether it was told to end.
    pub told: bool,
}

/// All backends that the drain has met.
pub struct Watch {
    epoll: AsyncFd<OwnedFd>,
    alive: HashMap<i32, Met>,
    found: usize,
}

impl Watch {
    pub fn new() -> io::Result<Self> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll: fd::watched(set)?, alive: HashMap::new(), found: 0 })
    }

    /// Watches a backend, unless it is watched already.
    pub fn add(&mut self, pid: i32, pidfd: OwnedFd, peer: Peer) -> io::Result<()> {
        if self.alive.contains_key(&pid) {
            return Ok(());
        }
        let data = epoll::EventData::new_u64(pid.unsigned_abs().into());
        epoll::add(self.epoll.get_ref(), &pidfd, data, epoll::EventFlags::IN)?;
        self.alive.insert(pid, Met { pidfd, peer, told: false });
        self.found += 1;
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
                let pid = i32::try_from(event.data.u64()).unwrap_or_default();
                if let Some(met) = self.alive.remove(&pid) {
                    epoll::delete(self.epoll.get_ref(), &met.pidfd)?;
                }
            }
            if count < BATCH {
                return Ok(());
            }
        }
    }

    pub fn alive_mut(&mut self, pid: i32) -> Option<&mut Met> {
        self.alive.get_mut(&pid)
    }

    pub fn is_alive(&self, pid: i32) -> bool {
        self.alive.contains_key(&pid)
    }

    pub fn alive(&self) -> usize {
        self.alive.len()
    }

    pub fn found(&self) -> usize {
        self.found
    }

    /// Those that are still there, by pid.
    pub fn left(&self) -> Vec<Peer> {
        let mut left: Vec<Peer> = self.alive.values().map(|met| met.peer.clone()).collect();
        left.sort_by_key(|peer| peer.pid);
        left
    }
}
