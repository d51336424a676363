# shellcheck shell=bash
# shellcheck disable=SC2153 # ADDRESS and STATUS are of hosts.sh.
#
# What the playbooks maintenance and rolling promise, seen on three hosts. Sourced by
# tests/slow.d/ansible.

maintenance_cordons_runs_and_lifts() {
    write_tasks
    play maintenance -e pgcordon_for=2m -e pgcordon_tasks=tasks.yml -e pgcordon_reason=upgrade
    check "the play succeeds" equal "$STATUS" 0
    check "each host asked PostgreSQL as a local client" equal "$(on_each marked_answer | paste -sd' ')" '42 42 42'
    check "each was in the window then" has "$(marked db1 status)$(marked db2 status)$(marked db3 status)" \
        '("reason":"upgrade".*){3}'
    check "each host was cordoned before the first task ran" cordoned_before_any_task
    check "every host is open again" on_each is_open
    check "no window is left" on_each has_no_window

    play maintenance -e pgcordon_for=2m -e "pgcordon_tasks=$WORK/tasks.yml" --check
    check "a check of it succeeds" equal "$STATUS" 0
    check "and raises nothing" on_each has_no_window
}

cordoned_before_any_task() {
    python3 - "${DATABASES[@]/#//run/hosts/}" <<-'END'
	import datetime, json, sys
	starts, tasks = [], []
	for host in sys.argv[1:]:
	    marks = host + '/root/run/markers/'
	    window = json.load(open(marks + 'status'))['windows'][0]
	    start = datetime.datetime.strptime(window['started_at'], '%Y-%m-%dT%H:%M:%S.%fZ')
	    starts.append(start.replace(tzinfo=datetime.timezone.utc).timestamp())
	    tasks.append(float(open(marks + 'time').read()))
	assert max(starts) < min(tasks), (starts, tasks)
	END
}

maintenance_reopens_with_the_ramp() {
    write_tasks
    play maintenance -e pgcordon_for=2m -e pgcordon_ramp=30s -e pgcordon_ramp_rate=5/s -e pgcordon_tasks=tasks.yml
    check "the play succeeds" equal "$STATUS" 0
    check "each host is in its ramp" equal "$(on_each phase | paste -sd' ')" 'ramp ramp ramp'
    check "and lets clients in" on_each is_open
    play lift -e pgcordon_ramp=own
    check "a lift with the ramp leaves it under way" result '0 0 0 0'
    play lift
    check "a lift without it ends it" result '0 1 1 1'
    check "no window is left" on_each has_no_window
}

one_host_without_capability() {
    write_tasks
    # The one of its two sshd that has CAP_NET_ADMIN not even in its bounding set.
    sed -i "/^db2 /s/\$/ ansible_port=$WEAK_PORT/" "$WORK/inventory"
    play maintenance -e pgcordon_for=2m -e pgcordon_tasks=tasks.yml
    write_inventory
    check "the play fails on every host" equal "$STATUS $(on_each failed_tasks | paste -sd' ')" '2 1 1 1'
    check "it names the host and the reason" has "$OUTPUT" 'Nothing was run' 'db2: A privilege is missing on this host.*CAP_NET_ADMIN'
    check "nothing ran" equal "$(on_each marked_answer | paste -sd' ')" 'none none none'
    check "every cordon is lifted" on_each has_no_window
    check "every client gets in" on_each is_open
}

one_host_with_a_client_that_does_not_end() {
    local backend
    write_tasks
    hold_session db1
    backend=$(backend_of_session db1)
    inside db1 kill -STOP "$backend"
    play maintenance -e pgcordon_for=2m -e pgcordon_drain_timeout=1s -e pgcordon_tasks=tasks.yml
    inside db1 kill -CONT "$backend"
    check "the play fails and names the client" has "$STATUS $OUTPUT" '^2 ' 'Nothing was run' "db1: .*backend $backend of"
    check "nothing ran" equal "$(on_each marked_answer | paste -sd' ')" 'none none none'
    check "every cordon is lifted, the one in force there too" on_each has_no_window
    wait "$SESSION" || true
}

