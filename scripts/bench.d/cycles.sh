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
    "$root/target/xs-trace" report --json "$work/load.trace" | jq -c '
        .tables[] | select(.title == "Requests by type").rows[] | select(.requests >= 100) | .type as $row
            | {"mean": ."mean µs", "99 % at most": ."p99 µs"} | to_entries[]
            | {table: 9, row: $row, column: .key, value: (.value * 1000 | round), unit: "cycles"}'
}
