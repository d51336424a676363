//! The host fails: `/run` is read-only or full, file descriptors are exhausted.
//!
//! | fault | `start`, `extend` | `lift` | `status` |
//! | --- | --- | --- | --- |
//! | `/run` read-only, or without an inode for a lock | 1 `lock`, nothing is changed | 0, with a warning | 0 |
//! | `/run` full, or the lock is there | 0 | 0 | 0 |
//! | no descriptor for libraries | 127, the loader's | 127 | 127 |
//! | few descriptors | 1, or 3 with the reason | 1, or 0 | 0, with a warning |

use super::case::{Case, Command, left};
use crate::lab::{Lab, SOON, START};

const READ_ONLY: &str = "mount -o remount,ro /run";

/// Fills `/run` with empty files, until there is room for no other.
const NO_INODE: &str = "mount -o remount,nr_inodes=100 /run; mkdir /run/filler; \
    for number in {1..100}; do : 2>/dev/null >/run/filler/$number || exit 0; done; exit 1";

#[test]
fn without_a_lock_nothing_is_closed_and_everything_can_be_opened() {
    for fault in [READ_ONLY, NO_INODE] {
        for command in Command::ALL {
            let lab = Lab::bare(1);
            let server = &lab.server;
            let port = server.at_v4(5432);
            command.prepare(server);
            if command != Command::Start {
                // What a guard writes to cannot be made read-only, and it makes what is missing.
                server.kill_every_pgcordon();
                server.shell("rm -r /run/pgcordon").assert_status(0);
            }
            server.shell(fault).assert_status(0);
            let outcome = command.tool(server).run();
            let case = Case::of(server, &format!("{command:?} after {fault}"), outcome);
            case.judge(command);
            match command {
                Command::Start | Command::Extend => {
                    case.outcome.assert_failure(1, "lock");
                }
                Command::Lift | Command::Ramp => {
                    case.outcome.assert_status(0).assert_stderr_has("without a lock");
                }
                Command::Status => {
                    case.outcome.assert_status(0);
                }
            }
            if matches!(command, Command::Start | Command::Lift) {
                lab.clients[0].reach(port, SOON);
            }
        }
    }
}

#[test]
fn a_full_run_is_no_obstacle_where_a_lock_can_be_had() {
    let full = "mount -o remount,size=64k /run; ! cp /dev/zero /run/filler 2>/dev/null";
    for (fault, lock_is_there) in [(full, true), (full, false), (NO_INODE, true)] {
        let lab = Lab::bare(0);
        let server = &lab.server;
        if lock_is_there {
            server.cordon("start --for 1m --no-drain");
            server.cordon("lift");
        }
        server.shell(fault).assert_status(0);
        for command in Command::ALL {
            let name = format!("{command:?} after {fault}");
            command.prepare(server);
            let case = Case::of(server, &name, command.tool(server).run());
            case.judge(command);
            case.check(case.status == 0, "all is well");
            server.cordon("lift");
        }
    }
}

#[test]
fn a_process_without_file_descriptors_fails_or_tells_what_it_could_not_do() {
    /// With so many everything works, three clients to be cut included.
    const ENOUGH: u32 = 40;
    let lab = Lab::new(1);
    let (server, client) = (&lab.server, &lab.clients[0]);
    for command in Command::ALL {
        let mut endings = Vec::new();
        for limit in 3..=ENOUGH {
            let sessions = client.connect_many(server.at_v4(5432), 3);
            command.prepare(server);
            let nofile = format!("--nofile={limit}:{limit}");
            let outcome = command.tool(server).under(["prlimit", &nofile]).run();
            if outcome.status.code() == Some(127) {
                // The dynamic loader has not found its libraries.
                assert!(limit < 5, "{outcome}");
                let before = (command != Command::Start).then_some(580..=600);
                let now = left(server);
                assert_eq!(now.is_some(), before.is_some(), "{outcome}");
            } else {
                let name = format!("{command:?} with {limit} descriptors");
                let case = Case::of(server, &name, outcome);
                case.judge(command);
                let told = case.status != 1 || case.outcome.stderr.contains("ulimit -Hn");
                case.check(told, "it says how to get more");
                endings.push(case.status);
            }
            assert!(lab.cluster().connect_local().is_alive());
            server.cordon("lift");
            drop(sessions);
        }
        assert_eq!(endings.last(), Some(&0), "{command:?}");
        let first = i32::from(command != Command::Status);
        assert_eq!(endings.first(), Some(&first), "{command:?}");
    }
}

#[test]
fn a_port_is_opened_although_run_cannot_be_written() {
    let lab = Lab::bare(0);
    lab.server.cordon(START);
    lab.server.shell("mount -o remount,ro /run");
    lab.server.cordon("lift");
    assert_eq!(lab.server.ruleset(), "");
}
