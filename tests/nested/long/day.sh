# nested: --tools --cpus 2 --limit 900 --add target/xs-guest
# servers: stubdom daemon
# What a working day asks of the store, with 20 guests that use it all the while: lists of everything, xentop, the whole
# store again and again, pools of processors. Nothing is refused, no guest is harmed, and the store is the same afterwards.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

GUESTS=20
export TERM=linux COLUMNS=160 LINES=50

# pools: their names, as the store has them.
pools() {
    local pool
    for pool in $(xenstore-list /local/pool); do xenstore-read "/local/pool/$pool/name"; done
}

# looked TIMES: that often has the whole store been looked at.
looked() { [ "$(wc -l </tmp/looks)" -ge "$1" ]; }

others=$(xenstore-list /local/domain)
# One guest before the others: it leaves what a host keeps for ever once it has had a guest.
tiny first hello rounds=1
xl create -q first.cfg || failed 'first: xl create'
becomes 60 'first: comes and goes' grep -q '^hello: bye' /var/log/xen/console/guest-first.log
becomes 30 'first: is gone' only_these "$others"
# And xl writes dom0's memory down when it is first asked for it.
xl list -l >/dev/null
xenstore-ls -fp >/tmp/before

for n in $(seq $GUESTS); do
    tiny "g$n" load rate=1 watches=2 stay
    xl create -q "g$n.cfg" || failed "g$n: xl create"
done
guests=$(xenstore-list /local/domain | grep -vxF "$others")
# shellcheck disable=SC2046  # a list of paths
all_say_hello() { xenstore-exists $(for id in $guests; do echo "/local/domain/$id/data/hello"; done); }
becomes 120 'all guests run, and write to the store' all_say_hello

rounds() {
    for n in $(seq $GUESTS); do
        console "g$n" | awk '/^load: at/ { rounds = $5 } END { print rounds + 0 }'
    done
}
rounds >/tmp/rounds-before

# The whole store, a second after the last time, beside all that follows.
watch_store() {
    until [ -e /tmp/enough ]; do
        xenstore-ls -f >/tmp/ls 2>/tmp/ls-error || echo "status $?"
        cat /tmp/ls-error
        [ "$(grep -c '^/local/domain/[0-9]*/data/hello = ' /tmp/ls)" -ge $GUESTS ] || echo 'a guest is missing'
        echo 'looked' >>/tmp/looks
        sleep 1
    done
}
: >/tmp/looks
watch_store >/tmp/watched 2>&1 &
watcher=$!

xl list -l >/tmp/list 2>/tmp/list-error
equal 'xl list -l: well' 0 $?
equal 'xl list -l: no complaint' '' "$(cat /tmp/list-error)"
equal 'xl list -l: has all guests' $GUESTS "$(grep -c '"name": "g[0-9]*"' /tmp/list)"
equal 'xl list -l: each as it was created' $GUESTS "$(grep -c '"kernel": "/nested/xs-guest"' /tmp/list)"
says 'xl list -l: of one guest' 1 sh -c 'xl list -l g7 | grep -c "\"name\": \"g7\""'

xentop -b -f -i 3 -d 1 >/tmp/top 2>/tmp/top-error
equal 'xentop: well' 0 $?
equal 'xentop: no complaint' '' "$(cat /tmp/top-error)"
equal 'xentop: each guest each time' $((3 * GUESTS)) "$(grep -cE '^ *g[0-9]+ ' /tmp/top)"
equal 'xentop: dom0 each time' 3 "$(grep -cE '^ *Domain-0 ' /tmp/top)"

# xl top is xentop on a terminal; q ends it.
{ sleep 8 && printf q; } | script -q -c 'xl top' /tmp/screen >/dev/null 2>&1
equal 'xl top: ends when it is told to' 0 $?
screen=$(tr -d '\r\017' </tmp/screen | sed "s/$(printf '\033')\[[0-9;?]*[A-Za-z]/ /g")
matches 'xl top: shows how many domains there are' " $(xenstore-list /local/domain | wc -l) domains: " "$screen"
for n in 1 7 $GUESTS; do matches "xl top: shows g$n" " g$n +-*b-* " "$screen"; done

