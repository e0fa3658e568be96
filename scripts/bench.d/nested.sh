# Tables 6 and 8: upstream's timing program in dom0 of Xen in QEMU.
# shellcheck shell=bash
# shellcheck disable=SC2154  # scripts, root, programs, work and quick are set by scripts/bench

# The image to measure, built unless IMAGE names one.
image() {
    if [[ ! ${IMAGE:-} ]]; then
        "$scripts/build-image" || die "the image could not be built; see above"
        IMAGE=$root/target/xenstore-stubdom
    fi
    "$scripts/nested" --fetch
}

# measure SERVER OPTION...: what test-xenstore says of that server.
measure() {
    local server=$1
    shift
    "$scripts/nested" --server "$server" --image "$IMAGE" --limit 900 "$@" "$scripts/nested.d/jobs/measure.sh"
}

table_counted_on_xen() {
    local server run runs=() servers=(stubdom daemon oxenstored)
    # oxenstored's figures are for information.
    if ((quick)); then servers=(stubdom daemon); fi
    image
    say "table 6: ${servers[*]}"
    # Counting makes the runs independent of each other's load, so they need not wait for one another.
    for server in "${servers[@]}"; do
        measure "$server" --icount >"$work/counted-$server" &
        runs+=($!)
    done
    for run in "${runs[@]}"; do wait "$run" || die "a run failed; see above"; done
    for server in "${servers[@]}"; do "$programs/bench" counted <"$work/counted-$server"; done
}

table_timed_on_xen() {
    image
    say "table 8: one processor"
    measure stubdom --cpus 1 >"$work/timed"
    "$programs/bench" timed '1 CPU' <"$work/timed"
    say "table 8: two processors"
    measure stubdom --cpus 2 >"$work/timed"
    "$programs/bench" timed '2 CPUs' <"$work/timed"
    say "table 8: two processors, counted"
    measure stubdom --cpus 2 --icount >"$work/timed"
    "$programs/bench" timed '2 CPUs counted' <"$work/timed"
}
