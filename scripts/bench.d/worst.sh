# Table 10: the requests that keep the store busy longest, with callgrind.
# shellcheck shell=bash
# shellcheck disable=SC2154  # programs and work are set by scripts/bench

table_worst() {
    say "table 10"
    "$programs/worst" measure "$work/vgdb-worst"
}
