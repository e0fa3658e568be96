# nested: --guests --limit 600
# Many guests from one configuration, two made at once, and xl killed while it makes one: what it left goes with
# xl destroy of the domid, as for any guest without a name, and the store is as before.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh

# The guests' domids; 1 is the store's.
guests() { xl list | awk 'NR > 1 && $2 > 1 { print $2 }'; }
destroy_all() { for domid in $(guests); do xl destroy "$domid" >/dev/null 2>&1; done; }
no_guests() { [ -z "$(guests)" ]; }

make_guest any
for number in 1 2 3 4; do
    xl create -q any.cfg "name=\"many-$number\"" || failed "many-$number: xl create"
done
for number in 1 2 3 4; do
    boots 240 "many-$number: is up" "many-$number"
    says "many-$number: read its own name" "from many-$number" \
        xenstore-read "/local/domain/$(xl domid "many-$number")/data/hello"
done
equal 'xl lists them all' 4 "$(xl list | grep -c '^many-')"
many=$(guests)
destroy_all
becomes 30 'xl destroy: they are gone' no_guests
# shellcheck disable=SC2086  # a list of numbers
becomes 10 'nothing of them stays' traceless $many

before=$(xenstore-ls -fp)
as_before() { [ "$(xenstore-ls -fp)" = "$before" ]; }
for name in one two; do
    xl create -q -p any.cfg "name=\"$name\"" >"/tmp/$name" 2>&1 &
    eval "$name=$!"
done
# shellcheck disable=SC2154  # set by the eval
wait "$one"
equal 'two at once: the one' 0 $?
# shellcheck disable=SC2154
wait "$two"
equal 'two at once: the other' 0 $?
says 'two at once: the one has its name' one xl domname "$(xl domid one)"
says 'two at once: the other has its name' two xl domname "$(xl domid two)"
refuses 'a name that is taken is refused' xl create -q -p any.cfg 'name="one"'
destroy_all
becomes 30 'two at once: the store is as before' as_before

found=0
for tenths in 2 5 9 13 18 25; do
    xl create -q -p any.cfg 'name="killed"' >/dev/null 2>&1 &
    usleep $((tenths * 100000))
    kill -9 $! 2>/dev/null
    wait $! 2>/dev/null
    status=$?
    if as_before; then left=nothing; else left=something; fi
    # 137 is SIGKILL's: xl had not come to its end.
    if [ "$left $status" = 'something 137' ]; then found=$((found + 1)); fi
    destroy_all
    becomes 30 "xl killed after $tenths tenths of a second: what it left, $left, goes" as_before
done
equal 'xl was killed in the middle' yes "$([ "$found" -gt 0 ] && echo yes)"
says 'the store is sound' OK xenstore-control check
xl create -q -p any.cfg 'name="killed"'
equal 'the name can be had again' 0 $?
destroy_all
becomes 30 'the store is as before' as_before
checks_done
