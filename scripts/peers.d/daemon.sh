# Starts and stops a xenstore daemon of Xen's on its unix socket, and makes Xen's tools callable.
# shellcheck shell=bash

DAEMON=

# root_run PROGRAM [OPTION...]: the words that run a program of $PEERS_ROOT with its own loader and C
# library, which may be of another release than this machine's. Options are the loader's.
root_run() {
    local program=$1
    shift
    printf '%s\n' "$PEERS_ROOT/lib64/ld-linux-x86-64.so.2" \
        --library-path "$PEERS_ROOT/usr/lib/x86_64-linux-gnu" "$@" "$program"
}

# start_daemon NAME DIRECTORY [WRAPPER...]: returns once it answers; sets XENSTORED_PATH.
start_daemon() {
    local name=$1 directory=$2 run program
    shift 2
    program=$(find "$PEERS_ROOT/usr/lib" -path "*/xen-$XEN/bin/$name")
    [[ $program ]] || die "Debian's packages of Xen $XEN have no $name"
    mapfile -t run < <(root_run "$program" --preload "$STANDIN")
    run+=(--no-fork)
    if [[ $name == oxenstored ]]; then
        printf '%s\n' "xenstored-log-file = $directory/log" "access-log-file = $directory/access-log" \
            "persistent = false" "xenstored-kva = /proc/xen/xsd_kva" "xenstored-port = /proc/xen/xsd_port" \
            >"$directory/settings"
        run+=(--config-file "$directory/settings" --pid-file "$directory/pid")
    fi

    export XENSTORED_PATH=$directory/socket
    XENSTORED_RUNDIR=$directory XENSTORED_ROOTDIR=$directory \
        "$@" "${run[@]}" >"$directory/output" 2>&1 &
    DAEMON=$!
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if [[ -S $XENSTORED_PATH ]]; then return 0; fi
        kill -0 "$DAEMON" 2>/dev/null || break
        sleep 0.05
    done
    cat "$directory/output" >&2
    die "$name does not start; its last words are above"
}

stop_daemon() {
    [[ $DAEMON ]] || return 0
    kill "$DAEMON" 2>/dev/null || true
    wait "$DAEMON" 2>/dev/null || true
    DAEMON=
}

# wrap_tools DIRECTORY: one script for each tool, since the tools are not installed.
wrap_tools() {
    local tool run
    mkdir -p "$1"
    for tool in "$PEERS_ROOT"/usr/bin/xenstore* "$PEERS_ROOT"/usr/lib/xen-"$XEN"/bin/{test-xenstore,xenstore-control}; do
        [[ -x $tool ]] || continue
        mapfile -t run < <(root_run "$tool")
        {
            echo '#!/bin/sh'
            printf "exec"
            printf " '%s'" "${run[@]}"
            printf ' "$@"\n'
        } >"$1/${tool##*/}"
        chmod +x "$1/${tool##*/}"
    done
}
