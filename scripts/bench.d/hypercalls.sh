# Table 7: hypercalls of the stub domain for a request, by its own counters.
# shellcheck shell=bash
# shellcheck disable=SC2154  # scripts, root and work are set by scripts/bench

table_hypercalls() {
    image
    say "table 7"
    "$scripts/nested" --image "$IMAGE" --add "$root/tests/nested/calls.c" "$root/tests/nested/hypercalls.sh" \
        >"$work/calls" || die "the counting failed: $(<"$work/calls")"
    sed -n 's/^# \([^|]*\)|\([^|]*\)|\([0-9.]*\)$/{"table":7,"row":"\1","column":"\2","value":\3,"unit":"calls"}/p' \
        "$work/calls"
}
