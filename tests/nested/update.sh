# nested: --guests --add target/xs-guest --add scripts/nested.d/jobs/pause.c --add target/xs-state:usr/bin/xs-state --add target/xs-trace:usr/bin/xs-trace --limit 480 --add target/failing/panics --add target/failing/faults --add target/failing/undefined --add target/failing/loops --add target/failing/unread --add target/failing/unsure --add target/failing/unnamed --add target/failing/foreign --add target/failing/cut --add target/failing/text
# Live update by Debian's own xenstore-control, under load: the image takes over from itself, also with other options;
# images that cannot are refused; images that fail are taken back. Whatever happens, nobody notices.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

# figure NAME: of what the store counts.
figure() { xenstore-control stats totals | awk -v name="$1" '$1 == name && $2 == ":" { print $3 }'; }

# takes_over TEXT [OPTION...] IMAGE
takes_over() {
    local text=$1 before
    shift
    before=$(figure updates)
    says "$text: takes over" '' xenstore-control live-update "$@"
    equal "$text: counts as an update" $((before + 1)) "$(figure updates)"
    says "$text: the store is sound" OK xenstore-control check
}

# fails TEXT REASON [OPTION...] IMAGE: the update fails with this reason, and the store serves on.
fails() {
    local text=$1 reason=$2 got status=0
    shift 2
    got=$(xenstore-control live-update "$@" 2>&1) || status=$?
    equal "$text: the tool fails" 3 $status
    matches "$text: says why" "$reason" "$got"
}

# A Linux guest with a watch, and tiny guests that work all the time.
make_guest linux
xl create linux.cfg >/dev/null || failed 'linux: xl create'
linux=$(xl domid linux)
becomes 90 'linux: is up' xenstore-exists "/local/domain/$linux/data/hello"
tiny one load rounds=100000 watches=3 writes=20 rate=20 stay
tiny two reconnect rounds=100000 rate=5 stay
for name in one two; do xl create -q $name.cfg || failed "$name: xl create"; done
xenstore-watch -n 1000 /watched >/tmp/events &
watcher=$!
becomes 20 'a watch is set' grep -q /watched /tmp/events
n=0
while [ $n -lt 100 ]; do
    xenstore-write "/kept/$n" "value $n" && n=$((n + 1))
done
xenstore-ls -fp /kept >/tmp/kept
# Dom0 works, too.
while :; do
    xenstore-write /busy/a 1 && xenstore-read /busy/a && xenstore-rm /busy
    usleep 200000
done >/tmp/busy 2>&1 &
busy=$!

# An operator takes the state away, and it is what there is.
says 'xs-state save' '' xs-state save /tmp/state
equal 'what is saved is what there is' "$(cat /tmp/kept)" "$(xs-state show /tmp/state | grep '^/kept/')"
matches 'with its domains' "^domain $linux: introduced" "$(xs-state show --all /tmp/state | grep "^domain $linux")"

for n in 1 2 3; do takes_over "update $n" /nested/image; done
matches 'stats: how long the last update took' '^[1-9][0-9]*$' "$(figure update-us)"
build=$(xenstore-control version | sed -n 's/^xenstore-stubdom \([0-9.]*, build [0-9a-f]\{16\}\).*/\1/p')
contains 'stats: which version runs' "version          : $build" "$(xenstore-control stats)"
xs-trace dump /tmp/trace >/dev/null 2>&1
last=$(xs-trace show /tmp/trace | grep -n 'updated after [0-9]* us$' | tail -n 1 | cut -d : -f 1)
matches 'the trace has what was before the last update' '^[1-9][0-9]{3}$' "$last"
takes_over 'less trace' -c --trace-size=100 /nested/image
xenstore-control quota set nodes 777
takes_over 'more trace, another quota' -c '--trace-size=1500 --quota=watches=99' /nested/image
matches 'a quota that is named is as it is named' '^watches +: +99 ' "$(xenstore-control quota)"
matches 'one that is not stays as it was set' '^nodes +: +777 ' "$(xenstore-control quota)"
takes_over 'the same line' /nested/image