one_host_that_cannot_be_reached() {
    write_tasks
    on db3 ip link set eth0 down
    play maintenance -e pgcordon_for=2m -e pgcordon_tasks=tasks.yml
    on db3 ip link set eth0 up
    check "the play fails" test "$STATUS" -ne 0
    check "it names the host" has "$OUTPUT" 'db3: it cannot be reached'
    check "nothing ran" equal "$(on_each marked_answer | paste -sd' ')" 'none none none'
    check "every cordon is lifted" on_each has_no_window
    check "every client gets in" await 10 on_each is_open
}

a_window_of_somebody_else() {
    local theirs
    write_tasks
    inside db2 pgcordon start --for 90s --reason theirs --quiet
    theirs=$(windows db2)
    play maintenance -e pgcordon_for=2m -e pgcordon_tasks=tasks.yml
    check "the play does not share it" has "$STATUS $OUTPUT" '^2 ' 'db2: it is in a window already' 'by root' 'pgcordon_take_over'
    check "nothing ran" equal "$(on_each marked_answer | paste -sd' ')" 'none none none'
    check "their window is left in force" equal "$(windows db2)" "$theirs"
    check "its own are lifted" equal "$(windows db1)$(windows db3)" ''
    play maintenance -e pgcordon_for=2m -e pgcordon_tasks=tasks.yml -e pgcordon_take_over=true
    check "taken over, it is used" equal "$STATUS $(marked db2 answer)" '0 42'
    check "and lifted" on_each has_no_window
}

tasks_that_fail() {
    write_tasks
    cat >>"$WORK/tasks.yml" <<-'END'
	- name: Fail on one host
	  ansible.builtin.command: "false"
	  when: inventory_hostname == 'db1'
	- name: Note the end
	  ansible.builtin.command: touch /run/markers/end
	END
    play maintenance -e pgcordon_for=2m -e pgcordon_tasks=tasks.yml
    check "the play fails" equal "$STATUS" 2
    check "the host that failed went no further" test ! -e /run/hosts/db1/root/run/markers/end
    check "the others ran to the end" test -e /run/hosts/db3/root/run/markers/end
    check "every cordon is lifted" on_each has_no_window
}

tasks_that_cannot_be_read() {
    printf -- '- name: Broken\n  ansible.builtin.command: [\n' >"$WORK/tasks.yml"
    play maintenance -e pgcordon_for=2m -e pgcordon_tasks=tasks.yml
    check "a broken file ends the play" test "$STATUS" -ne 0
    check "before anything is cordoned" lacks "$OUTPUT" 'Cordon the host'
    check "no window is in force" on_each has_no_window
    play maintenance -e pgcordon_for=2m -e pgcordon_tasks=missing.yml
    check "a missing file too" has "$STATUS $OUTPUT" '^2 ' 'There is no file missing.yml'
    play maintenance -e pgcordon_for=2m
    check "and none at all" has "$STATUS $OUTPUT" '^2 ' 'No tasks are named'
    check "no window is in force" on_each has_no_window
}

tasks_that_outlast_the_window() {
    printf -- '- name: Take long\n  ansible.builtin.command: sleep 6\n' >"$WORK/tasks.yml"
    play maintenance -e pgcordon_for=4s -e pgcordon_tasks=tasks.yml --limit db1
    check "the play fails and says so" has "$STATUS $OUTPUT" '^2 ' 'The window was over before the tasks were'
    check "no window is in force" has_no_window db1
}

# Two standbys in recovery, and a primary.
standbys_one_after_the_other() {
    local name
    write_tasks
    printf -- '- name: Tell who is closed\n  ansible.builtin.shell: date +%%s.%%N >/run/markers/order\n' >>"$WORK/tasks.yml"
    for name in db1 db2; do become_standby "$name"; done
    play rolling -e pgcordon_for=1m -e pgcordon_tasks=tasks.yml
    check "a primary is refused" has "$STATUS $OUTPUT" '^2 ' 'is not a standby'
    check "before any host is touched" equal "$(on_each marked_answer | paste -sd' ')" 'none none none'
    play rolling -e pgcordon_for=1m -e pgcordon_tasks=tasks.yml -e pgcordon_hosts=db1,db2
    check "standbys are maintained" equal "$STATUS $(marked db1 answer) $(marked db2 answer)" '0 42 42'
    check "one after the other" never_two_at_once
    check "every host is open" on_each is_open
    printf -- '- name: Fail\n  ansible.builtin.command: "false"\n' >>"$WORK/tasks.yml"
    inside db2 rm -rf /run/markers
    play rolling -e pgcordon_for=1m -e pgcordon_tasks=tasks.yml -e pgcordon_hosts=db1,db2
    check "a failure ends the roll" equal "$STATUS $(marked db2 answer)" '2 none'
    check "every host is open then too" on_each has_no_window
    for name in db1 db2; do
        sql "$name" 'SELECT pg_promote()' >/dev/null
    done
}

