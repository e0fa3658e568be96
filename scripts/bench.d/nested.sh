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

table_worst_on_xen() {
    local cpus
    image
    for cpus in '1 CPU' '2 CPUs'; do
        say "table 8: $cpus"
        measure stubdom --cpus "${cpus% *}" --icount >"$work/worst-on-xen"
        "$programs/bench" counted "$cpus" <"$work/worst-on-xen"
    done
}
