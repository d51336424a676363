//! Network namespaces of a test's own: one for the server, one for its remote clients.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// The server's address on the link to the remote clients.
pub const SERVER: &str = "203.0.113.1";
/// The remote clients' address.
pub const CLIENT: &str = "203.0.113.7";

/// For what has to come to pass, however busy the machine is.
pub const LONG: Duration = Duration::from_secs(30);

/// Runs a story in a thread with a new network namespace in which `lo` is up.
pub fn in_namespace(story: impl FnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests make namespaces and so need root");
        ip("link set lo up");
        story();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs `ip` in the calling thread's namespace.
pub fn ip(arguments: &str) {
    run("ip", &arguments.split_whitespace().collect::<Vec<_>>());
}

pub fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {} {said}", output.status);
}

/// A namespace at the other end of a link (`link0`), with the remote clients in it.
pub struct Remote {
    namespace: File,
}

impl Remote {
    /// Makes the namespace and links the calling thread's to it.
    pub fn linked() -> Self {
        let namespace = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("a second namespace");
            File::open("/proc/thread-self/ns/net").expect("the namespace's file")
        });
        let namespace = namespace.join().expect("the namespace's thread");
        let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
        ip(&format!("link add link0 type veth peer name link0 netns {path}"));
        let remote = Self { namespace };
        let up = |address: &str, v6: &str, link_local: &str| {
            ip("link set link0 addrgenmode none");
            ip(&format!("addr add {address}/24 dev link0"));
            ip(&format!("addr add {v6}/64 dev link0 nodad"));
            ip(&format!("addr add {link_local}/64 dev link0 nodad"));
            ip("link set link0 up");
        };
        remote.run(move || {
            ip("link set lo up");
            up(CLIENT, "2001:db8::7", "fe80::7");
        });
        up(SERVER, "2001:db8::1", "fe80::1");
        remote
    }

    /// Runs something in that namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&self.namespace, CloneFlags::CLONE_NEWNET).expect("enter the namespace");
                work()
            });
            match thread.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A connection from that namespace.
    pub fn connect(&self, address: SocketAddr) -> TcpStream {
        self.run(|| connect(address))
    }
}

/// A connection from the calling thread's namespace; a link's first moments are waited for.
pub fn connect(address: SocketAddr) -> TcpStream {
    within(LONG, "a connection", || {
        match TcpStream::connect_timeout(&address, LONG) {
            Ok(stream) => {
                // No story may wait for ever for a byte or a close.
                let limit = Some(LONG);
                stream.set_read_timeout(limit).expect("a read timeout");
                Some(stream)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                panic!("{address} refuses connections")
            }
            Err(_) => None,
        }
    })
}

/// A listener of both families and a free port.
pub fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("[::]:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    (listener, port)
}

/// Asks again and again, for a bounded time, for what has no event to wait for.
pub fn within<T>(limit: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} did not come to be");
        thread::sleep(Duration::from_millis(2));
    }
}
