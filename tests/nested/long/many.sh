# nested: --add target/xs-guest --add tests/nested/latency.c --limit 900
# 64 guests at once: each is served, nothing that it asks for is refused, answered wrongly or lost, and when they
# have gone the store holds what it held before.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

GUESTS=64
others=$(xenstore-list /local/domain)
echo "# idle: dom0's requests, median, 99 of 100 and longest: $(/nested/latency 200) us"
# One guest before the others: it leaves what a host keeps for ever once it has had a guest.
tiny first hello rounds=1
xl create -q first.cfg || failed 'first: xl create'
becomes 20 'first: comes and goes' grep -q '^hello: bye' /var/log/xen/console/guest-first.log
becomes 20 'first: is gone' only_these "$others"
levels >/tmp/before
for n in $(seq $GUESTS); do
    tiny "g$n" load rate=4 watches=2 stay
    xl create -q "g$n.cfg" || failed "g$n: xl create"
done
equal "$GUESTS run" "$GUESTS" "$(xl list | grep -c '^g[0-9]')"

rounds() {
    for n in $(seq $GUESTS); do
        console "g$n" | awk '/^load: at/ { rounds = $5 } END { print rounds + 0 }'
    done
}
rounds >/tmp/once
echo "# $GUESTS guests: dom0's requests, median, 99 of 100 and longest: $(/nested/latency 200) us"
sleep 15
rounds >/tmp/later
equal 'each of them is served' "$GUESTS" "$(paste /tmp/once /tmp/later | awk '$2 > $1' | wc -l)"
says 'the store is consistent' OK xenstore-control check

for n in $(seq $GUESTS); do xl shutdown "g$n" >/dev/null 2>&1; done
becomes 120 'nothing of them stays' only_these "$others"
for n in $(seq $GUESTS); do console "g$n" | grep ': ended' | tail -n 1; done >/tmp/ended
equal 'all told how it went' "$GUESTS" "$(wc -l </tmp/ended)"
equal 'all was answered as it must be' "$GUESTS" "$(grep -c ' 0 refused, 0 silent, 0 wrong,' /tmp/ended)"
equal 'no event was lost' "$GUESTS" "$(awk '$(NF - 3) >= $NF' /tmp/ended | wc -l)"
becomes 20 'the store holds what it held before' same_levels /tmp/before
levels | paste -d ' ' /tmp/before - | sed 's/^/# before and after: /'
says 'the store is consistent afterwards' OK xenstore-control check
checks_done
