# nested: --limit 240
# Upstream's own test and timing program passes, and not one of its many thousand requests had to wait for the clock: the store
# counts those that no event has told it of. How long they take says more of the machine than of the store, and fails nothing.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

# sum NAME: what the store has counted of it. Requests that no event has told of it serves when it looks at the rings, once a second.
# Were an answer's event lost, the program would wait until the job's limit.
sum() { xenstore-control stats | sed -n "s/^$1 *: *//p"; }

all=$(test-xenstore -l | sed 's/:.*//; s/ *$//' | sort)
matches 'the program names its tests' '^ta rmw$' "$all"

before=$(xenstore-ls)
missed=$(sum missed-events)
requests=$(sum requests)
matches 'the store counts what no event has told of' '^[0-9]+$' "$missed"
out=$(test-xenstore -i 200 2>&1)
equal 'the program ends well' 0 $?
equal 'an event has told of each request' "$missed" "$(sum missed-events)"
printf '%s\n' "$out" | sed 's/^/# /'

# A line reads `name : avg: N ns (MIN ns .. MAX ns)`; anything else in its place is a failure's text.
timed=$(printf '%s\n' "$out" | sed -n 's/ *: avg: [0-9]* ns ([0-9]* ns \.\. [0-9]* ns)$//p')
printf '%s\n' "$all" >/tmp/names
while read -r name; do contains "$name: passes" "$name" "$timed"; done </tmp/names
# As many as it was told to make of each test, at the least.
asked=$(($(sum requests) - requests))
if [ "$asked" -ge $((200 * $(wc -l </tmp/names))) ]; then
    passed "the store has answered $asked requests"
else
    failed 'the store has answered all its requests' "$asked"
fi

equal 'no transaction had to be given up' '' "$(printf '%s\n' "$out" | grep Exhaustive)"
equal 'the store is as before' "$before" "$(xenstore-ls)"
checks_done
