# shellcheck shell=bash
# shellcheck disable=SC2034,SC2004 # STATUS is for the stories; HOST is world.sh's, by name.
#
# Three PostgreSQL hosts, a remote client of each, and a control host. Sourced by
# tests/slow.d/ansible after packaging/world.sh.

DATABASES=(db1 db2 db3)
declare -A ADDRESS=([db1]=203.0.113.11 [db2]=203.0.113.12 [db3]=203.0.113.13)
# A second sshd of each host, whose children cannot get CAP_NET_ADMIN.
readonly WEAK_PORT=2222
WORK=/run/control

make_hosts() {
    local number=10 name
    mkdir -p "$WORK/markers"
    ssh-keygen -q -t ed25519 -N '' -f "$WORK/key"
    make_template
    for name in "${DATABASES[@]}"; do
        number=$((number + 1))
        start_host "$name"
        connect_host "$name" "$number"
        add_host "client-$name" $((number + 10))
    done
    add_host control 2
    for name in "${DATABASES[@]}"; do
        await 20 reaches "$name" || fail "no client reaches $name: $(cat "/run/hosts/$name/log")"
        await 10 ssh_to "$name" true || fail "no ssh to $name: $(ssh_to "$name" true 2>&1)"
    done
    write_inventory
}

# A cluster, made once and copied to each host.
make_template() {
    chown postgres: /var/lib/postgresql
    (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$POSTGRES_BIN/initdb" \
        -D /var/lib/postgresql/template -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync) \
        >/run/initdb.log 2>&1 || fail "initdb failed: $(cat /run/initdb.log)"
    echo 'host all all 0.0.0.0/0 trust' >>/var/lib/postgresql/template/pg_hba.conf
}

# Starts a host: its own root over the machine's, /run, processes, sshd and PostgreSQL.
start_host() {
    local name=$1 place=/run/hosts/$1 shell
    mkdir -p "$place"
    mount -t tmpfs -o mode=0755 "$name" "$place"
    mkdir "$place"/{changes,work,root}
    mount -t overlay -o "lowerdir=/,upperdir=$place/changes,workdir=$place/work" "$name" "$place/root"
    mount -t tmpfs -o mode=0755 run "$place/root/run"
    mount -t tmpfs -o mode=1777 tmp "$place/root/tmp"
    mount --rbind /dev "$place/root/dev"
    mkdir -p "$place/root/run/sshd" "$place/root/run/lab"
    install -d -o postgres -g postgres "$place/root/run/postgresql"
    rm -rf "$place/root/var/lib/postgresql"
    install -d -o postgres -g postgres "$place/root/var/lib/postgresql"
    cp -a /var/lib/postgresql/template "$place/root/var/lib/postgresql/main"
    # An ordinary user to log in as; sshd without PAM takes a `!` for a locked account.
    sed -i 's/^postgres:!/postgres:*/' "$place/root/etc/shadow"
    install -m 755 "$PGCORDON" "$place/root/usr/local/sbin/pgcordon"
    cp "$WORK/key.pub" "$place/root/run/lab/authorized_keys"
    ssh-keygen -q -t ed25519 -N '' -f "$place/root/run/lab/host_key"
    cat >"$place/root/run/lab/sshd_config" <<-END
	HostKey /run/lab/host_key
	AuthorizedKeysFile /run/lab/authorized_keys
	PermitRootLogin prohibit-password
	UsePAM no
	StrictModes no
	PidFile none
	Subsystem sftp internal-sftp
	END
    cat >"$place/root/run/lab/boot" <<-END
	mount -t proc proc /proc
	hostname $name
	/usr/sbin/sshd -D -e -f /run/lab/sshd_config &
	setpriv --bounding-set -net_admin /usr/sbin/sshd -D -e -p $WEAK_PORT -f /run/lab/sshd_config &
	cd /
	setpriv --reuid=postgres --regid=postgres --init-groups "$POSTGRES_BIN/postgres" \
	    -D /var/lib/postgresql/main -c listen_addresses='*' -c fsync=off \
	    -c unix_socket_directories=/var/run/postgresql &
	# The first process takes in orphans.
	while :; do wait; sleep 0.2; done
	END
    unshare --net --mount --uts --ipc --pid --fork --kill-child --propagation private \
        chroot "$place/root" bash /run/lab/boot </dev/null >"$place/log" 2>&1 &
    shell=$!
    # Of unshare's child, since the PID namespace is its.
    await 10 first_child "$shell" || fail "$name does not start: $(cat "$place/log")"
    HOST[$name]=$(first_child "$shell")
}

first_child() {
    local child
    child=$(<"/proc/$1/task/$1/children")
    [[ $child && $(readlink "/proc/${child% }/root") != / ]] && echo "${child% }"
}

# Runs a command on a database host, as its root shell would.
inside() {
    local name=$1
    shift
    nsenter --net --mount --uts --ipc --pid --root --wd --target "${HOST[$name]}" "$@"
}

# SQL on a database host, as a local client.
sql() {
    inside "$1" setpriv --reuid=postgres --regid=postgres --init-groups \
        psql -XAtq -h /var/run/postgresql -c "$2"
}

# Whether the remote client of a host gets an answer, within so many seconds: reaches HOST 1.
reaches() {
    timeout "${2:-3}" nsenter --net --target "${HOST[client-$1]}" \
        psql -XAtq "host=${ADDRESS[$1]} user=postgres dbname=postgres connect_timeout=3" -c 'SELECT 1' \
        </dev/null >/dev/null 2>&1
}

# The windows of a host, one a line: port and id.
windows() {
    inside "$1" pgcordon status -o json |
        python3 -c 'import json, sys
for window in json.load(sys.stdin)["windows"]: print(window["port"], window["id"])'
}

# A fact of the only window: when it ends, for example.
window_fact() {
    inside "$1" pgcordon status -o json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["windows"][0][sys.argv[1]])' "$2"
}