fails unread 'reads versions 9 to 9 of the state' /nested/unread
fails unsure 'does not promise to give way' /nested/unsure
fails unnamed 'does not promise to give way' /nested/unnamed
fails foreign 'is for another machine' /nested/foreign
fails cut 'is cut off' /nested/cut
fails text 'is no ELF file' /nested/text
fails panics 'panic: ' /nested/panics
fails faults 'page fault at ' /nested/faults
fails undefined 'invalid opcode at ' /nested/undefined
fails loops 'has not answered in time' /nested/loops
fails 'faults, laid out otherwise' 'page fault at ' -c --trace-size=100 /nested/faults
fails 'a trace beyond all memory' 'too little memory: ' -c --trace-size=1048576 /nested/image
equal 'what failed is no update' 6 "$(figure updates)"
takes_over 'afterwards' /nested/image

# What was there is there, whoever waited was told, and nobody was refused anything.
kill $busy
wait $busy 2>/dev/null
equal 'dom0: was refused nothing' '' "$(grep -v '^1$' /tmp/busy)"
equal 'dom0: has its nodes' '' "$(xenstore-ls -fp /kept | diff /tmp/kept - 2>&1)"
xenstore-write /watched changed
becomes 20 'dom0: its watch has outlived all of it' sh -c '[ "$(grep -c /watched /tmp/events)" = 2 ]'
kill $watcher
xenstore-write "/local/domain/$linux/data/ask" 1
becomes 30 'linux: its watch has outlived all of it' xenstore-exists "/local/domain/$linux/data/answer"
for name in one two; do
    matches "$name: all was answered as it must be" ' 0 refused, 0 silent, 0 wrong' "$(console $name | tail -n 1)"
done
matches 'the console tells of updates' 'xenstore-stubdom [0-9.]+: has taken over, in [0-9]+ us, update 6' "$(cat /var/log/xen/console/*enstore*)"
matches 'the console tells of what was taken back' 'taken back, after [0-9]+ us: panic: ' "$(cat /var/log/xen/console/*enstore*)"

# A life after all that.
for name in one two linux; do xl destroy $name; done
becomes 20 'destroyed guests are gone' sh -c "! xenstore-exists /local/domain/$linux"
xl create linux.cfg >/dev/null || failed 'linux: xl create again'
linux=$(xl domid linux)
becomes 90 'linux: is up again' xenstore-exists "/local/domain/$linux/data/hello"
xenstore-write "/local/domain/$linux/data/ask" 1
becomes 30 'linux: answers again' xenstore-exists "/local/domain/$linux/data/answer"

# nodes COLUMN: of the store's, how many are used (2), have been at most (3), and can be (4).
nodes() { xenstore-control stats | awk -v column="$1" '$1 == "nodes" && NF == 4 { print $column }'; }

# fill PERCENT: so many of the nodes that the store has room for are used.
fill() {
    # Values that take nothing but the node.
    /nested/pause fill $(($(nodes 4) * $1 / 100)) short
    echo "# $(nodes 2) of $(nodes 4) nodes are used"
}

# In this store's 8 MiB lie the state, the new image and a copy of the old one, beside the nodes.
fill 60
filled=$(nodes 2)
takes_over 'filled to 60 %' /nested/image
equal 'all nodes are there' "$filled" "$(nodes 2)"
# Long values take room that a state would have, and are in it: as many as there is room for.
value=$(head -c 1900 /dev/zero | tr '\0' v)
part=0 refused=0
while [ $part -lt 100 ] && [ $refused = 0 ]; do
    part=$((part + 1))
    words=
    for n in $(seq 20); do words="$words /large/$part/$n $value"; done
    # shellcheck disable=SC2086  # words
    xenstore-write $words >/dev/null 2>&1 || refused=$part
done
echo "# of long values, $refused x 20 are too many"
fails 'full of long values' 'not enough memory for the state: [1-9][0-9]* KiB are missing' /nested/image
fill 85
fails 'filled to 85 %' 'not enough memory for the new image: [1-9][0-9]* KiB are missing' /nested/image
equal 'what was refused is no update' 8 "$(figure updates)"
says 'a store that was refused is sound' OK xenstore-control check
checks_done
