# shellcheck shell=bash
# shellcheck disable=SC2153 # ADDRESS and STATUS are of hosts.sh.
#
# What the modules promise, seen on three hosts. Sourced by
# tests/slow.d/ansible.

a_window_is_raised_once_and_lifted_once() {
    # shellcheck disable=SC2016 # It must not be expanded anywhere.
    local ids asked=(-e pgcordon_for=2m -e '{"pgcordon_reason": "for $(touch /run/owned); `id` & you"}')
    hold_session db1
    play cordon "${asked[@]}" --diff
    check "three hosts are cordoned" result '0 1 1 1'
    check "the difference shows the window" has "$OUTPUT" '^\+.*"ends_at"' '^\+.*"port": 5432' 'touch /run/owned'
    check "no remote client gets in" on_each is_closed
    check "the one that was connected was cut" cut_with_57P01
    check "local clients go on" equal "$(sql db1 'SELECT 42')" 42
    check "no shell has seen the reason" test ! -e "/run/hosts/db1/root/run/owned"
    ids=$(on_each windows)
    sleep 2
    play cordon "${asked[@]}" --diff
    check "a second run changes nothing" result '0 0 0 0'
    check "and shows no difference" lacks "$OUTPUT" '^[-+] '
    check "and leaves the same windows" equal "$(on_each windows)" "$ids"

    play cordon "${asked[@]}" -e pgcordon_extend=true -e pgcordon_for=9m
    check "a longer one is had by extending" result '0 1 1 1'
    check "the windows are the same ones" equal "$(on_each windows)" "$ids"
    check "and end later" longer_than db2 500

    play lift --check
    check "a check of lift says what it would change" result '0 1 1 1'
    check "and lifts nothing" equal "$(on_each windows)" "$ids"
    play lift --diff
    check "lift lifts" result '0 1 1 1'
    check "and shows what" has "$OUTPUT" '^-.*"ends_at"'
    check "the clients are back" on_each is_open
    play lift
    check "a second lift changes nothing" result '0 0 0 0'
}

cut_with_57P01() {
    local status=0
    wait "$SESSION" || status=$?
    ((status == 2)) && has "$(<"$WORK/session")" 'terminating connection due to administrator command'
}

check_mode_changes_nothing() {
    local before
    hold_session db2
    before=$(on_each ruleset)
    play cordon -e pgcordon_for=2m --check --diff
    check "a check says that each host would change" result '0 1 1 1'
    check "and shows the windows that would be" has "$OUTPUT" '^\+.*"ends_at": "120 s from now"'
    check "no ruleset has changed" equal "$(on_each ruleset)" "$before"
    check "the client is still connected" backend_of_session db2
    control ansible db2 -m pgcordon.maintenance.window -a 'for=2m' --check
    check "it names who would be cut" has "$OUTPUT" '"application": "held"' '"verdict": "cut"'
    check "all clients get in" on_each is_open

    inside db2 pgcordon start --for 2m --no-drain --quiet
    play cordon -e pgcordon_for=2m --check
    check "where a window leaves somebody connected a run would drain" result '0 1 1 1'
    play cordon -e pgcordon_for=2m -e pgcordon_no_drain=true --check
    check "unless nobody is to be drained" result '0 1 0 1'
    check "the client is still connected then" backend_of_session db2
    play cordon -e pgcordon_for=2m -e pgcordon_verdict=reset --check --limit db2
    check "a window that differs is refused as by a run" has "$STATUS $OUTPUT" '^2 ' 'reset'
    kill "$SESSION"
    wait "$SESSION" || true
}

