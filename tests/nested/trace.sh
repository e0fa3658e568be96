# nested: --stub-arg --param --stub-arg --trace-size=64 --add target/xs-trace:usr/bin/xs-trace
# once: 4.17
# The flight recorder tells what happened: known requests leave exactly the expected records, the ring wraps
# without a torn or a missing record, and its end is on Xen's console when the store has crashed.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/ask.sh

# Fields of a record's wire form (src/trace/record.rs): its bytes become a line of
# KIND DOMID TYPE TX ERROR AMOUNT HASH TIME.
decode() {
    hexdump -v -e '32/1 "%u " "\n"' | awk '
        function number(first, bytes, n, sum) {
            for (n = bytes - 1; n >= 0; n--) sum = sum * 256 + $(first + n)
            return sum
        }
        BEGIN {
            split("started begun ended event dropped tx-started tx-committed tx-aborted tx-conflict introduced \
released refused stalled held woke-up notified ring-error mark panic restarted missed-event fault recovered", kinds)
            split("CONTROL DIRECTORY READ GET_PERMS WATCH UNWATCH TRANSACTION_START TRANSACTION_END INTRODUCE \
RELEASE GET_DOMAIN_PATH WRITE MKDIR RM SET_PERMS", types)
        }
        {
            hash = ""
            for (n = 16; n > 8; n--) hash = hash sprintf("%02x", $n)
            kind = ($31 + 1) in kinds ? kinds[$31 + 1] : "?"
            type = kind != "begun" && kind != "ended" ? "-" : ($32 + 1) in types ? types[$32 + 1] : $32
            print kind, number(29, 2), type, number(17, 4), $23, number(25, 4), hash, number(1, 8)
        }'
}

# dump: the records from the oldest to the newest of this moment, into /tmp/dump; a line `gap` where some were
# overwritten before they could be asked for. Sets `before` to the number of the first, `missed` to those in gaps.
dump() {
    # shellcheck disable=SC2034  # names in the first line
    local first count end lost khz started next=0 until='' page
    missed=0
    : >/tmp/dump
    until [ "$next" = "$until" ]; do
        page=$(xenstore-control trace dump "$next") || return 1
        # The first line: names and numbers.
        eval "$(echo "$page" | sed -n '1s/^xenstore-trace 1 \([a-z0-9= ]*\)$/\1/p')"
        if [ -z "$until" ]; then until=$end before=$first next=$first; fi
        if [ "$first" -gt "$until" ]; then first=$until; fi
        if [ "$first" -gt "$next" ]; then
            missed=$((missed + first - next))
            echo gap >>/tmp/dump
        fi
        next=$((first + count < until ? first + count : until))
        echo "$page" | sed 1d | base64 -d | decode | head -n $((next - first)) >>/tmp/dump
    done
}

# session: what /tmp/dump has between the marks, as `KIND DOMID TYPE TRANSACTION ERROR PATH`, transactions numbered
# as they come.
session() {
    awk '$1 == "mark" { on = !on; next } on' /tmp/dump | sed '1d;$d' >/tmp/session
    # shellcheck disable=SC2046  # words
    xenstore-control trace paths $(cut -d ' ' -f 7 /tmp/session | sort -u) | cat - /tmp/session | awk '
        $1 ~ /^[0-9a-f]+$/ { paths[$1] = $2; next }
        NF == 0 { next }
        $4 && !($4 in number) { number[$4] = ++transactions }
        { print $1, "d" $2, $3, $4 ? "tx" number[$4] : "-", $5, $7 ~ /^0*$/ ? "-" : paths[$7] }'
}

help=$(xenstore-control help)
matches 'help lists trace' '^trace +\[on' "$help"
matches 'help lists stats' '^stats +\[json\]' "$help"
state=$(xenstore-control trace)
matches 'it records from the start on' '^trace +: on$' "$state"
matches 'the ring has the size of the command line' '^room for +: +1536$' "$state"
contains 'logfile: says that there is none' 'This server has no files. Its log goes to its console.' \
    "$(xenstore-control logfile /tmp/log)"

dump
equal 'the boot is there from its start on' '0 started' "$before $(sed -n '1s/ .*//p' /tmp/dump)"

# What dom0 starts after its store is still at work for a moment. How often the server wakes up and notifies for
# the same requests differs.
sleep 4
says 'filter: without some kinds' OK xenstore-control trace filter -woke-up -notified
says 'filter: tells' 'notified         : off' sh -c 'xenstore-control trace filter | grep notified'
counted() { xenstore-control stats json | sed -n "s/.*\"$1\":\[\([0-9]*\),.*/\1/p"; }
writes=$(counted WRITE)

says 'mark' OK xenstore-control trace mark the session begins
xenstore-write /t/a one
refuses 'a missing path' xenstore-read /t/none
xenstore-rm /t/a
xenstore-watch -n 2 /t/watched >/tmp/watched &
becomes 10 'a watch is set' grep -q /t/watched /tmp/watched
xenstore-write /t/watched two
wait
transaction=$(begin)
equal 'in a transaction' "$READ two" "$(ask "$READ" '/t/watched|' "$transaction")"
xenstore-write /t/watched three
equal 'its end conflicts' "$ERROR EAGAIN|" "$(ask "$TRANSACTION_END" 'T|' "$transaction")"
says 'off' OK xenstore-control trace off
xenstore-write /t/unseen x
says 'on' OK xenstore-control trace on
equal 'a type that there is not' "$ERROR ENOSYS|" "$(ask 90 '|')"
says 'mark again' OK xenstore-control trace mark the session ends

