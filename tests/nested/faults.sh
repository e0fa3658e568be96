# nested: --add target/xs-guest --add target/xs-trace:usr/bin/xs-trace --stub-arg --param --stub-arg --allow-fault,--restarts=40 --limit 300
# once: 4.20
# The store goes on after faults of its own, under load: the request that one happens in is answered with EIO, and
# nothing else is lost. Panics, page faults and work that never ends; and too many of them are the end, with the last words.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

counted() { xenstore-control stats totals | sed -n "s/^$1 *: *//p"; }

# fault KIND: the store has one. Its client is told EIO.
faults=0
fault() {
    xenstore-control fault "$1" >/tmp/said 2>&1
    faults=$((faults + 1))
    grep -q '^Error 5 ' /tmp/said || failed "fault $1: is answered with EIO" "$(cat /tmp/said)"
}

refuses 'an unknown fault' xenstore-control fault stack
equal 'no fault so far' 0 "$(counted restarts)"
others=$(xenstore-list /local/domain)
fault panic
# What the first guest leaves for those behind it is there before anything is counted.
tiny first hello
xl create -q first.cfg || failed 'first: xl create'
becomes 30 'a guest comes and goes' says_hello first
xl destroy first
becomes 20 'nothing of it stays' only_these "$others"
levels >before

# Guests that look at each answer and count each event, and a client in dom0, while faults happen at any moment.
tiny one load rounds=400 watches=3 stay
tiny two load rounds=400 rate=100 writes=10 watches=1 stay
tiny three reconnect rounds=50 stay
for name in one two three; do xl create -q $name.cfg || failed "$name: xl create"; done
n=0
while [ ! -e /tmp/enough ]; do
    n=$((n + 1))
    xenstore-write /faults/mine $n && [ "$(xenstore-read /faults/mine)" = $n ] || echo "lost $n" >>/tmp/lost
    echo $n >/tmp/rounds
done &
for round in $(seq 10); do
    fault panic
    usleep $((round * 37000))
    fault page
    usleep $((round * 23000))
done
xenstore-control trace mark before the repair
fault damage
xs-trace dump /tmp/repaired >/dev/null 2>&1
matches 'a store that is damaged is repaired' 'repaired after [0-9]+ us$' "$(xs-trace show --kind updated /tmp/repaired)"
matches 'and remembers what was before' 'before the repair$' "$(xs-trace show --kind mark /tmp/repaired)"
fault loop
equal 'all faults are counted' $faults "$(counted restarts)"
for name in one two three; do
    becomes 60 "$name: came to its end" has_ended $name
    last=$(console $name | grep ': ended' | tail -n 1)
    matches "$name: all was answered as it must be" 'rounds, 0 refused, 0 silent, 0 wrong,' "$last"
    echo "# $name: $last"
done
for name in one two; do equal "$name: got each event" "$(events_due $name)" "$(events_seen $name)"; done
touch /tmp/enough
wait
matches 'dom0: its client worked meanwhile' '^[1-9][0-9]+$' "$(cat /tmp/rounds)"
equal 'dom0: nothing that it wrote is lost' '' "$(cat /tmp/lost 2>/dev/null)"
says 'the store is consistent' OK xenstore-control check
for name in one two three; do xl destroy $name; done
xenstore-rm /faults
becomes 20 'nothing of the guests stays' only_these "$others"
becomes 20 'memory and counters are as before' same_levels before
says 'no event was missed' 0 counted missed-events
xs-trace dump /tmp/dump >/dev/null 2>&1
matches 'the trace tells of a panic' ' fault: panic in line [0-9]+, in CONTROL' "$(xs-trace show --kind fault /tmp/dump)"
matches 'the trace tells of a page fault' ' fault: exception 14, in CONTROL' "$(xs-trace show --kind fault /tmp/dump)"
matches 'the trace tells of endless work' ' fault: no progress, in CONTROL' "$(xs-trace show --kind fault /tmp/dump)"

# More faults in a minute than are allowed: CONTROL requests, each a write to the kernel. Nobody answers the last.
domid=$(xenstore-read /tool/xenstored/domid)
for round in $(seq 60); do
    printf '\0\0\0\0\0\0\0\0\0\0\0\0\014\0\0\0fault\0panic\0' || break
done >/dev/xen/xenbus 2>/dev/null &
becomes 60 'too many in a minute are the end' sh -c "xl dmesg | grep -q '^(d$domid) .* panic in line'"
xl dmesg | sed -n "s/^(d$domid) //p" >/tmp/console
matches 'it says why' '^panic: on purpose \(src/image/stubdom/service.rs:' "$(cat /tmp/console)"
matches 'it tells of the faults before' 'fault: panic in line [0-9]+, in CONTROL$' "$(cat /tmp/console)"
checks_done
