# Tables 3 to 5: many guests, whose recorded lives are replayed. Tables 11 and 12: single requests over rings.
# shellcheck shell=bash
# shellcheck disable=SC2154  # programs, work and quick are set by scripts/bench, the rest by peers.d/prepare.sh

# on_ours TASK ARGUMENT...: with the library in memory. Callgrind counts what serving takes. It takes the words CALLGRIND
# too.
on_ours() {
    valgrind --tool=callgrind "--vgdb-prefix=$work/vgdb-ours" --instr-atstart=no --toggle-collect='*Host::serve' \
        --callgrind-out-file=/dev/null "--log-file=$work/valgrind.log" "${CALLGRIND[@]}" \
        "$programs/scale" "$@" --vgdb "$work/vgdb-ours"
}
CALLGRIND=()

# on_theirs TASK ARGUMENT...: with C xenstored.
on_theirs() { "$programs/scale" "$@" --root "$PEERS_ROOT" --standin "$STANDIN"; }

table_guests() {
    local guests=1,10,100,1000,10000,32000 theirs=1,10,100,200 run
    if ((quick)); then guests=1,10,100,1000 theirs=1,10; fi
    say "table 3"
    # Counting makes both independent of each other's load.
    on_theirs replay --guests "$theirs" --vgdb "$work/vgdb-theirs" >"$work/theirs" &
    run=$!
    on_ours replay --guests "$guests" || die "a run failed; see above"
    wait "$run" || die "a run failed; see above"
    cat "$work/theirs"
}

table_toolstacks() {
    local toolstacks=300 theirs=40
    if ((quick)); then toolstacks=40 theirs=10; fi
    say "table 4"
    on_ours parallel --toolstacks "$toolstacks"
    # The more there are, the more often all of them begin again.
    on_theirs parallel --toolstacks "$theirs"
}

table_memory() {
    say "table 5"
    "$programs/scale" memory
    on_theirs memory
}

table_rings() {
    local times=$((quick ? 200 : 1000)) pipe=$work/ring-trace
    local CALLGRIND=(--cache-sim=yes --branch-sim=yes "--callgrind-out-file=$work/profile")
    say "table 11"
    on_ours rings --times "$times" --profile "$work/profile"
    on_theirs rings --times "$times" --vgdb "$work/vgdb-theirs"
    say "table 11: cache lines"
    mkfifo "$pipe"
    "$programs/scale" lines --trace "$pipe"
    on_theirs lines --trace "$pipe"
}
