# Assertions for tests in dom0 and in guests: one line `ok - ...` or `not ok - ...` each, a reason below
# it. A test ends with `checks_done`: without that line it counts as failed, however it stopped.

checks_failed=0

# passed TEXT
passed() { printf 'ok - %s\n' "$1"; }

# failed TEXT [REASON]
failed() {
    printf 'not ok - %s\n' "$1"
    checks_failed=$((checks_failed + 1))
    [ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/    /'
}

# equal TEXT WANTED GOT
equal() {
    if [ "$2" = "$3" ]; then passed "$1"; else failed "$1" "wanted: $2
got:    $3"; fi
}

# contains TEXT WANTED GOT: one line of GOT is WANTED.
contains() {
    if printf '%s\n' "$3" | grep -qxF -- "$2"; then passed "$1"; else failed "$1" "no line: $2
in: $3"; fi
}

# matches TEXT REGEX GOT: a line of GOT matches the extended regular expression.
matches() {
    if printf '%s\n' "$3" | grep -qE -- "$2"; then passed "$1"; else failed "$1" "nothing matches: $2
in: $3"; fi
}

# says TEXT WANTED COMMAND...: the command succeeds and its whole output is WANTED.
says() {
    local text=$1 wanted=$2 got status=0
    shift 2
    got=$("$@" 2>&1) || status=$?
    if [ "$status" = 0 ] && [ "$got" = "$wanted" ]; then
        passed "$text"
    else
        failed "$text" "$* -> status $status
wanted: $wanted
got:    $got"
    fi
}

# refuses TEXT COMMAND...: the command fails and says why.
refuses() {
    local text=$1 got status=0
    shift
    got=$("$@" 2>&1) || status=$?
    if [ "$status" != 0 ] && [ -n "$got" ]; then passed "$text"; else failed "$text" "$* -> status $status: $got"; fi
}

# becomes SECONDS TEXT COMMAND...: the command succeeds within that time.
becomes() {
    local seconds=$1 text=$2
    shift 2
    if wait_for "$seconds" "$@"; then passed "$text"; else failed "$text" "not within $seconds s: $*"; fi
}

checks_done() {
    echo 'checks: done'
    [ "$checks_failed" = 0 ]
    exit
}
