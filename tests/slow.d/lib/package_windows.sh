# shellcheck shell=bash
#
# Windows on a machine where the .deb is installed: units, timers, upgrade and purge. Sourced by
# tests/slow.d/packages; the machine is booted.

readonly SERVER=203.0.113.1

# A remote host that the machine can be reached from, and policies.
set_the_scene() {
    inside bash -euc '
        ip netns add client
        ip link add eth0 type veth peer name eth0 netns client
        ip address add 203.0.113.1/24 dev eth0
        ip link set eth0 up
        ip -n client address add 203.0.113.2/24 dev eth0
        ip -n client link set eth0 up
        pg_conftool 15 main set listen_addresses "*"
        echo "host all all 203.0.113.0/24 trust" >>/etc/postgresql/15/main/pg_hba.conf
        systemctl restart postgresql@15-main
        mkdir -p /etc/pgcordon/policies
    '
    policy long 10m
    policy short 8s
}

# policy NAME WINDOW
# shellcheck disable=SC2016 # Expanded on the machine.
policy() {
    inside sh -c 'printf "version: 1\nwindow: %s\n" "$2" >"/etc/pgcordon/policies/$1.yaml"' \
        policy "$1" "$2"
}

# A remote session that does not end by itself.
remote_session() {
    inside ip netns exec client psql -qXh "$SERVER" -U postgres -c 'SELECT pg_sleep(1000)' \
        >/dev/null 2>&1 &
    await 10 is_connected
}

is_connected() { (($(remote_sessions) > 0)); }

remote_sessions() {
    inside runuser -u postgres -- psql -XAtqc \
        'SELECT count(*) FROM pg_stat_activity WHERE client_addr IS NOT NULL'
}

can_connect() {
    inside ip netns exec client env PGCONNECT_TIMEOUT=2 \
        psql -qXh "$SERVER" -U postgres -c 'SELECT 1'
}

cannot_connect() { ! can_connect; }

# A property of a unit: property UNIT NAME
property() { inside systemctl show --property "$2" --value "$1"; }

unit_is() { equal "$(property "$1" ActiveState)" "$2"; }

# A field of the only window's JSON, a word or a number.
window() { inside pgcordon status -o json | sed -n "s/.*\"$1\":\"\?\([^\",}]*\).*/\1/p"; }

no_window() {
    local status=0
    inside pgcordon status --check --quiet || status=$?
    equal "$status" 4
}

no_table() {
    ! inside nft list tables | grep pgcordon
}

windows_of_units() {
    check "its units are in order" units_verify
    check "the exposure level is the one in the README" exposure_is_told
    remote_session
    check "systemctl start cuts who is remote, and returns then" \
        inside systemctl start pgcordon@long
    check "nobody remote is left" equal "$(remote_sessions)" 0
    check "nobody remote can connect" cannot_connect
    check "the unit is active" unit_is pgcordon@long active
    check "its status tells until when" \
        grep "cordoned until $(window ends_at | sed 's/T/ /; s/\..*//')" \
        <<<"$(property pgcordon@long StatusText)"
    check "a second instance on the port fails, and says why" second_is_refused
    check "systemctl stop lifts" inside systemctl stop pgcordon@long
    check "then there is no window" no_window
    check "nothing of it is in the firewall" no_table
    check "and remote clients can connect" can_connect
    check "the unit has not failed" unit_is pgcordon@long inactive

    # Without SQL a drain needs most: it looks into every backend, and signals it.
    inside sed -i '1i local all all reject' /etc/postgresql/15/main/pg_hba.conf
    inside systemctl reload postgresql@15-main
    remote_reset
    check "in its sandbox a drain does without SQL, too" drains_without_sql
    inside sed -i 1d /etc/postgresql/15/main/pg_hba.conf
    inside systemctl reload postgresql@15-main
    inside systemctl stop pgcordon@long

    check "start works in a service that ends with it" \
        inside systemd-run --quiet --wait --collect --property Type=oneshot \
        pgcordon start --for 1m --quiet
    check "its guard is alive when the service has ended" guard_is_alive
    check "and small" guard_is_small
    inside nft flush ruleset
    check "it puts the cordon back" await 5 is_healed
    check "and tells the journal by whom it was taken away" \
        await 5 journal_names_program nft
    inside pgcordon lift --quiet

    check "the guard of a held window is in its unit" inside systemctl start pgcordon@long
    inside nft flush ruleset
    check "where it heals, too, in the sandbox" await 5 is_healed
    check "and remote clients cannot connect" cannot_connect
    check "its unit is stopped" inside systemctl stop pgcordon@long
    check "with no guard left" equal "$(inside pgrep -c -f '^pgcordon-guard')" 0

    check "a window of eight seconds begins" inside systemctl start pgcordon@short
    check "a window's unit ends with the window" await 20 unit_is pgcordon@short inactive
    check "with nothing left of it" no_table
    check "and with success" equal "$(property pgcordon@short Result)" success
}

