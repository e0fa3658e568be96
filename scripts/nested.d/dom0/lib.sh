# What jobs in dom0 use: `. /nested/lib.sh`.

# shellcheck source=/dev/null
. /nested/settings

# milliseconds since boot
now() { awk '{ printf "%d\n", $1 * 1000 }' /proc/uptime; }

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local until
    until=$(($(now) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(now)" -lt "$until" ] || return 1
        usleep 50000
    done
}

# Starts the server that the run asked for, then what every dom0 runs next.
start_store() {
    case $SERVER in
        none) return 0 ;;
        stubdom) start_stubdom || return 1 ;;
        daemon) xenstored --pid-file /run/xen/xenstored.pid || return 1 ;;
        oxenstored) oxenstored || return 1 ;;
    esac
    xen-init-dom0 || return 1
    xenconsoled --log=all
}

# No client may run before this: it would hold the kernel's ring, and the domain could not take it over.
# stub-args has one word to a line.
start_stubdom() {
    tr '\n' '\0' </nested/stub-args |
        xargs -0 init-xenstore-domain --kernel /nested/image --memory "$STUBDOM_MEMORY"
}
