# nested: --add target/xs-guest --add tests/nested/latency.c --limit 420
# Everything at once, for two minutes or those that /nested/minutes says: see scripts/soak.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

# dom0 may wait no longer for an answer, microseconds: enough for an emulated and shared processor.
PATIENCE=2000000
RESIDENTS="steady again"
created=0 rounds=0 longest=0

# quietly TEXT COMMAND...: only its failure is told.
quietly() {
    local text="$1"
    shift
    "$@" >/tmp/said 2>&1 || failed "round $rounds: $text" "$(cat /tmp/said)"
}

# start NAME ROLE [OPTION...]
start() {
    tiny "$@"
    quietly "xl create $1" xl create -q "$1.cfg"
    created=$((created + 1))
}

# pick N WORD...: the Nth of the words, round and round.
pick() {
    local number="$1"
    shift
    shift $((number % $#))
    echo "$1"
}

# tools: what dom0's tools do, and whether it was done.
tools() {
    local seen
    xenstore-watch -n 3 /soak >/tmp/seen 2>&1 &
    seen=$!
    # The first event says that the watch is set.
    wait_for 10 test -s /tmp/seen
    xenstore-write /soak/a "$rounds" /soak/b two && [ "$(xenstore-read /soak/a)" = "$rounds" ] || return 1
    xenstore-chmod /soak/b n0 r1 && xenstore-exists /soak/b && [ "$(xenstore-list /soak | wc -l)" = 2 ] || return 1
    wait "$seen"
    grep -qx /soak/b /tmp/seen && xenstore-rm /soak && ! xenstore-exists /soak && xl list
}

# commands: the store's own, while it works.
commands() {
    xenstore-control trace mark "round $rounds" && xenstore-control trace show && xenstore-control trace dump 0 &&
        xenstore-control stats && xenstore-control stats json && xenstore-control stats domains &&
        xenstore-control stats READ && xenstore-control memreport && xenstore-control quota 0
}

consistent() { [ "$(xenstore-control check)" = OK ]; }

# within_quota NAME: the store held no more memory for it than it may.
within_quota() {
    domid=$(xl domid "$1") || return 1
    xenstore-control stats "$domid" | awk '$1 == "memory" { print; seen = 1; over = $3 > $4 } END { exit !seen || over }'
}

# answered: dom0 is, and right, each time; sets times.
answered() {
    times=$(/nested/latency 50) && [ "${times##* }" -lt "$PATIENCE" ]
}

total() { xenstore-control stats totals | awk -v what="$1" '$1 == what { print $NF }'; }

# dom0 comes before guests, so that the time goes into rounds.
quietly 'dom0 comes first' xl sched-credit2 -d 0 -w 65535
others=$(xenstore-list /local/domain)
# One of each before: they leave what a host keeps for ever once it has had them.
start first load rounds=5 watches=3
quietly 'the first comes and goes' wait_for 30 grep -q '^load: bye' /var/log/xen/console/guest-first.log
quietly 'nothing of the first stays' wait_for 30 only_these "$others"
quietly "dom0's tools" tools
quietly "the store's commands" commands
quietly 'dom0 is answered' answered
levels >/tmp/before

start steady recorded stay
start again reconnect rate=3 stay
start raider mix seed=1
residents=$(xenstore-list /local/domain)
# QEMU's emulation can lose the interrupt of Xen's timer for good while a guest does nothing but call Xen with its
# interrupts off: the local APIC keeps it pending, nobody takes it, and nothing but that guest runs any more. The two
# attackers that do this are left to runs that somebody asks for.
minutes=2 attacks=$(echo "$ATTACKS" | sed 's/ kick\| rebind//g')
if [ -e /nested/minutes ]; then minutes=$(cat /nested/minutes) attacks=$ATTACKS; fi
end=$(($(now) + minutes * 60000))
while [ "$(now)" -lt "$end" ]; do
    # shellcheck disable=SC2086  # words
    attacker=$(pick $rounds $attacks)
    brief=$(pick $rounds load reconnect hvmloader-reset)
    rounds=$((rounds + 1))
    start attacker "$attacker"
    start mortal mix seed=$rounds die-after=$((rounds * 17 % 400 + 1))
    start brief "$brief" rounds=20
    quietly "$attacker: dom0's tools" tools
    quietly "$attacker: the store's commands" commands
    answered || failed "round $rounds: $attacker: dom0 is answered" "$times"
    quietly "$attacker: memory" within_quota attacker
    quietly "$attacker: check" consistent
    quietly "the mix of seed $rounds dies" wait_for 40 grep -q '^dies' /var/log/xen/console/guest-mortal.log
    quietly "$brief goes" wait_for 40 grep -q "^$brief: bye" /var/log/xen/console/guest-brief.log
    quietly "$brief was answered as it must be" grep -q ': ended.* 0 refused, 0 silent, 0 wrong,' \
        /var/log/xen/console/guest-brief.log
    quietly 'xl destroy' xl destroy attacker
    quietly 'nothing of them stays' wait_for 40 only_these "$residents"
    quietly 'check afterwards' consistent
    rm /var/log/xen/console/guest-attacker.log /var/log/xen/console/guest-mortal.log \
        /var/log/xen/console/guest-brief.log
    if [ "${times##* }" -gt "$longest" ]; then longest=${times##* }; fi
    echo "$(($(now) / 1000)) s, round $rounds: $attacker; a mix dies; $brief; dom0 waits $(echo "$times" | awk '{ print $1 " us, " $3 " us" }') (median, longest)"
done

quietly 'xl destroy' xl destroy raider
echo "# raider: $(console raider | tail -n 1)"
for name in $RESIDENTS; do xl shutdown "$name" >/dev/null 2>&1; done
becomes 60 'nothing of the guests stays' only_these "$others"
for name in $RESIDENTS; do
    last=$(console "$name" | grep ': ended' | tail -n 1)
    matches "$name: all was answered as it must be" 'rounds, 0 refused, 0 silent, 0 wrong,' "$last"
    echo "# $name: $last"
done
equal 'steady: got each event' "$(events_due steady)" "$(events_seen steady)"
becomes 20 'the store holds what it held before' same_levels /tmp/before
levels | paste -d ' ' /tmp/before - | sed 's/^/# before and after: /'
says 'the store is consistent' OK xenstore-control check
# shellcheck disable=SC2154  # counted by check.sh
equal 'nothing went wrong in any round' 0 "$checks_failed"
echo "# $rounds rounds, $created guests, $(total requests) requests, $(total events) events; dom0 waited $longest us at most"
checks_done
