"""The comparisons of tests/bench, which makes the hosts and the PostgreSQL that this needs.

Runs on the server host. Whatever is compared is spawned in turn, A B A B and so on, so that
noise of the machine meets both; times are of whole processes, from spawn to exit.
"""

import argparse
import ctypes
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PORT = 5432
SERVER4, SERVER6 = "203.0.113.1", "2001:db8:53::1"
CLONE_NEWNET = 0x40000000
NETLINK_NETFILTER, NFNLGRP_NFTABLES = 12, 7
# The tables that block, as notifications name them: pgcordon's guard has one of its own.
BLOCKING = {f"pgcordon_{PORT}\0".encode(), b"recipe\0"}

# What an administrator would type: three rules.
THREE_RULES = f"""\
table inet recipe {{
    chain input {{
        type filter hook input priority 0; policy accept;
        iif lo accept
        tcp dport {PORT} counter drop comment "maintenance"
        udp dport {PORT} counter drop
    }}
}}
"""

# The whole recipe. psql is the program itself, not Debian's wrapper, which takes longer.
RECIPE = """\
set -e
nft -f "$RULES"
"$PSQL" -XAtqc "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE client_addr IS NOT NULL AND pid <> pg_backend_pid()"
until [ "$("$PSQL" -XAtqc "SELECT count(*) FROM pg_stat_activity
    WHERE client_addr IS NOT NULL")" = 0 ]
do sleep 0.01
done
"""

TCP_STATES = dict(
    enumerate(
        "ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT1 FIN_WAIT2 TIME_WAIT CLOSE CLOSE_WAIT "
        "LAST_ACK LISTEN CLOSING NEW_SYN_RECV".split(),
        1,
    )
)

# Holds sessions open and says how many it has; ends when its input does. A client that is
# cut closes its end, as every driver does.
HOLDER = """\
import selectors, socket, struct, sys
count, hosts = int(sys.argv[1]), sys.argv[2:]
body = struct.pack("!I", 196608) + b"user\\0postgres\\0database\\0postgres\\0\\0"
startup = struct.pack("!I", len(body) + 4) + body
ready = b"Z\\0\\0\\0\\5I"
waiting = selectors.DefaultSelector()
waiting.register(sys.stdin, selectors.EVENT_READ)
def idle(peer):
    seen = b""
    while not seen.endswith(ready):
        part = peer.recv(65536)
        if not part:
            sys.exit("refused: " + repr(seen))
        seen += part
for number in range(count):
    peer = socket.create_connection((hosts[number % len(hosts)], PORT))
    peer.sendall(startup)
    idle(peer)
    waiting.register(peer, selectors.EVENT_READ)
print("open", flush=True)
while True:
    for key, _ in waiting.select():
        if key.fileobj is sys.stdin:
            sys.exit()
        try:
            gone = not key.fileobj.recv(65536)
        except OSError:
            gone = True
        if gone:
            waiting.unregister(key.fileobj)
            key.fileobj.close()
""".replace("PORT", str(PORT))

# Clients that come back: each tries again after half a second without an answer, so that the
# demand stays above the rate. Says when all are in; ends when its input does.
RETURNERS = """\
import asyncio, struct, sys
count, hosts = int(sys.argv[1]), sys.argv[2:]
body = struct.pack("!I", 196608) + b"user\\0postgres\\0database\\0postgres\\0\\0"
startup = struct.pack("!I", len(body) + 4) + body
async def come_back(host):
    while True:
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, PORT), 0.5)
        except OSError:
            continue
        writer.write(startup)
        await reader.readuntil(b"Z\\0\\0\\0\\5I")
        return writer
async def main():
    back = await asyncio.gather(*(come_back(hosts[n % len(hosts)]) for n in range(count)))
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
""".replace("PORT", str(PORT))


