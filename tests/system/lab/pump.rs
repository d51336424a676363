//! One thread that reads for all sessions of the test process, as clients that read
//! their connections do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;

use rustix::event::epoll;
use rustix::fd::{AsFd, OwnedFd};

use super::line::Line;

struct Pump {
    epoll: OwnedFd,
    lines: Mutex<HashMap<u64, Weak<Line>>>,
}

static PUMP: OnceLock<Arc<Pump>> = OnceLock::new();

/// Has `line` read from now on whenever something arrives at `socket`.
pub fn watch(line: &Arc<Line>, socket: impl AsFd) {
    let pump = pump();
    let mut lines = pump.lines.lock().expect("lock");
    lines.insert(line.number, Arc::downgrade(line));
    let (key, flags) = (epoll::EventData::new_u64(line.number), epoll::EventFlags::IN);
    epoll::add(&pump.epoll, socket, key, flags).expect("epoll");
}

/// Leaves a connection unread, and its end unseen.
pub fn forget(line: &Line, socket: impl AsFd) {
    // An error only means that it was not watched.
    let _ = epoll::delete(&pump().epoll, socket);
    drop_line(line.number);
}

/// Forgets a line that is no more. Its closed socket is gone from epoll by itself.
pub fn drop_line(number: u64) {
    pump().lines.lock().expect("lock").remove(&number);
}

fn pump() -> &'static Pump {
    PUMP.get_or_init(|| {
        let pump = Arc::new(Pump {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC).expect("epoll"),
            lines: Mutex::default(),
        });
        let shared = pump.clone();
        thread::spawn(move || shared.run());
        pump
    })
}

impl Pump {
    fn run(&self) {
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            let spare = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, spare, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => panic!("epoll: {error}"),
            }
            for event in &events {
                let number = event.data.u64();
                let line = self.lines.lock().expect("lock").get(&number).cloned();
                if let Some(line) = line.and_then(|line| line.upgrade()) {
                    line.read();
                }
            }
        }
    }
}

/// Starts the thread, which cannot be done inside a host.
pub fn start() {
    pump();
}
