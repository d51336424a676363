//! Namespaces without names: file descriptors hold them, so that they vanish with the
//! test process, however it dies.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::panic;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, LazyLock, Once};
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, getrlimit, setrlimit};

/// What the first process of a lab does: give the lab a `/proc` of its own, say so, and
/// reap orphans until its standard input ends. That end comes when the test process is
/// gone, by whatever means; the kernel then kills every process of the lab.
const FIRST_PROCESS: &str = "mount -t proc proc /proc && echo up; while read -r _; do :; done";

/// The PID namespace of one lab, held up by its first process. That process's network is
/// the place of the bridge.
pub struct Land {
    first: Child,
    pid: OwnedFd,
    mount: OwnedFd,
    net: OwnedFd,
    /// PostgreSQL's shared memory bears the inode of its data directory, which labs side by
    /// side may have in common.
    ipc: OwnedFd,
}

impl Land {
    /// Starts the first process in new PID, mount, network and IPC namespaces.
    pub fn new() -> Arc<Land> {
        assert_fit();
        raise_limit();
        let mut first = apart(|| {
            let kinds =
                CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC;
            unshare(kinds).expect("unshare; a lab needs root");
            make_private();
            // Holds for the children of this thread alone; the next one is number 1.
            unshare(CloneFlags::CLONE_NEWPID).expect("unshare(CLONE_NEWPID)");
            Command::new("bash")
                .args(["--noprofile", "--norc", "-c", FIRST_PROCESS])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("bash as the lab's first process")
        });
        let mut line = String::new();
        BufReader::new(first.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("the first process's word");
        assert_eq!(line.trim(), "up", "the lab's first process did not come up");
        let namespace = |kind: &str| -> OwnedFd {
            let path = format!("/proc/{}/ns/{kind}", first.id());
            File::open(&path).unwrap_or_else(|e| panic!("{path}: {e}")).into()
        };
        let (pid, mount) = (namespace("pid"), namespace("mnt"));
        let (net, ipc) = (namespace("net"), namespace("ipc"));
        Arc::new(Land { first, pid, mount, net, ipc })
    }

    /// The first process's id as the test process sees it.
    pub fn first_pid(&self) -> u32 {
        self.first.id()
    }
}

impl Drop for Land {
    /// Kills the first process and with it all others. Handles of running programs keep
    /// the land alive: the kernel lets number 1 go only after its last process is reaped.
    fn drop(&mut self) {
        let _ = self.first.kill();
        let _ = self.first.wait();
    }
}

/// The network and mount namespaces of one host, in the PID namespace of its lab.
pub struct Space {
    land: Arc<Land>,
    net: OwnedFd,
    mount: OwnedFd,
}

impl Space {
    /// Makes a host's namespaces: an empty network, and mounts with an empty `/run` and
    /// an empty `/var/lib/postgresql` of its own.
    pub fn new(land: Arc<Land>) -> Space {
        let (net, mount) = apart(|| {
            // Afterwards /proc is the lab's, where this thread has no entry.
            let own = rustix::fs::open(
                format!("/proc/self/task/{}/ns", rustix::thread::gettid()),
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .expect("this thread's namespaces");
            unshare(CloneFlags::CLONE_FS).expect("unshare(CLONE_FS)");
            setns(&land.mount, CloneFlags::CLONE_NEWNS).expect("the lab's mount namespace");
            unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).expect("unshare");
            make_private();
            for place in ["/run", "/var/lib/postgresql"] {
                mount_empty(place);
            }
            let namespace = |kind: &str| {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                rustix::fs::openat(&own, kind, flags, Mode::empty()).expect("a namespace")
            };
            (namespace("net"), namespace("mnt"))
        });
        Space { land, net, mount }
    }

    /// The namespaces of the lab's first process itself.
    pub fn of_first_process(land: Arc<Land>) -> Space {
        let copy = |fd: &OwnedFd| fd.try_clone().expect("a copy of a descriptor");
        let (net, mount) = (copy(&land.net), copy(&land.mount));
        Space { land, net, mount }
    }

    /// The first process of its lab, as the test process sees it.
    pub fn first_pid(&self) -> u32 {
        self.land.first_pid()
    }

    /// The inode of its network namespace, as `/proc/PID/ns/net` shows it.
    pub fn net_inode(&self) -> u64 {
        rustix::fs::fstat(&self.net).expect("fstat").st_ino
    }

    /// Runs `work` in this host's namespaces, in a thread of its own. Programs that it
    /// starts are in the lab's PID namespace; the thread itself is not, so in `work`
    /// `/proc/self` does not exist and no thread can be started.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        apart(|| {
            unshare(CloneFlags::CLONE_FS).expect("unshare(CLONE_FS)");
            for (fd, kind) in [
                (self.mount.as_fd(), CloneFlags::CLONE_NEWNS),
                (self.net.as_fd(), CloneFlags::CLONE_NEWNET),
                (self.land.ipc.as_fd(), CloneFlags::CLONE_NEWIPC),
                (self.land.pid.as_fd(), CloneFlags::CLONE_NEWPID),
            ] {
                setns(fd, kind).expect("a host's namespace; has its lab ended?");
            }
            work()
        })
    }
}

/// Says why the machine is none that a lab can run on: a shell script, so that tests/run can
/// ask before anything is built.
pub const FIT: &str = include_str!("fit");

/// Fails, with one sentence, where no lab can run. The machine is asked once.
fn assert_fit() {
    static REFUSAL: LazyLock<Option<String>> = LazyLock::new(|| {
        let asked = Command::new("bash").args(["-c", FIT]).output();
        let asked = asked.expect("bash, to ask whether a lab can run");
        let said = String::from_utf8_lossy(&asked.stderr).trim().to_owned();
        (!asked.status.success()).then_some(said)
    });
    if let Some(refusal) = &*REFUSAL {
        panic!("{refusal}");
    }
}

/// Lets the test process hold thousands of sockets, where a login's soft limit is 1024. All
/// tests share it, and programs on the hosts inherit it, so it is raised before the first of
/// them; `under(["prlimit", "--nofile=1024"])` takes it back.
fn raise_limit() {
    static RAISED: Once = Once::new();
    RAISED.call_once(|| {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).expect("RLIMIT_NOFILE");
    });
}

/// Runs `work` in a thread that is thrown away afterwards; its panic is ours.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join())
        .unwrap_or_else(|reason| panic::resume_unwind(reason))
}

/// Cuts this thread's mounts off from those of the machine, both ways.
fn make_private() {
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).expect("private mounts");
}

/// Puts an empty tmpfs on `place`.
fn mount_empty(place: &str) {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("lab"), place, Some("tmpfs"), flags, Some("mode=0755"))
        .unwrap_or_else(|e| panic!("a tmpfs on {place} (is PostgreSQL installed?): {e}"));
}