class Bench:
    """The programs, and how they are run."""

    def __init__(self, options):
        self.options = options
        self.folder = Path(tempfile.mkdtemp(dir="/run"))
        self.rules = self.folder / "three-rules.nft"
        self.rules.write_text(THREE_RULES)
        self.server_network = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "PGHOST": "/run/postgresql",
            "PGUSER": "postgres",
            "PSQL": options.psql,
            "RULES": str(self.rules),
        }
        self.devnull = os.open(os.devnull, os.O_RDWR)
        self.messages = os.open(self.folder / "messages", os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def begin(self, command):
        """Starts a command; when, and its pid."""
        standard = (self.devnull, self.devnull, self.messages)
        files = [(os.POSIX_SPAWN_DUP2, file, fd) for fd, file in enumerate(standard)]
        began = time.perf_counter()
        return began, os.posix_spawn(command[0], command, self.environment, file_actions=files)

    def end(self, command, pid):
        """Waits for the end of a command, which must have succeeded; when that was."""
        _, status = os.waitpid(pid, 0)
        ended = time.perf_counter()
        if status != 0:
            print((self.folder / "messages").read_text(), file=sys.stderr)
            sys.exit(f"status {os.waitstatus_to_exitcode(status)}: {' '.join(command)}")
        return ended

    def spawn(self, command):
        """Runs a command to its end; its time in milliseconds."""
        began, pid = self.begin(command)
        return (self.end(command, pid) - began) * 1e3

    def spawn_until_blocked(self, command):
        """Runs a command; how many milliseconds it took until the kernel has told of the table
        that blocks."""
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
            kernel.bind((0, 1 << (NFNLGRP_NFTABLES - 1)))
            kernel.settimeout(30)
            began, pid = self.begin(command)
            while True:
                told = kernel.recv(1 << 20)
                now = time.perf_counter()
                if any(table in told for table in BLOCKING):
                    break
        self.end(command, pid)
        return (now - began) * 1e3

    def start(self, *arguments, program=None):
        return [program or self.options.pgcordon, "start", "--for", "10m", *arguments]

    def nft(self, rules):
        return ["/usr/sbin/nft", "-f", str(rules)]

    def clear(self):
        """Back to no rules and no guards at all, not timed; then a pause for what the kernel
        frees late."""
        for guard in guards():
            os.kill(guard, signal.SIGKILL)
        subprocess.run(["/usr/sbin/nft", "flush", "ruleset"], check=True)
        time.sleep(0.05)

    def alternate(self, ours, theirs, rounds, spawn=None):
        """Times of both commands, spawned in turn; the first pair warms up."""
        spawn = spawn or self.spawn
        times = ([], [])
        for number in range(rounds + 1):
            for command, taken in zip((ours, theirs), times):
                took = spawn(command)
                if number > 0:
                    taken.append(took)
                self.clear()
        return times

    def peak_memory(self, command):
        """The peak resident memory of a command in KiB, as GNU time sees it: wait4 here
        would tell of this interpreter, from which the process began."""
        out = self.folder / "peak"
        subprocess.run(
            ["/usr/bin/time", "-f", "%M", "-o", str(out), *command],
            check=True,
            stdout=subprocess.DEVNULL,
            env=self.environment,
        )
        self.clear()
        return int(out.read_text().split()[-1])

    def enter_network(self, namespace):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def sockets(self):
        """How many remote sockets of the port there are, by state."""
        found = {}
        for name in ("tcp", "tcp6"):
            for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]:
                words = line.split()
                state = TCP_STATES[int(words[3], 16)]
                if int(words[1].rsplit(":", 1)[1], 16) == PORT and state != "LISTEN":
                    found[state] = found.get(state, 0) + 1
        found.pop("TIME_WAIT", None)
        return found

    def query(self, statement):
        out = subprocess.run(
            [self.options.psql, "-XAtqc", statement],
            check=True,
            capture_output=True,
            text=True,
            env=self.environment,
        )
        return out.stdout.strip()

    def wait_for(self, what, statement, wanted):
        deadline = time.monotonic() + 60
        while (seen := self.query(statement)) != wanted:
            if time.monotonic() > deadline:
                sys.exit(f"{what}: {seen}, not {wanted}")
            time.sleep(0.05)

    def hold(self, count, script=HOLDER):
        """Opens idle sessions from every client host, over both families."""
        hosts = self.options.client_hosts
        holders = []
        for number, host in enumerate(hosts):
            share = count // len(hosts) + (number < count % len(hosts))
            holders.append(
                subprocess.Popen(
                    ["nsenter", "--net", "--target", host, "/usr/bin/python3", "-c"]
                    + [script, str(share), SERVER4, SERVER6],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
        for holder in holders:
            if holder.stdout.readline() != "open\n":
                sys.exit("sessions could not be opened")
        remote = "SELECT count(*) FROM pg_stat_activity WHERE client_addr IS NOT NULL AND state = 'idle'"
        self.wait_for("sessions", remote, str(count))
        time.sleep(0.5)
        return holders

    def release(self, holders):
        for holder in holders:
            holder.stdin.close()
            holder.wait()
            holder.stdout.close()
        deadline = time.monotonic() + 150
        while self.sockets():
            if time.monotonic() > deadline:
                sys.exit(f"sockets that do not go away: {self.sockets()}")
            time.sleep(0.05)

    def until_nobody_is_left(self, count, rounds, theirs=("/bin/sh", "-c", RECIPE)):
        """Times of both, and for each what sockets were there at its return."""
        commands = (self.start(), list(theirs))
        times, left = ([], []), ([], [])
        for number in range(rounds + 1):
            for command, taken, remaining in zip(commands, times, left):
                holders = self.hold(count)
                took = self.spawn(command)
                sockets = self.sockets()
                if number > 0:
                    taken.append(took)
                    remaining.append(sockets)
                self.clear()
                self.release(holders)
        return times, left

    def come_back(self, count, *ramp):
        """What happens after a window when all clients want in again: the most backends that
        PostgreSQL begins in one second, and how many seconds it takes until all are in."""
        holders = self.hold(count)
        self.spawn([self.options.pgcordon, "start", "--for", "3s", *ramp])
        self.release(holders)
        back = self.hold(count, RETURNERS)
        most, took = self.query(
            "SELECT max(of_second) || ' ' || extract(epoch FROM max(last) - min(first)) FROM ("
            " SELECT count(*) AS of_second, min(backend_start) AS first, max(backend_start) AS last"
            " FROM pg_stat_activity WHERE client_addr IS NOT NULL"
            " GROUP BY floor(extract(epoch FROM backend_start))) AS seconds"
        ).split()
        self.clear()
        self.release(back)
        return int(most), float(took)


class Table:
    """The results, as lines of a Markdown table."""

    def __init__(self, ours="pgcordon", theirs="compared with"):
        print(f"| what | {ours} | {theirs} | ratio |")
        print("| --- | ---: | ---: | ---: |", flush=True)

    def line(self, what, ours, theirs="", ratio=""):
        print(f"| {what} | {ours} | {theirs} | {ratio} |", flush=True)

    def times(self, what, ours, theirs):
        a, b = statistics.median(ours), statistics.median(theirs)
        # Of neighbours in time, so that a slow second of the machine meets both.
        ratio = statistics.median(x / y for x, y in zip(ours, theirs))
        self.line(what, f"{a:.1f} ms", f"{b:.1f} ms", f"{ratio:.2f}")


def guards():
    """The pids of the guards in this PID namespace."""
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and open(f"/proc/{name}/cmdline").read().startswith("pgcordon-guard"):
                found.append(int(name))
        except OSError:
            pass  # It has ended.
    return found


def guard_memory(bench):
    """What a guard takes, in KiB: the proportional set size that the kernel tells."""
    bench.spawn(bench.start())
    (guard,) = guards()
    lines = open(f"/proc/{guard}/smaps_rollup").read().splitlines()
    bench.clear()
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:")))


def pass_list(folder, count):
    """A file of networks that cannot be merged, and a table of three rules with the same."""
    networks = [
        f"{10 + (n >> 21)}.{n >> 13 & 255}.{n >> 5 & 255}.{(n & 31) << 3}/30" for n in range(count)
    ]
    listed, table = folder / "networks", folder / "networks.nft"
    listed.write_text("\n".join(networks) + "\n")
    table.write_text(
        f"""\
table inet recipe {{
    set pass4 {{
        type ipv4_addr; flags interval
        elements = {{ {", ".join(networks)} }}
    }}
    chain input {{
        type filter hook input priority 0; policy accept;
        iif lo accept
        ip saddr @pass4 accept
        tcp dport {PORT} counter drop
    }}
}}
"""
    )
    return listed, table


def show_sockets(rounds):
    """The sockets at return, of the round that had the most."""
    worst = max(rounds, key=lambda states: sum(states.values()))
    return ", ".join(f"{n} {state}" for state, n in sorted(worst.items())) or "0"


def versions(bench):
    run = lambda *words: subprocess.run(words, capture_output=True, text=True).stdout.split("\n")[0]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {os.uname().release.split('-')[0]}, "
        f"{run('nft', '--version').split(' (')[0]}, PostgreSQL {bench.query('SHOW server_version').split()[0]}, "
        f"{run(bench.options.pgcordon, '--version')}"
    )


def compare(bench, theirs, quick):
    """This pgcordon and another one, in what a change of it may cost."""
    table = Table("this one", theirs)
    pairs = 5 if quick else 60
    ours, theirs = bench.start(), bench.start(program=theirs)
    idle = os.open(f"/proc/{bench.options.idle_host}/ns/net", os.O_RDONLY)
    for where, network in (
        ("no listener", idle),
        ("PostgreSQL idle", bench.server_network),
    ):
        bench.enter_network(network)
        blocked = bench.alternate(ours, theirs, pairs, bench.spawn_until_blocked)
        table.times(f"time to block, {where}", *blocked)
        table.times(f"start, {where}", *bench.alternate(ours, theirs, pairs))
    times, _ = bench.until_nobody_is_left(250, 1 if quick else 20, theirs)
    table.times("until none of 250 sessions is left", *times)


def main():
    parser = argparse.ArgumentParser(prog="tests/bench")
    parser.add_argument("--pgcordon", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--psql", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--idle-host", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--client-hosts", required=True, nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    own = argparse.ArgumentParser(prog="tests/bench")
    own.add_argument("--quick", action="store_true", help="few rounds, for a look")
    own.add_argument(
        "--against",
        metavar="PGCORDON",
        type=os.path.realpath,
        help="compare this pgcordon with another one, in what a change may cost",
    )
    asked = own.parse_args([word for word in options.rest if word != "--"])
    quick = asked.quick

    bench = Bench(options)
    bench.clear()
    print(versions(bench), "\n", flush=True)
    if asked.against:
        return compare(bench, asked.against, quick)
    table = Table()
    pairs = 5 if quick else 60
    three = bench.nft(bench.rules)

    idle = os.open(f"/proc/{options.idle_host}/ns/net", os.O_RDONLY)
    bench.enter_network(idle)
    table.times(
        "time to block by the kernel's own notification, no listener; `nft -f`, three rules",
        *bench.alternate(bench.start(), three, pairs, bench.spawn_until_blocked),
    )
    table.times(
        "start, no listener; `nft -f`, three rules", *bench.alternate(bench.start(), three, pairs)
    )
    table.times(
        "the same with `--no-guard`", *bench.alternate(bench.start("--no-guard"), three, pairs)
    )
    table.line("memory of a guard (Pss), at most 5 MiB", f"{guard_memory(bench) / 1024:.1f} MiB")
    bench.enter_network(bench.server_network)
    table.times(
        "start, PostgreSQL idle; `nft -f`, three rules", *bench.alternate(bench.start(), three, pairs)
    )
    table.line(
        "peak memory of that",
        f"{bench.peak_memory(bench.start()) / 1024:.1f} MiB",
        f"{bench.peak_memory(three) / 1024:.1f} MiB",
    )

    for count in (250, 1000):
        times, left = bench.until_nobody_is_left(count, 1 if quick else 7)
        table.times(f"until none of {count} sessions is left; the shell recipe", *times)
        table.line("sockets at return but TIME_WAIT, at most", *map(show_sockets, left))
    holders = bench.hold(1000)
    peak = bench.peak_memory(bench.start())
    bench.release(holders)
    table.line("peak memory with 1000 sessions", f"{peak / 1024:.1f} MiB")

    (most, took), (most_at_once, took_at_once) = (
        bench.come_back(200, "--ramp", "15s", "--ramp-rate", "20/s"),
        bench.come_back(200),
    )
    table.line(
        "new backends in a second at most, 200 clients come back: `--ramp-rate 20/s`; no ramp",
        most,
        most_at_once,
        f"{most / most_at_once:.2f}",
    )
    table.line("until the last of them is in", f"{took:.1f} s", f"{took_at_once:.1f} s")

    listed, rules = pass_list(bench.folder, 100_000)
    start = bench.start("--no-drain", "--allow", f"@{listed}")
    times = bench.alternate(start, bench.nft(rules), 1 if quick else 7)
    table.times("100,000 networks pass; `nft -f`, the same list", *times)
    table.line(
        "peak memory of that",
        f"{bench.peak_memory(start) / 1024:.1f} MiB",
        f"{bench.peak_memory(bench.nft(rules)) / 1024:.1f} MiB",
    )
    table.line("release binary, stripped", f"{os.path.getsize(options.pgcordon) / 2**20:.2f} MiB")


main()
