//! The logs of a host, taken by the real programs.

use std::time::Instant;

use serde_json::Value;

use super::host::Host;
use super::processes::GLANCE;
use super::running::Running;
use super::story::SOON;

/// journald, with nothing but what this host's programs send.
const JOURNALD: &str = "mkdir -p /run/systemd/journald.conf.d
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\n' \
    >/run/systemd/journald.conf.d/lab.conf
exec /lib/systemd/systemd-journald";

/// syslogd on a /dev of this host's own, since /dev/log stands there.
const SYSLOGD: &str = "mkdir /run/dev
mount --rbind /dev /run/dev
mount -t tmpfs -o mode=0755 dev /dev
for device in null zero full random urandom tty ptmx; do
    touch /dev/$device
    mount --bind /run/dev/$device /dev/$device
done
mkdir /dev/pts
mount --bind /run/dev/pts /dev/pts
ln -s /proc/self/fd /dev/fd
exec busybox syslogd -n -O /run/messages";

impl Host {
    /// Starts journald here.
    pub fn start_journald(&self) -> Running {
        self.start_log(JOURNALD, "/run/systemd/journal/socket")
    }

    /// Starts syslogd here.
    pub fn start_syslogd(&self) -> Running {
        self.start_log(SYSLOGD, "/dev/log")
    }

    fn start_log(&self, script: &str, socket: &str) -> Running {
        let log = self.program("bash").args(["-euc", script]).spawn();
        self.wait_for(|| self.inside(|| std::fs::metadata(socket).is_ok()), socket);
        log
    }

    /// What the journal has of pgcordon, once a record of this action is there: for each
    /// record its fields.
    pub fn journal(&self, action: &str) -> Vec<Value> {
        let mut records = Vec::new();
        let line = "journalctl -q -D /run/log/journal -o json -t pgcordon";
        self.wait_for(
            || {
                let text = self.run(line.split(' ')).stdout;
                let parse = |line| serde_json::from_str(line).expect("JSON of journalctl");
                records = text.lines().map(parse).collect();
                let is_there = |record: &Value| record["PGCORDON_ACTION"] == action;
                records.iter().any(is_there)
            },
            action,
        );
        records
    }

    fn wait_for(&self, mut is_there: impl FnMut() -> bool, what: &str) {
        let deadline = Instant::now() + SOON;
        while !is_there() {
            assert!(Instant::now() < deadline, "no {what} within {SOON:?}");
            std::thread::sleep(GLANCE);
        }
    }

    /// The lines of the system log, once this text is there.
    pub fn messages(&self, text: &str) -> String {
        let mut messages = String::new();
        self.wait_for(
            || {
                messages = self.run(["cat", "/run/messages"]).stdout;
                messages.contains(text)
            },
            text,
        );
        messages
    }
}
