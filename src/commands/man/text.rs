//! What the manual says beyond the definitions of the command line.

/// A term and what it means.
pub type Entry = (&'static str, &'static str);

/// Before the list of kinds.
pub const ERRORS: [&str; 2] = [
    "A failure is one line on standard error that says what failed and why, and a hint what to do next. With --output json standard output has one object with result \"failed\" and error, which holds kind, message and hint.",
    "Messages may change; the kinds are fixed words for programs:",
];

/// What of the environment matters.
pub const ENVIRONMENT: [Entry; 3] = [
    ("NO_COLOR", "If it is set and not empty, output has no colours."),
    ("SUDO_UID", "Names the author of a window where no login is behind the process."),
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
