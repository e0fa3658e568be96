# nested: --limit 240
# Upstream's own test and timing program passes, and nothing in it ever has to wait: a lost wake-up shows
# as one operation that takes seconds where the others take about a millisecond.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

limit_ns=1000000000
all=$(test-xenstore -l | sed 's/:.*//; s/ *$//' | sort)
matches 'the program names its tests' '^ta rmw$' "$all"

before=$(xenstore-ls)
out=$(test-xenstore -i 200 2>&1)
equal 'the program ends well' 0 $?
printf '%s\n' "$out" | sed 's/^/# /'

# A line reads `name : avg: N ns (MIN ns .. MAX ns)`; anything else in its place is a failure's text.
printf '%s\n' "$all" | while read -r name; do
    printf '%s\n' "$out" | sed -n "s/^$name *: avg: [0-9]* ns ([0-9]* ns \.\. \([0-9]*\) ns)\$/$name|\1/p" |
        grep . || echo "$name|"
done >/tmp/longest
while IFS='|' read -r name longest; do
    if [ -z "$longest" ]; then
        failed "$name: passes"
    elif [ "$longest" -ge "$limit_ns" ]; then
        failed "$name: no operation waits" "the longest took $longest ns"
    else
        passed "$name: passes, and no operation waits"
    fi
done </tmp/longest

equal 'no transaction had to be given up' '' "$(printf '%s\n' "$out" | grep Exhaustive)"
equal 'the store is as before' "$before" "$(xenstore-ls)"
checks_done
