# nested: --add target/xs-guest --limit 2400
# 200 guests come and go, one after the other, half of them destroyed and half on their own: each is served, and the
# store holds afterwards, arena by arena and counter by counter, what it held before.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

LIVES=200
others=$(xenstore-list /local/domain)

# live NAME OPTION...: one life, up to its last trace.
live() {
    tiny "$@"
    xl create -q "$1.cfg" || failed "$1: xl create"
    if wait_for 20 has_ended "$1"; then served=$((served + 1)); fi
    case $* in
        *' stay') xl destroy "$1" || failed "$1: xl destroy" ;;
    esac
    wait_for 20 only_these "$others" || failed "$1: something of it stays" "$(xenstore-list /local/domain)"
    if console "$1" | grep ': ended' | grep -q ' 0 refused, 0 silent, 0 wrong,'; then right=$((right + 1)); fi
    rm "/var/log/xen/console/guest-$1.log"
}

# One before the others: it leaves what a host keeps for ever once it has had a guest.
live first load rounds=5 watches=3 stay
levels >/tmp/before
served=0 right=0
for number in $(seq $((LIVES / 2))); do
    live "stays$number" load rounds=5 watches=3 stay
    live "goes$number" reconnect rounds=2
    if [ $((number % 25)) = 0 ]; then says "after $((2 * number)) lives the store is consistent" OK xenstore-control check; fi
done
equal 'each was served' $LIVES $served
equal 'each was answered as it must be' $LIVES $right
becomes 20 'the store holds what it held before' same_levels /tmp/before
levels | paste -d ' ' /tmp/before - | sed 's/^/# before and after: /'
checks_done