# Pools of processors, which xl names in the store.
says 'cpupool-list: one pool has both processors' 'Pool-0 2 y' sh -c "xl cpupool-list | awk 'NR > 1 { print \$1, \$2, \$4 }'"
says 'cpupool-cpu-remove' '' xl cpupool-cpu-remove Pool-0 1
matches 'cpupool-create' '^Using config file "command line"$' "$(xl cpupool-create 'name="day"' 'cpus=["1"]' 2>&1 || echo failed)"
says 'cpupool-list: two pools' 'Pool-0 1
day 1' sh -c "xl cpupool-list | awk 'NR > 1 { print \$1, \$2 }'"
says 'cpupool: the store has their names' 'Pool-0
day' pools
says 'cpupool-migrate' '' xl cpupool-migrate g3 day
tiny pooled hello stay
echo 'pool = "day"' >>pooled.cfg
xl create -q pooled.cfg || failed 'pooled: xl create'
becomes 60 'a guest that is created in it says hello' says_hello pooled
says 'cpupool-list: it has two guests' 2 sh -c "xl cpupool-list | awk '\$1 == \"day\" { print \$5 }'"
says 'xl list: shows who is there' 'g3
pooled' sh -c "xl list -c | awk '\$NF == \"day\" { print \$1 }'"
refuses 'cpupool-destroy: not while guests are there' xl cpupool-destroy day
says 'cpupool-rename' '' xl cpupool-rename day night
says 'cpupool-rename: the store has it' 'Pool-0
night' pools
pooled=$(xl domid pooled)
says 'destroy the guest in it' '' xl destroy pooled
becomes 30 'pooled: is gone' gone "$pooled"
says 'cpupool-migrate: back' '' xl cpupool-migrate g3 Pool-0
says 'cpupool-destroy' '' xl cpupool-destroy night
says 'cpupool: the store has the first only' Pool-0 pools
says 'cpupool-cpu-add' '' xl cpupool-cpu-add Pool-0 1

# On an emulated and shared processor a look may take half a minute by itself.
becomes 240 'the whole store was looked at again and again' looked 3
touch /tmp/enough
wait $watcher
echo "# the whole store was looked at $(wc -l </tmp/looks) times"
equal 'each look was whole' '' "$(cat /tmp/watched)"

rounds >/tmp/rounds-after
equal 'each guest was served all the while' $GUESTS "$(paste /tmp/rounds-before /tmp/rounds-after | awk '$2 > $1' | wc -l)"
says 'the store is consistent' OK xenstore-control check
# All at once, which the store's own domain is no part of.
xl shutdown -a >/tmp/shutdown 2>&1
equal 'xl shutdown -a: tells all guests' $GUESTS "$(grep -c '^Shutting down domain ' /tmp/shutdown)"
becomes 120 'nothing of them stays' only_these "$others"
for n in $(seq $GUESTS); do console "g$n" | grep ': ended' | tail -n 1; done >/tmp/ended
equal 'all told how it went' $GUESTS "$(wc -l </tmp/ended)"
# What guests say of single requests is about the store, not the host: C xenstored 4.17 leaves some without an event or
# an answer when all of them ask at once.
if [ "$SERVER" = stubdom ]; then
    equal 'all was answered as it must be' $GUESTS "$(grep -c ' 0 refused, 0 silent, 0 wrong,' /tmp/ended)"
    equal 'no event was lost' $GUESTS "$(awk '$(NF - 3) >= $NF' /tmp/ended | wc -l)"
else
    sed 's/^/# /' /tmp/ended
fi
xenstore-ls -fp >/tmp/after
equal 'the store is as before' "$(cat /tmp/before)" "$(cat /tmp/after)"
checks_done
