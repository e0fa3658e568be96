# What jobs in dom0 use: `. /nested/lib.sh`.

# shellcheck source=/dev/null
. /nested/settings

# milliseconds since boot
now() {
    local seconds rest
    read -r seconds rest </proc/uptime
    echo "$((${seconds%.*} * 1000 + 1${seconds#*.} * 10 - 1000))"
}

# wait_for SECONDS COMMAND...: until the command succeeds. It asks seldom, because dom0 shares its processor with the guests it
# waits for, and at least as often as there are seconds: on a machine with other work a look takes long, as does what it waits for.
wait_for() {
    local looks=$1 until
    until=$(($(now) + $1 * 1000))
    shift
    until "$@" >/dev/null 2>&1; do
        looks=$((looks - 1))
        [ "$looks" -gt 0 ] || [ "$(now)" -lt "$until" ] || return 1
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
# stub-args has one word to a line. Left out is what it says since 4.19 with every server: xen-init-dom0,
# which writes dom0's domid, can only run later, and the share that is then not made is optional.
start_stubdom() {
    local status=0
    tr '\n' '\0' </nested/stub-args |
        xargs -0 init-xenstore-domain --kernel /nested/image --memory "$STUBDOM_MEMORY" >/run/store-start 2>&1 ||
        status=$?
    sed '/failed to get own domid\|Failed to get domid\|Unable to add 9pfs/d' /run/store-start
    return "$status"
}

# hand_out FILE: copies it into the folder that the run has named with --out.
hand_out() {
    echo "nested: file ${1##*/}"
    gzip -c "$1" | base64
    echo 'nested: file ends'
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
    # Under emulation each exit to Xen is dear: native time has none for reading the clock, and the kernel's
    # self-tests and hardening are not what is tested here.
    cat >"$1.cfg" <<CONFIG
name = "$1"
type = "pvh"
kernel = "/nested/guest-kernel"
ramdisk = "$initrd"
cmdline = "console=hvc0 quiet cryptomgr.notests init_on_alloc=0 audit=0 mitigations=off"
memory = 128
vcpus = 1
tsc_mode = "native"
on_poweroff = "destroy"
on_crash = "preserve"
CONFIG
}
