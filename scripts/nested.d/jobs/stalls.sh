# nested: --add target/xs-guest --add scripts/nested.d/jobs/stalls.c --limit 600
# Whether a request waits for a wake-up that never comes, for a minute or the seconds that /nested/seconds says: see
# scripts/soak --stalls.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

# What is a stall, milliseconds.
LEAST=250

counted() { xenstore-control stats totals | sed -n "s/^$1 *: *//p"; }

seconds=60
if [ -e /nested/seconds ]; then seconds=$(cat /nested/seconds); fi
# Guests that sleep and ask in turns, so that the store sleeps and wakes up all the time. C xenstored of Xen 4.17 leaves a guest
# that asks for a new connection without an answer.
tiny one load rounds=100000000 watches=3 writes=20 rate=20 stay
if [ "$SERVER" = stubdom ]; then
    tiny two reconnect rounds=100000000 rate=5 stay
else
    tiny two load rounds=100000000 watches=3 writes=20 rate=5 stay
fi
for name in one two; do xl create -q $name.cfg || failed "$name: xl create"; done
while [ ! -e /tmp/enough ]; do test-xenstore -i 20; done >/tmp/upstream 2>&1 &
upstream=$!
/nested/stalls "$seconds" $LEAST >/tmp/stalls || failed 'dom0 is answered' "$(cat /tmp/stalls)"
touch /tmp/enough
wait $upstream || failed 'test-xenstore' "$(tail -n 5 /tmp/upstream)"
sed 's/^/# /' /tmp/stalls
if [ "$SERVER" = stubdom ]; then
    says 'no event was missed' 0 counted missed-events
    matches 'rings were looked at for one' '^[1-9]' "$(counted looks)"
    says 'the store is consistent' OK xenstore-control check
    echo "# looks $(counted looks) missed-events $(counted missed-events) wake-ups $(counted polls)"
fi
for name in one two; do
    matches "$name: all was answered as it must be" ' 0 refused, 0 silent, 0 wrong' "$(console $name | tail -n 1)"
done
# What can only be seen now: who runs where, whether a guest goes on, and what the store knows of it.
# shellcheck disable=SC2154  # counted by check.sh
if [ "$checks_failed" -gt 0 ]; then
    xl vcpu-list
    sleep 60
    xl vcpu-list
    for name in one two; do
        echo "$name:" && console $name | tail -n 3
        if [ "$SERVER" = stubdom ]; then xenstore-control stats "$(xl domid $name)"; fi
    done
    xl debug-keys e
    xl debug-keys q
    xl dmesg | tail -n 200
fi 2>&1 | sed 's/^/# /'
checks_done