the_module_fails_clearly() {
    control ansible db1 -m pgcordon.maintenance.window -a 'for=10'
    check "a duration without its unit" has "$STATUS $OUTPUT" '^2 ' 'pgcordon refused the request' 'write 10s for seconds'
    control ansible db1 -m pgcordon.maintenance.window -a 'for=10m port=22'
    check "a port that is not PostgreSQL's" has "$STATUS $OUTPUT" '^2 ' 'held by sshd' 'any-listener' '"kind": "not-postgresql"'
    control ansible db1 -m pgcordon.maintenance.window -a 'for=10m executable=/nowhere/pgcordon'
    check "a program that is not there" has "$STATUS $OUTPUT" '^2 ' '/nowhere/pgcordon is not on this host' 'pgcordon.maintenance.install'
    control ansible db1 -m pgcordon.maintenance.window_info -e ansible_user=postgres
    check "an ordinary user" has "$STATUS $OUTPUT" '^2 ' 'A privilege is missing on this host' 'CAP_NET_ADMIN'
    control ansible db1 -m pgcordon.maintenance.window -a 'for=10m foo=1'
    check "an unknown option" has "$STATUS $OUTPUT" '^2 ' 'foo'
    inside db1 pgcordon start --for 2m --quiet --port 5432 --port 5433
    control ansible db1 -m pgcordon.maintenance.window -a 'state=absent'
    check "two windows and none named" has "$STATUS $OUTPUT" '^2 ' '5432, 5433' '"kind": "which-window"'
    control ansible db1 -m pgcordon.maintenance.window_info
    check "they are shown, and nothing is changed" has "$STATUS $OUTPUT" '^0 ' '"changed": false' '"in_force": true' '"port": 5433'
    control ansible db1 -m pgcordon.maintenance.window -a 'state=absent all=true'
    check "all are lifted if asked" has "$STATUS $OUTPUT" '^0 ' '"changed": true'
    check "and gone" has_no_window db1
}

an_incomplete_drain_fails_and_the_retry_drains_again() {
    local backend before
    hold_session db3
    backend=$(backend_of_session db3)
    inside db3 kill -STOP "$backend"
    play cordon -e pgcordon_for=2m -e pgcordon_drain_timeout=1s -e pgcordon_farewell=500ms
    check "the play fails" equal "$STATUS" 2
    check "and names who is left" has "$OUTPUT" 'The cordon is in force on port 5432' "backend $backend of 203.0.113.23"
    check "all hosts are closed all the same" on_each is_closed
    before=$(windows db3)
    play cordon -e pgcordon_for=2m -e pgcordon_drain_timeout=1s -e pgcordon_allow_incomplete=true
    check "where it is allowed it is a warning" has "$STATUS $OUTPUT" '^0 ' "the drain is incomplete: backend $backend"
    play cordon -e pgcordon_for=2m -e pgcordon_drain_timeout=1s
    check "while the backend does not end the retry fails" equal "$STATUS" 2
    inside db3 kill -CONT "$backend"
    # It ends by the signal that it has got already, or by the retry's.
    play cordon -e pgcordon_for=2m
    check "then the retry succeeds" equal "$STATUS" 0
    check "nobody is left" equal "$(backend_of_session db3 || echo none)" none
    check "the window is the same" equal "$(windows db3)" "$before"
    wait "$SESSION" || true

    # A window that was raised without a drain: the task cuts who is left.
    all_open
    hold_session db3
    inside db3 pgcordon start --for 2m --no-drain --quiet
    play cordon -e pgcordon_for=2m --limit db3
    check "a window with somebody left in it is drained, and that is a change" \
        equal "$STATUS $(recap db3 changed)" '0 1'
    check "nobody is left in it" equal "$(backend_of_session db3 || echo none)" none
    wait "$SESSION" || true
}

# The flags of start and the options of the module, by the program's own help.
the_module_has_every_flag() {
    check "each flag of start is an option of the module, and each option a flag" equal "$(options_of_module)" "$(flags_of_start)"
}

flags_of_start() {
    "$PGCORDON" start --help | grep -oE '^ +(-[a-z], )?--[a-z-]+' | grep -oE -- '--[a-z-]+' |
        grep -vxE -- '--(help|output|quiet|verbose|color)' | tr -d '\n' | sed 's/--/\n/g' | sed '/^$/d' | sort
}

options_of_module() {
    ansible_program ansible-doc --json --type module pgcordon.maintenance.window |
        python3 -c 'import json, sys
options = json.load(sys.stdin)["pgcordon.maintenance.window"]["doc"]["options"]
own = {"state", "all", "extend", "allow_incomplete", "executable"}
print("\n".join(sorted(o.replace("ports", "port").replace("_", "-") for o in set(options) - own)))'
}
