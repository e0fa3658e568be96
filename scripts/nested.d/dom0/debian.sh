# What jobs in a whole Debian use besides: `. /nested/debian.sh`, after lib.sh and check.sh. Such a job is run again
# from its start each time the host has booted, with PHASE one higher; what it counted before counts on.

if [ -e /nested/checks-failed ]; then read -r checks_failed </nested/checks-failed; fi

# reboot_host: ends this phase.
reboot_host() {
    echo "$checks_failed" >/nested/checks-failed
    : >/run/nested-reboots
    exit 0
}

# quietly TEXT COMMAND...: the command succeeds; what it says is told only if it does not.
quietly() {
    local text=$1
    shift
    if "$@" >/tmp/said 2>&1 </dev/null; then passed "$text"; else failed "$text" "$(cat /tmp/said)"; fi
}

# server_kind: what serves the store, as --server names it.
server_kind() {
    if pidof xenstored >/dev/null; then
        echo daemon
    elif pidof oxenstored >/dev/null; then
        echo oxenstored
    elif xl list | grep -q '^Xenstore '; then
        echo stubdom
    fi
}

# host_started TEXT: all its services are up. The job is a service itself; the others may still be coming.
host_started() {
    local state
    state=$(timeout 900 systemctl is-system-running --wait)
    equal "$1" running "$state"
    if [ "$state" != running ]; then systemctl list-units --failed --plain --no-legend --no-pager; systemctl list-jobs; fi
}
