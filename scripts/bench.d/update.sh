# Table 13: for how long a live update has clients wait, by a client in dom0.
# shellcheck shell=bash
# shellcheck disable=SC2154  # scripts, root, work and IMAGE are set by scripts/bench

table_update() {
    local server
    image
    for server in stubdom daemon; do
        say "table update: $server"
        # 28,000 nodes, and room for the state.
        "$scripts/nested" --server "$server" --image "$IMAGE" --icount --limit 1800 --memory 16 \
            --add "$root/target/xs-guest" --add "$scripts/nested.d/jobs/pause.c" "$scripts/nested.d/jobs/update.sh" \
            >"$work/updates" || die "the run failed: $(<"$work/updates")"
        sed -n 's/^# \([^|]*\)|\([^|]*\)|\([0-9]*\)$/{"table":13,"row":"\1","column":"\2","value":\3,"unit":"instructions"}/p' \
            "$work/updates"
    done
}
