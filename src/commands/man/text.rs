//! What the manual says beyond the definitions of the command line.

/// A term and what it means.
pub type Entry = (&'static str, &'static str);

/// Those of `Exit`, and what they mean.
pub const EXIT_STATUSES: [Entry; 14] = [
    ("0", "Done, or already so."),
    ("1", "Failed; nothing of this call is in force."),
    ("2", "Usage or policy error."),
    (
        "3",
        "The cordon is in force, the drain is incomplete or could not be verified; or what was changed could not be read back or taken back.",
    ),
    ("4", "No window (extend, drain, allow, status --check)."),
    ("77", "A privilege is missing; the message names it."),
    (
        "124",
        "The window was over before CMD (run), whatever CMD's own status was.",
    ),
    ("125", "pgcordon itself failed (run), for any reason."),
    ("126", "CMD cannot be executed (run)."),
    ("127", "CMD was not found (run)."),
    (
        "129",
        "SIGHUP came before CMD was started (run); what this call raised is lifted.",
    ),
    (
        "130",
        "Interrupted by SIGINT; what this call raised is lifted.",
    ),
    (
        "131",
        "SIGQUIT came before CMD was started (run); what this call raised is lifted.",
    ),
    ("143", "Ended by SIGTERM; what this call raised is lifted."),
];

/// Before the list of kinds.
pub const ERRORS: [&str; 2] = [
    "A failure is one line on standard error that says what failed and why, and a hint what to do next. With --output json standard output has one object with result \"failed\" and error, which holds kind, message and hint.",
    "Messages may change; the kinds are fixed words for programs:",
];

/// The kinds of `Failure`, in alphabetical order.
pub const KINDS: [Entry; 31] = [
    (
        "clients",
        "Sockets or processes could not be listed, so nobody knows who is connected.",
    ),
    ("command", "CMD of run cannot be run, or not be waited for."),
    (
        "guard",
        "The guard of a window could not be ended, and would put back what is taken away.",
    ),
    (
        "incomplete",
        "With --strict: the drain was incomplete, and the cordon is lifted again.",
    ),
    (
        "interrupted",
        "SIGINT or SIGTERM came; what this call raised is lifted.",
    ),
    (
        "kernel",
        "The kernel refused a part of the cordon; the message says which.",
    ),
    (
        "left",
        "What this call raised could not be taken back: it is in force, and ends at its time (status 3).",
    ),
    ("lock", "The lock under /run/pgcordon could not be used."),
    ("locked", "Another call is changing the same port."),
    (
        "netlink",
        "The firewall could not be spoken to: nf_tables is not available to this process.",
    ),
    (
        "no-answer",
        "The kernel did not answer: look with status what is in force.",
    ),
    (
        "no-length",
        "Neither --for nor a policy says how long the window lasts.",
    ),
    (
        "no-ramp",
        "The window has no ramp of its own, and lift --ramp was given no length.",
    ),
    ("no-window", "No window is in force."),
    (
        "not-postgresql",
        "The port belongs to a program that is not PostgreSQL.",
    ),
    ("occupied", "The port is in a window already (hold)."),
    ("owned", "Another program owns the table."),
    (
        "pass-list",
        "An entry of the pass list is wrong or cannot be read.",
    ),
    ("pg-host", "--pg-host is not an address of this host."),
    (
        "policy",
        "A policy is not there, not to be trusted, or bad; the message names file, line and key.",
    ),
    (
        "privilege",
        "A capability is missing; the message names it.",
    ),
    (
        "race",
        "Another program changed the window at the same time.",
    ),
    (
        "read-back",
        "What the kernel has is not what was written; nothing of it is kept.",
    ),
    ("report", "The file of --report cannot be written."),
    ("runtime", "This process could not be prepared."),
    (
        "spare",
        "--spare needs SQL, which could not be had; nobody else was cut.",
    ),
    ("too-long", "The window is longer than 24 h, or than --max."),
    ("usage", "The command line is wrong."),
    (
        "which-window",
        "There are several windows and none was named.",
    ),
    (
        "window-differs",
        "The window in force lets other clients through than was asked.",
    ),
    ("write", "A file of the manual could not be written (man)."),
];

