//! The scripts for a runbook, as they are shipped: the good path, no privilege, somebody who
//! cannot be cut, and Ctrl-C.

mod cut_everyone;
mod major_upgrade;
mod run_sql;

use crate::lab::{Host, Program, Running, Session};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Where an administrator would have put them.
const SHELF: &str = "/run/lab/bin";

/// A shipped script on a host where pgcordon is installed; a group of processes of its own,
/// as a shell gives it.
fn script(host: &Host, name: &str) -> Program {
    let path = format!("{SHELF}/{name}");
    let source = format!("{}/packaging/scripts/{name}", env!("CARGO_MANIFEST_DIR"));
    let tool = env!("CARGO_BIN_EXE_pgcordon");
    let installed = format!("{SHELF}/pgcordon");
    host.run(["install", "-D", tool, &installed]).assert_status(0);
    host.run(["install", "-D", &source, &path]).assert_status(0);
    host.program(&path)
        .under(["setsid"])
        .env("PATH", &format!("{SHELF}:/usr/sbin:/usr/bin:/sbin:/bin"))
}

/// What Ctrl-C does: SIGINT to the script and to all that it runs.
fn press_ctrl_c(running: &Running) {
    let group = i32::try_from(running.pid()).expect("a pid");
    killpg(Pid::from_raw(group), Signal::SIGINT).expect("SIGINT to the group");
}

/// A remote session whose backend is stopped, so that no drain ends it.
fn stuck(server: &Host, client: &Host) -> Session {
    let session = client.connect(server.at_v4(5432));
    server.signal(session.backend_pid(), "STOP");
    session
}

/// Fails unless no window and nothing of one is left.
#[track_caller]
fn assert_open(server: &Host) {
    assert_eq!(server.ruleset(), "");
}
