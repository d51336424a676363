# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # ADDRESS and STATUS are of hosts.sh; SESSION is for stories.
#
# Looking at hosts and at plays, and what stories have in common. Sourced by
# tests/slow.d/ansible.

# The ruleset of a host without what its time changes.
ruleset() {
    inside "$1" nft --stateless list ruleset
}

on_each() {
    local name
    for name in "${DATABASES[@]}"; do
        "$@" "$name" || return 1
    done
}

is_open() { reaches "$1"; }
is_closed() { ! reaches "$1" 1 && [[ $(windows "$1") ]]; }
has_no_window() { equal "$(windows "$1")" ''; }

# A session of a remote client; ends when it is cut. Its process is in SESSION.
hold_session() {
    timeout 120 nsenter --net --target "${HOST[client-$1]}" \
        psql -XAtq "host=${ADDRESS[$1]} user=postgres dbname=postgres application_name=held" \
        -c 'SELECT pg_sleep(100)' </dev/null >"$WORK/session" 2>&1 &
    SESSION=$!
    await 10 backend_of_session "$1" || fail "no session on $1: $(<"$WORK/session")"
}

backend_of_session() {
    local pid
    pid=$(sql "$1" "SELECT pid FROM pg_stat_activity WHERE application_name = 'held' AND state = 'active'")
    [[ $pid ]] && echo "$pid"
}

# What each host's recap says of changes: changes 1 1 1
changes() {
    local name
    for name in "${DATABASES[@]}"; do recap "$name" changed; done | paste -sd' '
}

# The status of the play and each host's changes: result '0 1 1 1'
result() {
    equal "$STATUS $(changes)" "$1" || {
        echo "$OUTPUT"
        return 1
    }
}

result_like() {
    has "$STATUS $(changes)" "$1" || {
        echo "$OUTPUT"
        return 1
    }
}

marked() {
    inside "$1" cat /run/markers/"$2" 2>/dev/null || echo none
}

marked_answer() { marked "$1" answer; }

failed_tasks() { recap "$1" failed; }

phase() { window_fact "$1" phase; }

longer_than() {
    python3 -c 'import sys; sys.exit(float(sys.argv[1]) <= float(sys.argv[2]))' \
        "$(window_fact "$1" remaining_s)" "$2"
}

# Tasks that leave marks, and look from inside while no remote client gets in.
write_tasks() {
    cat >"$WORK/tasks.yml" <<-'END'
	- name: Make a place for marks
	  ansible.builtin.file:
	    path: /run/markers
	    state: directory
	    mode: "0755"
	- name: Ask PostgreSQL as a local client
	  ansible.builtin.shell: >-
	    runuser -u postgres -- psql -XAtq -h /var/run/postgresql -c 'SELECT 42' >/run/markers/answer;
	    pgcordon status -o json >/run/markers/status; date +%s.%N >/run/markers/time
	END
}