ssh_to() {
    local name=$1
    shift
    on control timeout 5 ssh -i "$WORK/key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o LogLevel=ERROR -o ConnectTimeout=2 "root@${ADDRESS[$name]}" "$@"
}

write_inventory() {
    local name
    {
        echo '[databases]'
        for name in "${DATABASES[@]}"; do
            echo "$name ansible_host=${ADDRESS[$name]}"
        done
        printf '%s\n' '[databases:vars]' ansible_user=root "ansible_ssh_private_key_file=$WORK/key" \
            ansible_python_interpreter=/usr/bin/python3
    } >"$WORK/inventory"
    cat >"$WORK/ansible.cfg" <<-END
	[defaults]
	inventory = $WORK/inventory
	host_key_checking = false
	retry_files_enabled = false
	forks = 10
	[ssh_connection]
	pipelining = true
	ssh_args = -o ControlMaster=auto -o ControlPersist=20s -o ControlPath=$WORK/cp-%h-%p-%r -o ServerAliveInterval=2 -o ServerAliveCountMax=2 -o ConnectTimeout=3 -o UserKnownHostsFile=/dev/null
	END
}

# Runs a program of Ansible on the control host. Its output is in OUTPUT, its status in STATUS.
control() {
    STATUS=0
    OUTPUT=$(cd "$WORK" && ANSIBLE_CONFIG=$WORK/ansible.cfg on_control timeout 150 "$@" 2>&1) || STATUS=$?
}

# With the environment of ansible_program, in the control host's network.
on_control() {
    nsenter --net --target "${HOST[control]}" \
        env --ignore-environment LC_ALL=C.UTF-8 TZ=UTC HOME="$WORK" PWD="$WORK" \
        PATH="$ANSIBLE_BIN:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
        ANSIBLE_CONFIG="$WORK/ansible.cfg" \
        ANSIBLE_COLLECTIONS_PATH="$COLLECTIONS" \
        ANSIBLE_NOCOLOR=1 "$@"
}

# play NAME ARGUMENT…: a playbook of the collection.
play() {
    local name=$1
    shift
    control ansible-playbook "pgcordon.maintenance.$name" "$@"
}

# What the recap says of a host: recap HOST changed.
recap() {
    sed -n "s/^$1 .*[ ]$2=\([0-9]*\).*/\1/p" <<<"$OUTPUT" | tail -n 1
}

# Everything as it was before a story: the program, no window, no marks.
all_open() {
    local name
    for name in "${DATABASES[@]}"; do
        install -m 755 "$PGCORDON" "/run/hosts/$name/root/usr/local/sbin/pgcordon"
        inside "$name" pgcordon lift --all --quiet
        inside "$name" rm -rf /run/markers
    done
}

# Nothing of pgcordon is left in any host's kernel.
all_gone() {
    local name
    all_open
    heading "At the end"
    for name in "${DATABASES[@]}"; do
        check "$name has no table of pgcordon" equal "$(inside "$name" nft list tables)" ''
    done
}
