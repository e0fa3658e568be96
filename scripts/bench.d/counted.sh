# Tables 1 and 2: servers under valgrind, each on a socket of its own.
# shellcheck shell=bash
# shellcheck disable=SC2154  # scripts, programs, work and quick are set by scripts/bench

# Runs the command with our server, started under the words WRAP, behind XENSTORED_PATH.
with_ours() {
    local server status=0 socket=$work/socket
    "${WRAP[@]}" "$programs/unix_server" --memory "$MEMORY" "$socket" >"$work/server.log" 2>&1 &
    server=$!
    XENSTORED_PATH=$socket "$@" || status=$?
    kill "$server"
    # 143: by our signal, and not by itself.
    wait "$server" || (($? == 143)) || die "our server ended early: $(<"$work/server.log")"
    rm -f "$socket"
    return "$status"
}

# counted TASK SERVER ARGUMENT...: carries out the task with that server under callgrind. It counts from the
# start, or when told to.
counted() {
    local task=$1 server=$2 MEMORY=64
    shift 2
    local WRAP=(valgrind --tool=callgrind "--vgdb-prefix=$work/vgdb" --callgrind-out-file=/dev/null)
    if [[ $task == loads ]]; then WRAP+=(--instr-atstart=no); fi
    set -- "$programs/bench" "$task" "$server" --vgdb "$work/vgdb" "$@"
    case $server in
        'this server'*) with_ours "$@" ;;
        'C xenstored') "$scripts/with-peer" --server xenstored --wrap "${WRAP[*]}" "$@" ;;
        oxenstored) "$scripts/with-peer" --server oxenstored --wrap "${WRAP[*]}" "$@" ;;
    esac
}

table_requests() {
    local server times MEMORY=4
    for server in 'this server' 'this server, trace off' 'C xenstored' oxenstored; do
        times=$((quick ? 200 : 1000))
        if [[ $server == *'trace off' ]]; then
            say "table 1: $server"
            counted requests "$server" --times "$times" --trace-off
            continue
        fi
        if [[ $server == oxenstored ]]; then
            # It takes ten times as long as the others, and its figures are for information.
            if ((quick)); then continue; fi
            times=200
        fi
        say "table 1: $server"
        counted requests "$server" --times "$times"
    done
    say "table 1: cache lines"
    mkfifo "$work/trace"
    local WRAP=(valgrind --tool=lackey --trace-mem=yes "--log-file=$work/trace")
    with_ours "$programs/bench" cache-lines 'this server' --trace "$work/trace"
}

table_loads() {
    local load
    # The numbers of the list in examples/bench/loads.rs.
    for load in 0 1 2 3 4 5; do
        say "table 2: $load of 5"
        counted loads 'this server' --load "$load" --times "$((quick ? 100 : 400))"
        # Its figures are for information, and it takes long.
        ((quick)) || counted loads 'C xenstored' --load "$load" --times 40
    done
}
