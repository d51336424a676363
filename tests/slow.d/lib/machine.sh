# shellcheck shell=bash
#
# A machine with Debian 12: a directory that is booted, with systemd as the first process of new
# namespaces. Sourced by slow tests that run in mounts of their own (see own_mounts), after
# setup.sh.

# What a machine has beyond the smallest Debian.
readonly MACHINE_PACKAGES=(
    systemd systemd-sysv dbus nftables iproute2 procps ca-certificates
)

# Runs the script SELF again in a mount namespace of its own, so that what it mounts goes with it.
own_mounts() {
    [[ -n ${PGCORDON_OWN_MOUNTS:-} ]] ||
        PGCORDON_OWN_MOUNTS=1 exec unshare --mount --propagation private "$SELF" "$@"
}

# Makes the directory that machines are copied from, once: debian_root DIRECTORY
debian_root() {
    local root=$1 part=$1.part
    [[ ! -e $root ]] || return 0
    rm -rf "$part"
    debootstrap --variant=minbase --include="$(IFS=,; echo "${MACHINE_PACKAGES[*]}")" \
        bookworm "$part" http://deb.debian.org/debian || return
    install_in "$part" postgresql-15 || return
    mv "$part" "$root"
}

# Makes a directory that begins as the given one and is written to in memory alone.
copy_root() {
    local base=$1 root=$2
    mkdir -p "$root" "$root.copy"
    mount -t tmpfs -o mode=755 tmpfs "$root.copy"
    mkdir "$root.copy/files" "$root.copy/work"
    mount -t overlay -o "lowerdir=$base,upperdir=$root.copy/files,workdir=$root.copy/work" \
        overlay "$root"
}

# Installs packages, by name or as files, in a directory that is not booted: no service starts.
install_in() {
    local root=$1 policy=$1/usr/sbin/policy-rc.d
    shift
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 sh -c '
        apt-get -qq -o Acquire::Retries=3 update &&
            apt-get -qq -o Acquire::Retries=3 install -y --no-install-recommends "$@"' install "$@"
    local status=$?
    rm -f "$policy"
    return "$status"
}

# Boots a directory; its first process is then in INIT, and inside runs commands there.
boot() {
    local root=$1 groups=$1.cgroup
    # systemd sees this group of processes as the whole hierarchy.
    mkdir -p "$groups"
    mount -t cgroup2 cgroup2 "$groups"
    GROUP=$groups/pgcordon-test-$$
    mkdir "$GROUP"
    (
        echo "$BASHPID" >"$GROUP/cgroup.procs"
        # However this test ends, the machine ends with it.
        exec setpriv --pdeathsig KILL \
            unshare --mount --net --uts --ipc --pid --cgroup --fork --kill-child \
            --propagation private bash -euc "$FIRST_PROCESS" boot "$root"
    ) </dev/null >"$root.log" 2>&1 &
    MACHINE=$!
    await 20 has_child "$MACHINE" || fail "the machine did not start: $(<"$root.log")"
    INIT=$(pgrep --parent "$MACHINE")
    await 60 is_up || fail "the machine did not boot: $(<"$root.log")"
}

has_child() { pgrep --parent "$1" >/dev/null; }

is_up() {
    # Before systemd has begun, there is nobody to ask.
    inside systemctl is-system-running --wait 2>/dev/null | grep --quiet -E 'running|degraded'
}

# Becomes systemd in the given directory, which has all that a container has.
# shellcheck disable=SC2016 # Expanded where it runs.
FIRST_PROCESS='
    mount --bind "$1" "$1"
    cd "$1"
    mount -t proc -o nosuid,nodev,noexec proc proc
    mount -t sysfs -o nosuid,nodev,noexec sysfs sys
    mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755,nosuid tmpfs dev
    for device in null zero full random urandom tty; do
        touch "dev/$device"
        mount --bind "/dev/$device" "dev/$device"
    done
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    mount -t tmpfs tmpfs dev/shm
    mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
    hostname machine
    ip link set lo up
    pivot_root . mnt
    exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
        sh -c "umount -l /mnt; exec /lib/systemd/systemd --log-target=journal --show-status=false"
'

# Runs a command on the machine.
inside() {
    nsenter --target "$INIT" --mount --uts --ipc --net --pid --cgroup -- \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 SYSTEMD_PAGER= "$@"
}

# Ends the machine at once, and removes its group of processes.
power_off() {
    [[ -n ${MACHINE:-} ]] || return 0
    kill -KILL "$MACHINE" 2>/dev/null || true
    wait "$MACHINE" 2>/dev/null || true
    MACHINE=''
    await 10 remove_groups || echo "the group $GROUP is still in use" >&2
}

remove_groups() {
    [[ -d $GROUP ]] || return 0
    find "$GROUP" -depth -type d -exec rmdir {} + 2>/dev/null
    [[ ! -d $GROUP ]]
}
