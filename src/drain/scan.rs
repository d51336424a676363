//! The port's sockets as the kernel lists them, look after look, and those that were destroyed.

use super::{Classifier, DrainError};
use crate::clients::{DestroyError, Destroyed, Socket, Sockets};
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A send queue that has not moved for this long belongs to a client that does not read.
const STUCK: Duration = Duration::from_millis(200);

pub struct SocketScan {
    sockets: Sockets,
    port: u16,
    /// All sockets of the last look, local ones too.
    pub all: Vec<Socket>,
    pub left: Left,
    /// Every remote socket that was seen, by cookie.
    pub found: HashSet<u64>,
    pub destroyed: HashSet<u64>,
    /// The clients of destroyed sockets.
    pub reset: Vec<SocketAddr>,
    /// Sockets whose backend is known, by inode.
    pub owned: HashSet<u32>,
    /// Sockets with a send queue, by cookie.
    queues: HashMap<u64, Queue>,
}

/// The remote sockets of one look.
#[derive(Default)]
pub struct Left {
    pub open: Vec<Socket>,
    pub closing: Vec<SocketAddr>,
}

struct Queue {
    acknowledged: Option<u64>,
    since: Instant,
    moved: bool,
}

impl SocketScan {
    pub fn new(port: u16) -> Result<Self, DrainError> {
        Ok(Self {
            sockets: Sockets::open().map_err(DrainError::Scan)?,
            port,
            all: Vec::new(),
            left: Left::default(),
            found: HashSet::new(),
            destroyed: HashSet::new(),
            reset: Vec::new(),
            owned: HashSet::new(),
            queues: HashMap::new(),
        })
    }

    /// Every remote socket but those in TIME_WAIT, which no process and no byte can use.
    pub fn remote(&mut self, classifier: &mut Classifier) -> Result<Vec<Socket>, DrainError> {
        let all = self.sockets.connected(self.port);
        self.all = all.map_err(DrainError::Scan)?;
        classifier.look_again();
        let mut remote = Vec::new();
        for socket in &self.all {
            let counts = socket.state.is_open() || socket.state.is_closing();
            if counts && classifier.cuts(socket).map_err(DrainError::Routing)? {
                remote.push(socket.clone());
            }
        }
        Ok(remote)
    }

    pub fn listening(&mut self) -> Result<Vec<Socket>, DrainError> {
        let listening = self.sockets.listening(self.port);
        listening.map_err(DrainError::Scan)
    }

    /// Destroys a socket; that it has gone meanwhile is as good.
    pub fn destroy(&mut self, socket: &Socket) -> Result<(), DestroyError> {
        match self.sockets.destroy(socket) {
            Ok(Destroyed::Done) => {
                self.destroyed.insert(socket.cookie());
                self.reset.push(socket.remote);
                Ok(())
            }
            Ok(Destroyed::Gone | Destroyed::Closing) | Err(DestroyError::NotOpen(..)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub fn follow_queue(&mut self, socket: &Socket) {
        if socket.send_queue == 0 {
            self.queues.remove(&socket.cookie());
            return;
        }
        let queue = self.queues.entry(socket.cookie()).or_insert(Queue {
            acknowledged: socket.acknowledged,
            since: Instant::now(),
            moved: false,
        });
        queue.moved |= queue.acknowledged != socket.acknowledged;
    }

    /// Takes over a look. A socket that has gone meanwhile leaves no question whether its
    /// client reads.
    pub fn take_over(&mut self, left: Left) {
        let open: HashSet<u64> = left.open.iter().map(Socket::cookie).collect();
        self.queues.retain(|cookie, _| open.contains(cookie));
        self.left = left;
    }

    /// Whether it is not yet clear that a socket's client reads.
    pub fn may_not_be_read(&self, cookie: u64) -> bool {
        let queue = self.queues.get(&cookie);
        queue.is_some_and(|queue| !queue.moved) && !self.destroyed.contains(&cookie)
    }

    /// Whether a socket's client has not read for so long that it will not read a farewell.
    /// Once its backend was told, the queue holds the last message itself, which may take its
    /// time on a slow link; one that is `held` was not told.
    pub fn is_stuck(&self, socket: &Socket, held: bool) -> bool {
        let waits = held || !self.owned.contains(&socket.inode);
        let queue = self.queues.get(&socket.cookie());
        // On a slow link an acknowledgement, or one that was lost and its repetition, takes
        // longer; and the one reset that such a client is sent may be lost as well.
        let patience = STUCK + 4 * socket.round_trip;
        waits && queue.is_some_and(|queue| !queue.moved && queue.since.elapsed() >= patience)
    }

    /// Classifies the sockets of the last look again: some may stay by now.
    pub fn classify_again(&mut self, classifier: &mut Classifier) -> Result<(), DrainError> {
        for socket in std::mem::take(&mut self.left.open) {
            if classifier.cuts(&socket).map_err(DrainError::Routing)? {
                self.left.open.push(socket);
            } else {
                self.found.remove(&socket.cookie());
            }
        }
        Ok(())
    }
}