dump
equal 'the session left exactly these records' 'begun d0 WRITE - 0 -
ended d0 WRITE - 0 /t/a
begun d0 READ - 0 -
ended d0 READ - 2 /t/none
begun d0 TRANSACTION_START - 0 -
tx-started d0 - tx1 0 -
ended d0 TRANSACTION_START - 0 -
begun d0 RM tx1 0 -
ended d0 RM tx1 0 /t/a
begun d0 TRANSACTION_END tx1 0 -
tx-committed d0 - tx1 0 -
ended d0 TRANSACTION_END tx1 0 -
begun d0 WATCH - 0 -
event d0 - - 0 /t/watched
ended d0 WATCH - 0 /t/watched
begun d0 WRITE - 0 -
event d0 - - 0 /t/watched
ended d0 WRITE - 0 /t/watched
begun d0 UNWATCH - 0 -
ended d0 UNWATCH - 0 /t/watched
begun d0 TRANSACTION_START - 0 -
tx-started d0 - tx2 0 -
ended d0 TRANSACTION_START - 0 -
begun d0 READ tx2 0 -
ended d0 READ tx2 0 /t/watched
begun d0 WRITE - 0 -
ended d0 WRITE - 0 /t/watched
begun d0 TRANSACTION_END tx2 0 -
tx-conflict d0 - tx2 0 /t/watched
ended d0 TRANSACTION_END tx2 11 -
begun d0 CONTROL - 0 -
ended d0 CONTROL - 0 -
begun d0 90 - 0 -
ended d0 90 - 38 -' "$(session)"
xs-trace dump /tmp/saved 2>/tmp/said
equal 'xs-trace dump: ends well' 0 $?
matches 'version: names the build' '^xenstore-stubdom [0-9]+\.[0-9]+\.[0-9]+, build [0-9a-f]{40}$' "$(xenstore-control version)"
matches 'xs-trace report: names store and Xen' "^store  +xenstore-stubdom .*, build [0-9a-f]{40}; Xen $XEN" "$(xs-trace report /tmp/saved)"
matches 'xs-trace show: has the conflict' ' d0 Domain-0 +tx-conflict .* /t/watched$' "$(xs-trace show --kind tx-conflict /tmp/saved)"
equal 'stats json: counts WRITE' $((writes + 4)) "$(counted WRITE)"
says 'filter: all' OK xenstore-control trace filter all

# Under load, records are overwritten while they are dumped. There is a full ring of them before.
words=
for n in $(seq 100); do words="$words /load/$n x"; done
load() {
    # shellcheck disable=SC2086  # words
    xenstore-write $words
}
for n in 1 2 3 4 5; do load; done
while [ ! -e /tmp/enough ]; do load; done &
dump
equal "dump under load: a full ring" $((1536 - missed)) "$(grep -cv gap /tmp/dump)"
matches "dump under load: older ones were overwritten" '^[1-9]' "$before"
# Time never runs back, and requests end as they began.
equal "dump under load: no record is torn or missing" '' "$(awk '
    $1 == "gap" { begun = ""; next }
    $1 == "?" || $8 < time { print "torn: " $0 }
    { time = $8 }
    $1 == "begun" && begun != "" { print "no end: " begun }
    $1 == "begun" { begun = $3 }
    $1 == "ended" && begun != "" && $3 != begun { print "another end: " $0 }
    $1 == "ended" { begun = "" }' /tmp/dump)"
echo "# $before overwritten before, $missed meanwhile, $(grep -c begun /tmp/dump) requests"

xs-trace dump /tmp/saved 2>/tmp/said
equal 'xs-trace dump under load: ends well' 0 $?
matches 'xs-trace dump under load: tells what was overwritten' ' records saved; [1-9][0-9]* overwritten' "$(cat /tmp/said)"
equal 'xs-trace dump under load: no record is missing' '' "$(xs-trace show /tmp/saved | awk '
    / records? lost here$/ { last = 0 }
    / WRITE .* \/load\/[0-9]+$/ {
        number = substr($NF, 7) + 0
        if (last && number != last % 100 + 1) print "missing before: " $0
        last = number
    }')"
touch /tmp/enough
wait

# A non-maskable interrupt is an exception that the image does not handle, so it ends as by any other.
# No client may ask from here on: there is nobody to answer.
domid=$(xenstore-read /tool/xenstored/domid)
says 'mark for the last time' OK xenstore-control trace mark the last words
says 'the stub domain gets a non-maskable interrupt' '' xl trigger "$domid" nmi
becomes 10 'it crashes' sh -c 'xl dmesg | grep -q "panic in line"'
xl dmesg | sed -n "s/^(d$domid) //p" >/tmp/console
matches 'it says why' 'non-maskable interrupt' "$(cat /tmp/console)"
tail -n 65 /tmp/console | grep -E '^[0-9]+\.[0-9]{6} ' >/tmp/last
equal 'it tells the end of the trace' 64 "$(wc -l </tmp/last)"
matches 'with texts' ' mark the last words$' "$(cat /tmp/last)"
matches 'the crash is the last' ' panic in line [0-9]+$' "$(tail -n 1 /tmp/last)"
checks_done
