# nested: --memory 48 --add target/xs-guest --add tests/nested/latency.c --limit 900
# Each attack that a guest of ours knows, one after the other, and each one's death in the middle of it: dom0 is
# answered meanwhile and afterwards, the store stays consistent, holds no more for the attacker than it may, and
# keeps nothing of it. With enough memory for one guest to use up its quota of that, too.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

# dom0 may wait no longer for an answer, microseconds: enough for an emulated and shared processor.
PATIENCE=1000000

# answered TEXT: dom0 is, and right, each time; prints how fast.
answered() {
    local times
    times=$(/nested/latency 200) || times='0 0 999999999'
    echo "# $1: median ${times%% *} us, 99 of 100 within $(echo "$times" | cut -d ' ' -f 2) us, all within ${times##* } us"
    if [ "${times##* }" -lt "$PATIENCE" ]; then passed "$1"; else failed "$1" "$times"; fi
}

# held DOMID: the most memory that the store has held for it, and what it may.
held() { xenstore-control stats "$1" | awk '$1 == "memory" { print $3, $4 }'; }

# used_up DOMID: it has had as good as all of each quota. The soft one is the other's warning.
used_up() {
    xenstore-control stats "$1" | awk '/^quotas$/ { on = 1 }
        on && NF == 4 && $1 != "soft-memory" { quotas++; spared += $3 < $4 * 0.9 }
        END { exit quotas != 9 || spared }'
}

others=$(xenstore-list /local/domain)
answered 'idle: dom0 is answered'
for role in $ATTACKS; do
    tiny attacker "$role"
    xl create -q attacker.cfg || failed "$role: xl create"
    attacker=$(xl domid attacker)
    becomes 20 "$role: began" xenstore-exists "/local/domain/$attacker/data/hello"
    answered "$role: dom0 is answered"
    if [ "$role" = quotas ]; then
        becomes 60 "$role: each was used up" used_up "$attacker"
        xenstore-control stats "$attacker" | sed -n '/^quotas$/,$p' | sed 's/^/# /'
    fi
    says "$role: the store is consistent meanwhile" OK xenstore-control check
    # shellcheck disable=SC2046  # two numbers
    set -- $(held "$attacker")
    if [ "${1:-1}" -le "${2:-0}" ]; then
        passed "$role: holds $1 of $2 bytes at most"
    else
        failed "$role: holds no more than it may" "$*"
    fi
    says "$role: xl destroy" '' xl destroy attacker
    becomes 20 "$role: nothing of it stays" only_these "$others"
    says "$role: the store is consistent" OK xenstore-control check
    echo "# $(console attacker | grep ': at' | tail -n 1)"
    equal "$role: is answered as it must be, where it is" 0 "$(console attacker | sed -n 's/.* \([0-9]*\) wrong,.*/\1/p' | tail -n 1)"
    rm /var/log/xen/console/guest-attacker.log

    tiny mortal "$role" die-after=500
    xl create -q mortal.cfg || failed "$role: xl create of one that dies"
    becomes 20 "$role: dies in the middle" grep -q "^dies" /var/log/xen/console/guest-mortal.log
    becomes 20 "$role: nothing of the dead stays" only_these "$others"
    says "$role: the store is consistent after its death" OK xenstore-control check
    rm /var/log/xen/console/guest-mortal.log
done
answered 'afterwards: dom0 is answered'
checks_done
