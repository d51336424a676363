//! A guard outlives whatever has started it: a shell, an ssh session, a systemd unit.

use super::NAME;
use rustix::io::Errno;
use std::ffi::CString;
use std::path::Path;

/// Where systemd's own processes are, under the unified and the older hierarchies of control
/// groups: nothing there is killed when a unit ends.
const SYSTEMD: [&str; 3] = [
    "/sys/fs/cgroup/init.scope",
    "/sys/fs/cgroup/unified/init.scope",
    "/sys/fs/cgroup/systemd/init.scope",
];

/// Takes a session, without a terminal, and a name of its own. With `leave_unit` it also
/// leaves the systemd service that it was started in: systemd kills what a service leaves
/// behind (systemd.kill(5), `KillMode=control-group`).
pub fn detach(leave_unit: bool) {
    match rustix::process::setsid() {
        // The leader of a process group has a session of its own already.
        Ok(_) | Err(Errno::PERM) => {}
        Err(error) => tracing::warn!(%error, "the guard stays in its session"),
    }
    let name = CString::new(NAME).unwrap_or_default();
    if let Err(error) = rustix::thread::set_name(&name) {
        tracing::warn!(%error, "the guard has no name");
    }
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    if leave_unit && is_in_service(&own) {
        let left = SYSTEMD.iter().any(|group| {
            let members = Path::new(group).join("cgroup.procs");
            std::fs::write(members, "0").is_ok()
        });
        if !left {
            tracing::warn!(
                "the guard could not leave its systemd service, and ends when that does"
            );
        }
    }
}

/// Whether a process is in a service of systemd, by its `/proc/PID/cgroup`.
fn is_in_service(groups: &str) -> bool {
    let of_systemd =
        groups.lines().filter(|line| line.starts_with("0::") || line.contains(":name=systemd:"));
    let mut paths = of_systemd.filter_map(|line| line.splitn(3, ':').nth(2));
    paths.any(|path| path.split('/').any(|part| part.ends_with(".service")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_told_from_a_login() {
        assert!(is_in_service("0::/system.slice/backup.service\n"));
        assert!(is_in_service("1:name=systemd:/system.slice/a.service/x\n"));
        assert!(is_in_service(
            "4:memory:/\n0::/user.slice/user-0.slice/user@0.service/app.slice/a.scope\n"
        ));
        assert!(!is_in_service("0::/user.slice/user-0.slice/session-3.scope\n"));
        assert!(!is_in_service("2:cpu:/system.slice/a.service\n0::/\n"));
        assert!(!is_in_service(""));
    }
}