become_standby() {
    inside "$1" setpriv --reuid=postgres --regid=postgres --init-groups touch /var/lib/postgresql/main/standby.signal
    restart_postgres "$1"
}

restart_postgres() {
    inside "$1" setpriv --reuid=postgres --regid=postgres --init-groups "$POSTGRES_BIN/pg_ctl" \
        -D /var/lib/postgresql/main -s -w -m fast -l /dev/null restart
    await 20 reaches "$1"
}

# The second one's window began after the first one's task was over and its port open.
never_two_at_once() {
    python3 - <<-'END'
	import datetime, json
	def fact(host, mark):
	    return open('/run/hosts/%s/root/run/markers/%s' % (host, mark)).read()
	window = json.loads(fact('db2', 'status'))['windows'][0]
	start = datetime.datetime.strptime(window['started_at'], '%Y-%m-%dT%H:%M:%S.%fZ')
	start = start.replace(tzinfo=datetime.timezone.utc).timestamp()
	assert start > float(fact('db1', 'order')), (start, fact('db1', 'order'))
	END
}

the_control_host_vanishes() {
    local play ends
    printf -- '- name: Never end\n  ansible.builtin.command: sleep 100\n' >"$WORK/tasks.yml"
    # In a session of its own, so that all of its processes can be ended by their group.
    (cd "$WORK" && on_control setsid --wait timeout 150 ansible-playbook pgcordon.maintenance.maintenance \
        -e pgcordon_for=25s -e pgcordon_tasks=tasks.yml </dev/null >"$WORK/output" 2>&1) &
    # It is named twice: the first time it is only read.
    await 60 begins_twice 'Never end' || fail "the play does not begin: $(<"$WORK/output")"
    play=$(pgrep --oldest --full '^timeout 150 ansible-playbook')
    check "all hosts are cordoned" on_each is_closed
    ip link set port2 down
    kill -KILL -- "-$(ps -o sid= -p "$play" | tr -d ' ')"
    wait $! || true
    ends=$(on_each ends_at)
    check "it leaves them cordoned" on_each is_closed
    check "each opens by itself, on time" on_time "$ends"
    check "no window is in force" on_each has_no_window
    ip link set port2 up
    check "the next play works" next_play
}

begins_twice() {
    (($(grep -c "^TASK \[$1\]" "$WORK/output") == 2))
}

ends_at() {
    echo "$1 ${ADDRESS[$1]} $(window_fact "$1" ends_at)"
}

next_play() {
    write_tasks
    await 20 ssh_to db1 true && await 20 ssh_to db2 true && await 20 ssh_to db3 true || return 1
    play maintenance -e pgcordon_for=2m -e pgcordon_tasks=tasks.yml
    equal "$STATUS" 0 || {
        echo "$OUTPUT"
        return 1
    }
}

# Whether each remote client gets in within half a second of its host's end, and not before.
on_time() {
    local name address end pids=() status=0
    while read -r name address end; do
        nsenter --net --target "${HOST[client-$name]}" python3 - "$name" "$address" "$end" <<-'END' &
	import datetime, socket, sys, time
	name, address, end = sys.argv[1:]
	end = datetime.datetime.strptime(end, '%Y-%m-%dT%H:%M:%S.%fZ').replace(tzinfo=datetime.timezone.utc).timestamp()
	while time.time() < end + 10:
	    with socket.socket() as client:
	        client.settimeout(0.05)
	        try:
	            client.connect((address, 5432))
	            break
	        except OSError:
	            pass
	late = time.time() - end
	print('%s opened %+.3f s from its end' % (name, late))
	sys.exit(not -0.01 < late < 0.5)
	END
        pids+=($!)
    done <<<"$1"
    for name in "${pids[@]}"; do wait "$name" || status=1; done
    return "$status"
}
