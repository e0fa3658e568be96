# Table 14: layers.
# shellcheck shell=bash
# shellcheck disable=SC2154  # scripts, root, programs, work, quick and IMAGE are set by scripts/bench

table_layers() {
    local CALLGRIND=("--toggle-collect=*layers::counted*")
    say "table layers"
    on_ours layers
    if ((quick)); then return; fi
    image
    "$scripts/build-tool" || die "xs-trace could not be built; see above"
    entry 'without layers' 'two layers of 500 nodes' 'three layers of 6,667 nodes'
    module 2 500 >"$work/module"
    entry 'of layers' 'two layers of 500 nodes'
    module 3 6667 >"$work/module"
    entry 'of layers' 'three layers of 6,667 nodes'
}

# module LAYERS NODES: so many layers with so many nodes each, in folders of fifty.
module() {
    awk -v layers="$1" -v nodes="$2" 'BEGIN {
        for (layer = 0; layer < layers; layer++) {
            print "layer l" layer
            for (n = 0; n < nodes; n++) {
                folder = "/layer" layer "/class" int(n / 50)
                printf "%s = \"%s\"   (n0,r32757)\n", n % 50 ? folder "/setting" n : folder, n % 50 ? "value " n : ""
            }
        }
        print "end"
    }'
}

# entry COLUMN ROW...: a boot of the image with the module, if there is one, up to its first answer; the rows have the same figure.
entry() {
    local column=$1 row with=()
    shift
    say "table layers: entry to first answer, $column"
    if [[ -e $work/module ]]; then with=(--add "$work/module" --stub-arg --ramdisk --stub-arg /nested/module); fi
    "$scripts/nested" --image "$IMAGE" --icount --limit 900 "${with[@]}" --add "$root/target/xs-trace:usr/bin/xs-trace" \
        --out "$work" "$scripts/nested.d/jobs/entry.sh" >"$work/start" || die "the run failed: $(<"$work/start")"
    for row; do
        # With -icount, a nanosecond is an instruction.
        "$root/target/xs-trace" report --json "$work/start.trace" | jq -c --arg row "entry to first answer, $row" --arg column "$column" '
            (.facts["entry to first answer"] | rtrimstr(" s") | tonumber * 1e9 | round) as $value
                | {table: 14, row: $row, column: $column, value: $value, unit: "instructions"}'
    done
}