guard_is_alive() { [[ $(window guard_pid) =~ ^[0-9]+$ ]]; }

# Its proportional set size: at most 5 MiB.
guard_is_small() {
    local size
    # shellcheck disable=SC2016 # awk's.
    size=$(inside awk '/^Pss:/ { print $2 }' "/proc/$(window guard_pid)/smaps_rollup")
    ((size > 0 && size <= 5120)) || {
        echo "$size kB"
        return 1
    }
}

is_healed() { [[ $(window healed) == 1 ]]; }

journal_names_program() {
    inside journalctl PGCORDON_ACTION=heal --output cat --output-fields PGCORDON_PROGRAM |
        grep -x "$1"
}

units_verify() {
    [[ -z $(inside systemd-analyze verify --man=no pgcordon@long.service pgcordon@long.timer 2>&1) ]]
}

exposure_is_told() {
    local level
    level=$(inside systemd-analyze security --no-pager pgcordon@long.service |
        sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')
    [[ -n $level ]] && grep -F "exposure level is $level" README.md
}

second_is_refused() {
    ! inside systemctl start pgcordon@short 2>/dev/null &&
        inside journalctl --unit pgcordon@short --output cat | grep 'already' &&
        inside systemctl reset-failed pgcordon@short
}

# A client that resets its connection while its statement runs: no table of sockets has it.
# shellcheck disable=SC2016 # Perl's.
remote_reset() {
    inside ip netns exec client perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(PeerAddr => shift, PeerPort => 5432) or die $!;
        my $who = pack("N", 196608) . "user\0postgres\0database\0postgres\0\0";
        syswrite $s, pack("N", 4 + length $who) . $who;
        my $told = "";
        sysread $s, $told, 8192, length $told until $told =~ /Z\x00\x00\x00\x05I$/;
        my $query = "SELECT pg_sleep(1000)\0";
        syswrite $s, "Q" . pack("N", 4 + length $query) . $query;
        select undef, undef, undef, 0.5;
        setsockopt $s, SOL_SOCKET, SO_LINGER, pack("ii", 1, 0);
        close $s;' "$SERVER"
}

drains_without_sql() {
    inside systemctl start pgcordon@long || return
    local said
    said=$(inside journalctl --unit pgcordon@long --output cat --since -20s)
    [[ $said == *'Nobody remote is left: 1 of 1'*'SQL was not used'* ]] ||
        { echo "$said" && return 1; }
}

# shellcheck disable=SC2016 # Expanded on the machine.
windows_of_timers() {
    local due started
    due=$(($(inside date +%s) + 4))
    inside sh -c 'mkdir -p "/run/systemd/system/$1.d" &&
        printf "[Timer]\nOnCalendar=\nOnCalendar=%s\n" "$2" >"/run/systemd/system/$1.d/when.conf"' \
        timer pgcordon@long.timer "$(date -d "@$due" '+%F %T UTC')"
    inside systemctl daemon-reload
    check "a timer can be started" inside systemctl start pgcordon@long.timer
    check "its window begins" await 15 unit_is pgcordon@long active
    started=$(date -d "$(window started_at)" +%s)
    check "within two seconds of its time" test $((started - due)) -ge 0 -a $((started - due)) -le 2
    check "and is in force" cannot_connect
    inside systemctl stop pgcordon@long pgcordon@long.timer
    inside rm -r /run/systemd/system/pgcordon@long.timer.d
    inside systemctl daemon-reload
}

# The same package with the next version.
next_version() {
    local files=$WORK/next
    dpkg-deb -R "$DEB" "$files"
    sed -i 's/^Version: .*/&+next/' "$files/DEBIAN/control"
    # Another binary, so that the running one is replaced on disk.
    echo >>"$files/usr/sbin/pgcordon"
    dpkg-deb --root-owner-group -b "$files" "$WORK/next.deb" >/dev/null
    into "$WORK/root" "$WORK/next.deb"
}

windows_and_upgrades() {
    local next pid before ends
    next=$(next_version)
    inside systemctl enable --quiet --now pgcordon@long.timer
    inside systemctl start pgcordon@long
    inside pgcordon start --for 10m --port 6000 --policy none --quiet
    pid=$(property pgcordon@long MainPID)
    before=$(windows_as_they_are)
    ends=$(windows_end)
    check "an upgrade in the middle of two windows goes well" inside dpkg -i "$next"
    check "they are the same windows" equal "$(windows_as_they_are)" "$before"
    check "none ends earlier or later" same_ends "$(windows_end)" "$ends"
    check "the unit's process is the same" equal "$(property pgcordon@long MainPID)" "$pid"
    check "the unit is active" unit_is pgcordon@long active
    check "the timer is still there" unit_is pgcordon@long.timer active
    check "remote clients are still kept off" cannot_connect
    check "the new program lifts what the old one raised" inside pgcordon lift --all --quiet
    check "and the unit ends with it" await 10 unit_is pgcordon@long inactive
    check "with nothing left" no_table
}

# What an upgrade must not change.
windows_as_they_are() {
    inside pgcordon status -o json | grep -o -E '"(id|port|started_at|guard_pid)":[^,]*' | sort
}

# When windows end, in milliseconds.
windows_end() {
    inside pgcordon status -o json | grep -o '"ends_at":"[^"]*' | cut -d'"' -f4 |
        while read -r end; do date -d "$end" +%s%3N; done
}

# The kernel tells the time that is left, in its own steps.
same_ends() {
    local now before
    paste <(echo "$1") <(echo "$2") | while read -r now before; do
        ((now - before <= 100 && before - now <= 100)) || { echo "$before has become $now" && return 1; }
    done
}

windows_and_purge() {
    local pid ends now leftovers
    policy purge 12s
    inside systemctl start pgcordon@purge
    pid=$(property pgcordon@purge MainPID)
    ends=$(date -d "$(window ends_at)" +%s)
    # What an administrator has made is not the package's to remove.
    inside rm -r /etc/pgcordon/policies/long.yaml /etc/pgcordon/policies/short.yaml \
        /etc/pgcordon/policies/purge.yaml
    check "it is purged in the middle of a window" inside dpkg --purge pgcordon
    check "the window's process goes on" inside test -d "/proc/$pid"
    check "remote clients are kept off" cannot_connect
    check "the timer is gone" equal "$(property pgcordon@long.timer ActiveState)" inactive
    now=$(date +%s)
    ((now < ends)) || fail "the purge took longer than the window"
    check "remote clients can connect when its time is over" await $((ends - now + 5)) can_connect
    check "not before that" test "$(date +%s)" -ge "$ends"
    check "the window's process ends" await 10 inside test ! -d "/proc/$pid"
    check "nothing of it is in the firewall" await 5 no_table
    check "no unit is left" no_units
    check "no file is left" await 5 no_files
    leftovers=$(inside dpkg --verify 2>&1 | grep pgcordon || true)
    check "dpkg has forgotten it" equal "$leftovers" ''
}

no_units() {
    inside systemctl reset-failed
    ! inside systemctl list-units --all --plain --no-legend 'pgcordon*' | grep -v '\.slice'
}

# Names of files; what logs tell stays.
no_files() {
    local found
    found=$(inside find / /run -xdev -name '*pgcordon*' -not -path '/var/log/*')
    [[ -z $found ]] || { echo "$found" && return 1; }
}
