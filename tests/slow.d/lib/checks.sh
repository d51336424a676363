# shellcheck shell=bash
#
# Checks that count themselves. Sourced by slow tests.

PASSED=0 FAILED=0

# check TEXT COMMAND…: the command's status decides; what it printed is shown if it failed.
check() {
    local text=$1 said
    shift
    if said=$("$@" 2>&1); then
        printf '  passed  %s\n' "$text"
        PASSED=$((PASSED + 1))
    else
        printf '  FAILED  %s\n' "$text"
        printf '%s\n' "$said" | sed 's/^/          /'
        FAILED=$((FAILED + 1))
    fi
}

# The last line, and the exit status.
conclude() {
    printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
    ((FAILED == 0 && PASSED > 0))
}

# equal VALUE VALUE
equal() {
    [[ $1 == "$2" ]] || {
        printf '%q is not %q\n' "$1" "$2"
        return 1
    }
}

# await SECONDS COMMAND…: until it succeeds.
await() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}
