//! What somebody else holds up delays nobody but those who need it: a port that is stuck, and a
//! directory service that is dead.

use crate::lab::{Lab, SOON};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

/// How long a call waits for a lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// Waits until somebody has locked a file, and locks it as soon as it is free again.
fn lock_next(mut file: File) -> Flock<File> {
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(free) => file = free.unlock().unwrap(),
            Err((taken, Errno::EWOULDBLOCK)) => {
                let locked = Flock::lock(taken, FlockArg::LockExclusive);
                return locked.map_err(|(_, error)| error).unwrap();
            }
            Err((_, error)) => panic!("the lock: {error}"),
        }
        thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn a_port_whose_lock_is_held_delays_no_other_port_and_no_interrupt() {
    let lab = Lab::new(1);
    let server = &lab.server;
    let session = lab.clients[0].connect(server.at_v4(5432));
    // Nobody takes this connection, so that its drain is over at once and wants the lock.
    let _listener = server.inside(|| std::net::TcpListener::bind("0.0.0.0:5433").unwrap());
    let _waiting = lab.clients[0].tcp(server.at_v4(5433), SOON).unwrap();
    // Makes the file.
    server.cordon("start --for 1m --no-drain --any-listener --port 5433");
    server.cordon("lift --port 5433");
    let lock = server.inside(|| {
        let files = std::fs::read_dir("/run/pgcordon").unwrap();
        let mut paths = files.map(|file| file.unwrap().path());
        let path = paths.find(|path| path.to_string_lossy().ends_with("-5433.lock"));
        File::options().write(true).open(path.unwrap()).unwrap()
    });

    let trap = thread::spawn(move || lock_next(lock));
    let mut start = server.spawn_pgcordon([
        "start",
        "--for",
        "5m",
        "--port",
        "5432",
        "--port",
        "5433",
        "--any-listener",
    ]);
    let lock = trap.join().unwrap();
    let held = Instant::now();
    session.wait_end(SOON).assert_farewell();
    let took = held.elapsed();
    assert!(took < LOCK_PATIENCE, "the other port was drained in {took:?}");

    // One of its ports is stuck for the call as a whole, too.
    assert!(start.is_running());
    start.signal(Signal::SIGINT);
    while server.ruleset().contains("pgcordon_5432") {
        assert!(start.is_running(), "it has ended, and left the port closed");
    }
    drop(lock);
    start.wait(SOON).assert_status(130);
    assert_eq!(server.ruleset(), "");
}

#[test]
fn a_dead_user_database_delays_a_drain_by_a_moment() {
    let lab = Lab::new(1);
    let server = &lab.server;
    let session = lab.clients[0].connect(server.at_v4(5432));
    // Whoever opens it waits for a writer, for ever.
    server.shell("mkfifo /run/passwd && mount --bind /run/passwd /etc/passwd").assert_status(0);
    let report = server.cordon("start --for 5m");
    session.wait_end(SOON);
    let window = &report["windows"][0];
    assert_eq!(window["by"], window["by_uid"].to_string());
    assert_eq!(report["drain"]["backends"]["left"], 0, "{report}");
    server.cordon("lift");
}