/// What of the environment matters.
pub const ENVIRONMENT: [Entry; 3] = [
    (
        "NO_COLOR",
        "If it is set and not empty, output has no colours.",
    ),
    (
        "SUDO_UID",
        "Names the author of a window where no login is behind the process.",
    ),
    (
        "PG*",
        "The variables of libpq are ignored: how PostgreSQL is reached is told by the --pg- flags alone.",
    ),
];

/// Files, of the program and of its packages.
pub const FILES: [Entry; 4] = [
    (
        "/run/pgcordon/",
        "Locks and the guards' pids, named by network namespace and port. No state: that is in the kernel.",
    ),
    (
        "/etc/pgcordon/policies/, /usr/share/pgcordon/policies/",
        "Policies by name. default.yaml in the first is used when none is named.",
    ),
    (
        "pgcordon@.service, pgcordon@.timer",
        "Units of systemd: a guarded window with the policy of the instance's name, and an example of a weekly one.",
    ),
    (
        "/usr/share/pgcordon/scripts/",
        "Examples for a runbook: cut-everyone, run-sql, major-upgrade.",
    ),
];

/// How to open a port without this program.
pub const BY_HAND: [&str; 2] = [
    "There is one nftables table for each port. A guard would put it back: end that first; its process id is the guard_pid of status, and stands in the comment of the window's element.",
    "Nothing else is needed, and no process is: the kernel opens the port by itself at the window's end.",
];

/// The commands for it.
pub const BY_HAND_COMMANDS: &str = "\
nft list table inet pgcordon_5432
kill -KILL PID
nft delete table inet pgcordon_5432";

/// What it runs on.
pub const REQUIREMENTS: [&str; 2] = [
    "Linux 5.4 or later with nf_tables (inet, fib, limit, counter, named sets), and inet_diag for TCP. --verdict reset needs Linux 5.9. Where the kernel cannot destroy sockets (CONFIG_INET_DIAG_DESTROY), the drain does what it can with SIGTERM.",
    "PostgreSQL 12 to 18. The capability CAP_NET_ADMIN, and for a drain CAP_KILL, CAP_SETUID, CAP_SETGID, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: root has them.",
];

/// For the page of the whole.
pub const EXAMPLES: &str = "\
pgcordon plan --for 10m
pgcordon start --for 10m --reason 'reindex orders'
pgcordon status
pgcordon extend --by 5m
pgcordon lift";

/// Beside the other pages.
pub const SEE_ALSO: [(&str, &str); 4] =
    [("nft", "8"), ("psql", "1"), ("ss", "8"), ("systemctl", "1")];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The kinds as they stand in the code: the first of a pair of literals in error.rs,
    /// and what the command line's own mistakes bear.
    fn kinds_of_the_code() -> BTreeSet<&'static str> {
        let source = include_str!("../error.rs");
        let parts: Vec<&str> = source.split('"').collect();
        let is_word = |text: &str| {
            let good = |c: char| c.is_ascii_lowercase() || c == '-';
            !text.is_empty() && text.chars().all(good)
        };
        let mut kinds = BTreeSet::from(["usage"]);
        for around in parts.windows(3).step_by(2) {
            let opens = around[0].trim_end().ends_with('(');
            let goes_on = around[2].starts_with(',');
            if opens && goes_on && is_word(around[1]) {
                kinds.insert(around[1]);
            }
        }
        kinds
    }

    #[test]
    fn the_manual_lists_the_kinds_of_the_code() {
        let listed: BTreeSet<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(listed, kinds_of_the_code());
        let in_order: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(in_order, listed.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_kind_of_a_usage_error_is_the_codes() {
        assert!(include_str!("../../app/usage.rs").contains("kind: \"usage\""));
    }

    #[test]
    fn the_exit_statuses_are_those_of_the_code() {
        let source = include_str!("../exit.rs");
        let (_, table) = source.split_once("fn status(self)").unwrap();
        let (table, _) = table.split_once("\n    }\n").unwrap();
        let arms = table.lines().filter_map(|line| {
            let status = line.trim().split_once(" => ")?.1.strip_suffix(',')?;
            status.parse::<u8>().ok()
        });
        let mut arms: Vec<u8> = arms.collect();
        arms.sort_unstable();
        let listed = EXIT_STATUSES.iter().map(|(status, _)| status.parse());
        assert_eq!(listed.collect::<Result<Vec<u8>, _>>(), Ok(arms));
    }
}
