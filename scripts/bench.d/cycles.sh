# Table 9: what requests take inside the stub domain, by the records of its own flight recorder.
# shellcheck shell=bash
# shellcheck disable=SC2154  # scripts, root, work and IMAGE are set by scripts/bench

table_cycles() {
    image
    "$scripts/build-tool" || die "xs-trace could not be built; see above"
    say "table 9"
    # A ring with room for all of it, and for that more memory than the image has by default.
    "$scripts/nested" --image "$IMAGE" --icount --limit 900 --memory 64 --stub-arg --param --stub-arg --trace-size=2048 \
        --add "$root/target/xs-trace:usr/bin/xs-trace" --out "$work" "$scripts/nested.d/jobs/cycles.sh" \
        >"$work/load" || die "the run failed: $(<"$work/load")"
    # With -icount, a nanosecond is a cycle. What came only at boot is not of interest.
    "$root/target/xs-trace" report "$work/load.trace" | awk -F '  +' '
        $0 == "Requests by type" { table = 1; next }
        table && NF == 0 { exit }
        table && !columns { for (columns = 2; columns <= NF; columns++) at[$columns] = columns; next }
        table && $at["requests"] >= 100 {
            figure("mean", $at["mean us"])
            figure("99 % at most", $at["p99 us"])
        }
        function figure(column, us) {
            printf "{\"table\":9,\"row\":\"%s\",\"column\":\"%s\",\"value\":%d,\"unit\":\"cycles\"}\n", $at["type"], column, us * 1000
        }'
}
