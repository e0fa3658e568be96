# A second host beside the first and joined to it by a cable: a machine of its own with the same files, that does what
# the first one's job asks of it. The cable is a socket in the work folder, so no port of this machine is used.
# shellcheck shell=bash

# add_cable HOST: its end of the cable, for QEMU's command line. The second host listens, the first connects.
add_cable() {
    local listens=off
    if (($1 == 2)); then listens=on; fi
    QEMU+=(-netdev "stream,id=cable,server=$listens,addr.type=unix,addr.path=$WORK/cable"
        -device "virtio-net-pci,netdev=cable,mac=52:54:00:00:00:0$1,romfile=")
}

# Starts the second host in the work folder's second/ and leaves it running.
start_second() {
    # shellcheck disable=SC2034  # qemu_command reads it
    local QEMU INTERACTIVE=0 DOM0_ARGS="$DOM0_ARGS HOST=2"
    mkdir second
    ln -s ../xen ../vmlinux ../dom0.cpio second/
    qemu_command
    add_cable 2
    # The first ends before: it is the one that tells of the limit.
    (cd second && exec setpriv --pdeathsig TERM bash "$here/limited.sh" $((LIMIT + 30)) "${QEMU[@]}" </dev/null >said 2>qemu.log) &
    SECOND_PID=$!
    until [[ -S cable ]]; do
        kill -0 "$SECOND_PID" 2>/dev/null || { cat second/qemu.log >&2 && die "the second host's QEMU did not start"; }
        sleep 0.1
    done
}

# Ends the second host, and shows what it said last if the job failed.
stop_second() {
    kill "$SECOND_PID" 2>/dev/null || :
    wait "$SECOND_PID" || :
    if [[ $STATUS != 0 ]]; then
        {
            echo "---- the second host's last lines"
            tail -n 20 second/console.log second/said
            cat second/qemu.log
            echo "----"
        } >&2
    fi
}
