# nested: --icount --stub-arg --param --stub-arg --allow-fault --limit 300
# once: 4.20
# How long the store serves nobody because of a fault of its own, in instructions of the whole host, one a nanosecond.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

stat_of() { xenstore-control stats totals | sed -n "s/^$1 *: *//p"; }

# Longest that 30 guests may wait for, milliseconds.
MOST=5

# What an ordinary host of 30 guests has in its store.
for guest in $(seq 30); do
    for part in 1 2 3 4 5 6; do
        words=
        for node in $(seq 29); do words="$words /faults/$guest/part-$part/node-$node value-of-it"; done
        # shellcheck disable=SC2086  # words
        xenstore-write $words
    done
done
equal 'the store has the nodes of 30 guests' 5430 "$(xenstore-ls /faults | wc -l)"
refuses 'its client is told of a fault' xenstore-control fault panic
equal 'the store has gone on after it' 1 "$(stat_of restarts)"
cycles=$(xenstore-control trace show | sed -n 's/.* recovered in \([0-9]*\) cycles$/\1/p' | tail -n 1)
echo "# it took $cycles cycles, of which $(stat_of khz) are a millisecond"
matches 'the trace tells how long that took' '^[1-9][0-9]*$' "$cycles"
equal "with the nodes of 30 guests that is at most $MOST ms" yes \
    "$([ "$cycles" -le $((MOST * $(stat_of khz))) ] && echo yes || echo no)"
checks_done
