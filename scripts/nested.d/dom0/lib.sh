# What jobs in dom0 use: `. /nested/lib.sh`.

# shellcheck source=/dev/null
. /nested/settings

# milliseconds since boot
now() {
    local seconds rest
    read -r seconds rest </proc/uptime
    echo "$((${seconds%.*} * 1000 + 1${seconds#*.} * 10 - 1000))"
}

# wait_for SECONDS COMMAND...: until the command succeeds. It asks seldom, because dom0 shares its
# processor with the guests it waits for.
wait_for() {
    local until
    until=$(($(now) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(now)" -lt "$until" ] || return 1
        usleep 300000
    done
}

# Starts the server that the run asked for, then what every dom0 runs next.
start_store() {
    if [ "$SERVER" = none ]; then return 0; fi
    start_server || return 1
    xen-init-dom0 || return 1
    xenconsoled --log=all
}

start_server() {
    case $SERVER in
        stubdom) start_stubdom ;;
        daemon) xenstored --pid-file /run/xen/xenstored.pid ;;
        oxenstored) oxenstored ;;
    esac
}

# No client may run before this: it would hold the kernel's ring, and the domain could not take it over.
# stub-args has one word to a line.
start_stubdom() {
    tr '\n' '\0' </nested/stub-args |
        xargs -0 init-xenstore-domain --kernel /nested/image --memory "$STUBDOM_MEMORY"
}

# make_guest NAME [SCRIPT]: a configuration NAME.cfg of a Linux guest that runs SCRIPT once it has said
# hello. Needs a run with --guests.
make_guest() {
    local root=/tmp/guest-$1 initrd=/nested/guest-initrd
    if [ -n "${2:-}" ]; then
        mkdir -p "$root"
        cp "$2" "$root/job"
        (cd "$root" && echo job | cpio -o -H newc 2>/dev/null) | cat "$initrd" - >"$root.initrd"
        initrd=$root.initrd
    fi
    cat >"$1.cfg" <<CONFIG
name = "$1"
type = "pvh"
kernel = "/nested/guest-kernel"
ramdisk = "$initrd"
cmdline = "console=hvc0 quiet ${GUEST_ARGS:-}"
memory = 128
vcpus = 1
on_poweroff = "destroy"
on_crash = "preserve"
CONFIG
}
