//! The processes of a host, by their ids in the lab.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::host::Host;
use super::story::SOON;

/// How often a state is read that no event announces.
pub(super) const GLANCE: Duration = Duration::from_millis(5);

impl Host {
    /// The processes on this host's network that bear this name, dead ones left out.
    pub fn pids_of(&self, name: &str) -> Vec<i32> {
        self.pids_where(|place| {
            fs::read_to_string(place.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
        })
    }

    /// Waits until no process of this name is left: one that was killed may take a moment to go.
    pub fn wait_none(&self, name: &str) {
        for pid in self.pids_of(name) {
            self.wait_gone(pid, SOON);
        }
    }

    /// The processes on this host's network that run pgcordon, whatever they are called.
    pub fn pids_of_pgcordon(&self) -> Vec<i32> {
        self.pids_where(|place| {
            fs::read_link(place.join("exe")).is_ok_and(|exe| exe.ends_with("pgcordon"))
        })
    }

    /// Kills every pgcordon on this host with SIGKILL; returns when they are gone.
    pub fn kill_every_pgcordon(&self) {
        let pids = self.pids_of_pgcordon();
        for pid in &pids {
            self.signal(*pid, "KILL");
        }
        for pid in pids {
            self.wait_gone(pid, SOON);
        }
    }

    /// Sends a signal, such as `KILL`, to a process. It is no error that it has ended.
    pub fn signal(&self, pid: i32, signal: &str) {
        let outcome = self.run(["kill", "-s", signal, "--", &pid.to_string()]);
        if self.is_process(pid) {
            outcome.assert_status(0);
        }
    }

    /// Whether a process is there and not dead.
    pub fn is_process(&self, pid: i32) -> bool {
        self.inside(|| is_alive(Path::new(&format!("/proc/{pid}"))))
    }

    /// Waits for the end of a process. It is looked at again and again: a pidfd for it
    /// cannot be had from outside its PID namespace by this id.
    pub fn wait_gone(&self, pid: i32, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.is_process(pid) {
            assert!(Instant::now() < deadline, "process {pid} is there after {limit:?}");
            std::thread::sleep(GLANCE);
        }
    }

    /// The id that the test process sees of a process that has this one in the lab.
    pub fn pid_outside(&self, pid: i32) -> u32 {
        let land = fs::metadata(format!("/proc/{}/ns/pid", self.space.first_pid()));
        let land = land.expect("the lab's first process").ino();
        let is_it = |place: &Path| {
            let same = fs::metadata(place.join("ns/pid")).is_ok_and(|ns| ns.ino() == land);
            let status = fs::read_to_string(place.join("status")).unwrap_or_default();
            let ids = status.lines().find(|line| line.starts_with("NSpid:"));
            let last = ids.and_then(|line| line.split_whitespace().last()?.parse().ok());
            same && last == Some(pid)
        };
        fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
            .find(|(_, place)| is_it(place))
            .map(|(outside, _): (u32, _)| outside)
            .unwrap_or_else(|| panic!("no process {pid} in the lab"))
    }

    fn pids_where(&self, wanted: impl Fn(&Path) -> bool + Sync) -> Vec<i32> {
        let network = self.space.net_inode();
        self.inside(|| {
            let mut pids = Vec::new();
            for entry in fs::read_dir("/proc").expect("the lab's /proc").flatten() {
                let place = entry.path();
                let there = fs::metadata(place.join("ns/net")).map(|net| net.ino());
                if let Ok(pid) = entry.file_name().to_string_lossy().parse() {
                    if there.is_ok_and(|net| net == network) && is_alive(&place) && wanted(&place) {
                        pids.push(pid);
                    }
                }
            }
            pids
        })
    }
}

/// Whether this directory of `/proc` is that of a process that is not dead.
fn is_alive(place: &Path) -> bool {
    fs::read_to_string(place.join("stat")).is_ok_and(|stat| {
        let state = stat.rsplit_once(") ").map(|(_, rest)| rest.chars().next());
        state != Some(Some('Z')) && state != Some(Some('X'))
    })
}
