# shellcheck shell=bash
#
# A throw-away world: hosts in network namespaces of their own, a bridge between them, and a
# PostgreSQL. Sourced by the demo and the benchmark, after setup.sh.
#
# Everything lives in one PID namespace. When its first process ends, by whatever means, the
# kernel kills the others, and the networks, mounts and files go with them.

# The process that stands for each host: its network namespace.
declare -A HOST

# Runs a script as the first process of a new world, and ends as it ends. Killed in any way,
# SIGKILL too, it takes the world with it.
in_new_world() {
    local world
    trap 'kill -KILL "$world" 2>/dev/null; exit 130' INT
    trap 'kill -KILL "$world" 2>/dev/null; exit 143' TERM HUP
    # The parent-death signal outlives exec: this shell's end is unshare's, and unshare's is
    # the first process's.
    setpriv --pdeathsig KILL \
        unshare --mount --propagation private --net --pid --fork --kill-child --mount-proc \
        "$@" </dev/null &
    world=$!
    wait "$world"
}

# To be called first in the new world: own places for files, and the bridge.
make_world() {
    local place
    for place in /run /var/lib/postgresql; do
        mount -t tmpfs -o mode=0755,nosuid,nodev world "$place"
    done
    ip link set lo up
    ip link add bridge type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    ip link set bridge up
}

# A host on the bridge: add_host NAME NUMBER has 203.0.113.NUMBER and 2001:db8:53::NUMBER.
add_host() {
    local name=$1 deadline
    unshare --net sleep infinity &
    HOST[$name]=$!
    deadline=$((SECONDS + 10))
    until [[ $(readlink "/proc/${HOST[$name]}/ns/net") != "$(readlink /proc/self/ns/net)" ]]; do
        ((SECONDS < deadline)) || fail "no network namespace for $name"
    done
    connect_host "$@"
}

# Connects a host that has its network namespace to the bridge: connect_host NAME NUMBER.
connect_host() {
    local name=$1 number=$2
    # Without this a new link-local address is no use for its first second.
    on "$name" sysctl -qw net.ipv6.conf.default.accept_dad=0
    on "$name" ip -batch - <<-END
	link set lo up
	link add eth0 type veth peer name port$number netns $$
	addr add 203.0.113.$number/24 dev eth0
	addr add 2001:db8:53::$number/64 dev eth0 nodad
	link set eth0 up
	END
    ip link set "port$number" master bridge up
}

# Runs a command on a host.
on() {
    local name=$1
    shift
    nsenter --net --target "${HOST[$name]}" "$@"
}

# Makes a cluster in Debian's layout and starts it on a host: start_postgres HOST SETTING…
start_postgres() {
    local name=$1 as_postgres=(setpriv --reuid=postgres --regid=postgres --init-groups)
    local data=/var/lib/postgresql/15/main settings=() setting
    shift
    for setting in listen_addresses='*' unix_socket_directories=/run/postgresql fsync=off "$@"; do
        settings+=(-c "$setting")
    done
    install -d -o postgres -g postgres /run/postgresql "${data%/*}"
    (
        cd /
        "${as_postgres[@]}" "$POSTGRES_BIN/initdb" -D "$data" -U postgres -A trust -E UTF8 \
            --locale=C.UTF-8 --no-sync >/run/initdb.log 2>&1
    ) || {
        cat /run/initdb.log >&2
        fail "initdb failed"
    }
    printf 'host all all %s trust\n' 0.0.0.0/0 ::/0 >>"$data/pg_hba.conf"
    (cd / && exec nsenter --net --target "${HOST[$name]}" \
        "${as_postgres[@]}" "$POSTGRES_BIN/postgres" -D "$data" "${settings[@]}") \
        </dev/null >/run/postgresql.log 2>&1 &
    local deadline=$((SECONDS + 30))
    until "$POSTGRES_BIN/pg_isready" -q -h /run/postgresql; do
        ((SECONDS < deadline)) || {
            cat /run/postgresql.log >&2
            fail "PostgreSQL does not start"
        }
        sleep 0.05
    done
}
