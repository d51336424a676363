# shellcheck shell=bash
#
# Counting what held. Sourced by tests/slow.d/ansible.

PASSED=${PASSED:-0}
FAILED=${FAILED:-0}

heading() { printf '\n%s\n' "$*"; }

# check WHAT COMMAND…: whether the command succeeds; its output is shown if it does not.
check() {
    local what=$1 output
    shift
    if output=$("$@" 2>&1); then
        PASSED=$((PASSED + 1))
        echo "  ok      $what"
    else
        FAILED=$((FAILED + 1))
        echo "  FAILED  $what"
        tail -n 60 <<<"$output" | sed 's/^/          /'
    fi
}

# equal IS SHOULD
equal() {
    [[ $1 == "$2" ]] || {
        printf 'it is\n%s\nand should be\n%s\n' "$1" "$2"
        return 1
    }
}

# has TEXT PATTERN…: whether the text has each (an extended regular expression).
has() {
    local text=$1 pattern
    shift
    for pattern; do
        grep -Eq -- "$pattern" <<<"$text" || {
            printf 'no %s in\n%s\n' "$pattern" "$text"
            return 1
        }
    done
}

# lacks TEXT PATTERN
lacks() {
    ! grep -E -- "$2" <<<"$1"
}

# await SECONDS COMMAND…: until it succeeds.
await() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.05
    done
}

# Says how many checks passed; the status is the result.
conclude() {
    printf '\n%d passed, %d failed\n' "$PASSED" "$FAILED"
    ((FAILED == 0))
}
