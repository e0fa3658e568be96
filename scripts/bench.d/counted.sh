# Servers whose instructions are counted: each under callgrind, on a socket of its own.
# shellcheck shell=bash
# shellcheck disable=SC2154  # scripts, examples, work and quick are set by scripts/bench

SERVERS=('this server' 'C xenstored' oxenstored)

# counted SERVER ARGUMENT...: the measuring program, given these arguments, on that server.
counted() {
    local server=$1 log=$work/server.log valgrind
    shift
    valgrind="valgrind --tool=callgrind --vgdb-prefix=$work/vgdb --callgrind-out-file=/dev/null"
    set -- "$examples/bench" "$@" --name "$server" --vgdb "$work/vgdb"
    case $server in
        'this server') ours "$valgrind" "$log" "$@" ;;
        'C xenstored') "$scripts/with-peer" --server xenstored --wrap "$valgrind" "$@" ;;
        oxenstored) "$scripts/with-peer" --server oxenstored --wrap "$valgrind" "$@" ;;
    esac
}

# ours WRAPPER LOG COMMAND...: the command, with our server behind XENSTORED_PATH.
ours() {
    local wrapper log=$2 tries socket=$work/socket server status=0
    read -ra wrapper <<<"$1"
    shift 2
    "${wrapper[@]}" "$examples/unix_server" "$socket" >"$log" 2>&1 &
    server=$!
    for ((tries = 0; tries < 600; tries++)); do
        if [[ -S $socket ]] || ! kill -0 "$server"; then break; fi
        sleep 0.05
    done
    XENSTORED_PATH=$socket "$@" || status=$?
    kill "$server"
    # 143: by our signal, and not by itself.
    wait "$server" || (($? == 143)) || die "our server ended early: $(<"$log")"
    rm -f "$socket"
    return "$status"
}

table_requests() {
    local server times
    for server in "${SERVERS[@]}"; do
        say "instructions per request: $server"
        times=$((quick ? 200 : 1000))
        # It takes ten times as long as the others, and its figures are for information.
        if [[ $server == oxenstored ]]; then times=$((times / 5)); fi
        counted "$server" requests --times "$times"
    done
}
