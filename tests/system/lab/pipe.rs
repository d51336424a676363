//! What a program prints, collected while it runs.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// One pipe from a program.
pub struct Pipe(Arc<Shared>);

#[derive(Default)]
struct Shared {
    collected: Mutex<Collected>,
    changed: Condvar,
}

/// What came out of it so far.
#[derive(Default)]
pub struct Collected {
    bytes: Vec<u8>,
    /// Whether nobody holds the other end any more.
    pub ended: bool,
}

impl Collected {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Pipe {
    /// Reads `source` to its end, in a thread of its own.
    pub fn collect(mut source: impl Read + Send + 'static) -> Pipe {
        let shared = Arc::new(Shared::default());
        let pipe = Pipe(shared.clone());
        thread::spawn(move || {
            let mut page = [0; 4096];
            loop {
                let count = source.read(&mut page).unwrap_or(0);
                let mut collected = shared.collected.lock().expect("lock");
                collected.bytes.extend_from_slice(&page[..count]);
                collected.ended = count == 0;
                shared.changed.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        pipe
    }

    /// All text so far.
    pub fn text(&self) -> String {
        self.0.collected.lock().expect("lock").text()
    }

    /// Waits until `enough` holds; says whether it does.
    pub fn wait(&self, limit: Duration, enough: impl Fn(&Collected) -> bool) -> bool {
        let collected = self.0.collected.lock().expect("lock");
        let wait = self.0.changed.wait_timeout_while(collected, limit, |c| !enough(c));
        !wait.expect("lock").1.timed_out()
    }
}
