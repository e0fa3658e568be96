# nested: --memory 8 --maxmem 24 --add target/xs-guest --add scripts/nested.d/jobs/pause.c --add target/failing/small --limit 1500
# A store of 8 MiB that may have 24 grows while dom0 fills it far beyond, guests work and a transaction is open: nobody is
# refused anything, nothing is lost, and it is updated afterwards. Before, Xen has no memory, and an image fails with
# more; afterwards `xl mem-max` allows more than its boot did.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

# nodes COLUMN: of the store's, how many are used (2), have been at most (3), and can be (4).
nodes() { xenstore-control stats | awk -v column="$1" '$1 == "nodes" && NF == 4 { print $column }'; }

# figure NAME: of what the store counts.
figure() { xenstore-control stats totals | awk -v name="$1" '$1 == name && $2 == ":" { print $3 }'; }

# memory_of DOMAIN: as Xen says, MiB.
memory_of() { xl list | awk -v id="$1" '$2 == id { print $3 }'; }

# said TEXT: lines of the store's console.
said() { cat /var/log/xen/console/*enstore* | tr -d '\r' | grep "$1"; }

# write_some: so much that the store looks at its memory.
write_some() {
    local n=0
    while [ $n -lt 60 ]; do
        xenstore-write "/some/$1/$n" "$n" || failed 'dom0: a write is refused'
        n=$((n + 1))
    done
}

store=$(xenstore-read /tool/xenstored/domid)
tiny one load rounds=100000 watches=3 writes=20 rate=20 stay
tiny two reconnect rounds=100000 rate=5 stay
for name in one two; do xl create -q $name.cfg || failed "$name: xl create"; done
xenstore-watch -n 1000 /watched >/tmp/events &
watcher=$!
becomes 20 'a watch is set' grep -q /watched /tmp/events
write_some before
xenstore-ls -fp /some >/tmp/some
room=$(nodes 4)
echo "# room for $room nodes, $(memory_of "$store") MiB"

# Another guest has all of the host's memory.
tiny hog hello
free=$(xl info | awk '$1 == "free_memory" { print $3 }')
sed -i "s/^memory = .*/memory = $((free - 6))/" hog.cfg
xl create -q hog.cfg || failed 'hog: xl create'
echo "# $(xl info | awk '$1 == "free_memory" { print $3 }') of $free MiB are free"
says 'dom0 fills it nearly: no refusal' '' /nested/pause fill $((room * 65 / 100)) short
becomes 20 'the console tells of the refusal' said 'stays with 8192 KiB of RAM: Xen has no more; more is asked for each minute'
sleep 61
write_some later
equal 'once' 1 "$(said 'stays with' | grep -c .)"
matches 'stats: a refusal each minute' '^[2-9]$' "$(figure growth-refused)"
equal 'up to what it may grow' 24576 "$(figure ram-limit-kib)"
equal 'the store has given back what it got' 8 "$(memory_of "$store")"

# There is no memory until this one serves, so that it is the one that grows, within a minute.
says 'an image that fails with more memory takes over' '' xenstore-control live-update /nested/small
xl destroy hog
write_some small
becomes 120 'it is taken back' said 'taken back, after [0-9]* us: invalid opcode at'
equal 'with what it had' "$room" "$(nodes 4)"
equal 'of memory, too' 8192 "$(figure ram-kib)"
says 'the store is sound' OK xenstore-control check
write_some stays

says 'the image takes over' '' xenstore-control live-update /nested/image
# A transaction of dom0's that never ends: type, request, transaction and size, and a NUL.
exec 5<>/dev/xen/xenbus
printf '\006\000\000\000\001\000\000\000\000\000\000\000\001\000\000\000\000' >&5
says 'dom0 fills it far beyond: no refusal' '' /nested/pause fill 45000
echo "# room for $(nodes 4) nodes, $(nodes 2) used, $(memory_of "$store") MiB"
said grown | sed 's/^/# /'
matches 'the console tells of it' 'xenstore-stubdom [0-9.]+: has grown to 24576 KiB of RAM, in [0-9]+ us' "$(said grown)"
matches 'stats: memory, its limit, growths and refusals' '^24576 24576 1 [2-9]$' \
    "$(figure ram-kib) $(figure ram-limit-kib) $(figure growths) $(figure growth-refused)"
exec 5>&-
says 'the larger store is sound' OK xenstore-control check

# What was there is there, and whoever waited was told.
equal 'dom0: has its nodes' '' "$(xenstore-ls -fp /some | grep '^/some/before' | diff /tmp/some - 2>&1 | grep -v '^[<>] /some =')"
xenstore-write /watched changed
becomes 20 'dom0: its watch has outlived all of it' sh -c '[ "$(grep -c /watched /tmp/events)" = 2 ]'
kill $watcher
# An image asks at its beginning how much it may have, so that this one learns of what it may have now.
says 'xl mem-max' '' xl mem-max "$store" 48
says 'an update of the larger store' '' xenstore-control live-update /nested/image
equal 'updates are counted, growths are not' 3 "$(figure updates)"
equal 'it has its memory' 24576 "$(figure ram-kib)"
equal 'and its count of growths' 1 "$(figure growths)"
# And what libxl adds for whatever is no RAM.
matches 'it may have more than when it was booted' '^(49|50)[0-9]{3}$' "$(figure ram-limit-kib)"
says 'dom0 fills it beyond all that it was booted with: no refusal' '' /nested/pause fill $(($(nodes 4) * 9 / 10))
becomes 120 'it grows again' sh -c "xenstore-control stats totals | grep -q '^growths *: *2$'"
equal 'up to what it may have' 49152 "$(figure ram-kib)"
equal 'Xen has given no more than it uses' 48 "$(memory_of "$store")"
for name in one two; do
    matches "$name: all was answered as it must be" ' 0 refused, 0 silent, 0 wrong' "$(console $name | tail -n 1)"
    xl destroy $name
done
says 'it is sound afterwards' OK xenstore-control check
checks_done
