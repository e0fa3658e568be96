# Attackers of each kind, a bystander with a recorded life, and dom0's requests meanwhile: see scripts/isolation.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

ATTACKERS=$(cat /nested/attackers) REQUESTS=1000
# Attackers that sleep between their rounds, so that Xen lets them run on when they wake; see docs/isolation.md.
SLEEPERS=" indexes endless deaf idle-start mix "
failed=0 idle='' spin='' nap=''

fail() { echo "isolation: $*" && exit 1; }

store=$(xenstore-read /tool/xenstored/domid)

# equals: as Xen schedules if nobody says otherwise. What runs may go on for a millisecond, whoever else becomes ready.
equals() {
    xl sched-credit2 -d 0 -w 256 && xl sched-credit2 -d "$store" -w 256 && xl sched-credit2 -s -p Pool-0 -r 1000 >/dev/null
}

# masters: dom0 and the store come before guests, at once.
masters() {
    xl sched-credit2 -d 0 -w 65535 && xl sched-credit2 -d "$store" -w 65535 && xl sched-credit2 -s -p Pool-0 -r 0 >/dev/null
}

# waits: median and 99th percentile of dom0's waits, microseconds, scheduled as equals and as masters.
waits() {
    local scheduling measured=''
    for scheduling in equals masters; do
        $scheduling || return 1
        sleep 1
        times=$(/nested/latency $REQUESTS) || return 1
        measured="$measured ${times% *}"
    done
    echo "$measured"
}

# begun GUEST...: each has said its first words to the store.
begun() {
    for name in "$@"; do xenstore-exists "/local/domain/$(xl domid "$name")/data/hello" || return 1; done
}

# most_held: what the store held at most for one attacker, and what it may.
most_held() {
    for number in $(seq $ATTACKERS); do
        xenstore-control stats "$(xl domid "a$number")" | awk '$1 == "memory" { print $3, $4 }'
    done | sort -n | tail -n 1
}

# bystander_tells: its lives, what in them was not as recorded, the events that it lacks, and its longest wait in
# milliseconds; nothing if it did not come to its end.
bystander_tells() {
    console bystander | sed -n 's/.*: ended .* ms, \(.*\) rounds, \(.*\) refused, \(.*\) silent, \(.*\) wrong, \(.*\) events of \(.*\)$/\1 \2 \3 \4 \5 \6/p; s/^waited \(.*\) us at most$/\1/p' |
        awk 'NF == 6 { lives = $1; failed = $2 + $3 + $4; lacking = $6 > $5 ? $6 - $5 : 0 }
             NF == 1 { print lives, failed, lacking, $1 / 1000 }'
}

# row NAME WAITS [HELD QUOTA LIVES FAILED LACKING WAIT]: a line of the table. Fails if it misses a limit.
row() {
    awk -v row="$*" -v idle="$idle" -v spin="$spin" -v nap="$nap" -v sleepers="$SLEEPERS" '
        # The nth of the waits, times what it is idle, and times what it is beside guests that do not ask the store.
        function wait(n) {
            beside = attack ? sprintf(", %.2f", is[n + 1] / control[n]) : ""
            return sprintf(" %d (%.2f%s) |", is[n + 1], is[n + 1] / was[n], beside)
        }
        BEGIN {
            fields = split(row, is)
            split(idle, was)
            attack = is[1] !~ /^(idle|spin|nap)$/
            sleeper = index(sleepers, " " is[1] " ")
            split(sleeper ? nap : spin, control)
            line = "| " is[1] " |" wait(1) wait(2) wait(3) wait(4)
            for (n = 1; n <= 2; n++) least[n] = sleeper && control[n] > was[n] ? control[n] : was[n]
            if (attack && is[2] > 2 * was[1]) beyond = beyond " median"
            if (attack && is[3] > 5 * was[2]) beyond = beyond " 99 %"
            if (attack && (is[2] > 2 * least[1] || is[3] > 5 * least[2])) missed = " equals:" beyond ";"
            if (attack && is[4] > 2 * was[3]) missed = missed " median"
            if (attack && is[5] > 5 * was[4]) missed = missed " 99 %"
            if (is[1] == "idle") line = line " | | |"
            else if (fields < 11) { missed = missed " bystander"; line = line " | | silent |" }
            else {
                if (is[6] > is[7]) missed = missed " memory"
                if (is[8] < 1 || is[9] + is[10] > 0) missed = missed " bystander"
                line = line sprintf(" %d | %d | %d, %d, %d, %d |", is[6], is[7], is[8], is[9], is[10], is[11])
            }
            said = missed ? ("**missed**:" missed) : !attack ? "" : beyond ? ("met; beyond as equals:" beyond) : "met"
            print line " " said " |"
            exit missed != ""
        }' || failed=1
}

others=$(xenstore-list /local/domain)
# Guests come and go while dom0 is ahead of them, so that the time goes into measuring.
masters || fail 'Xen does not schedule so'
sleep 4
idle=$(waits) || fail 'dom0 is not answered'
cat <<TABLE
| $ATTACKERS guests | median, equals | 99 %, equals | median, masters | 99 %, masters | bytes held | quota | bystander | limits |
|---|---:|---:|---:|---:|---:|---:|---:|---|
TABLE
row idle "$idle"
chosen=$(cat /nested/attacks)
for role in spin nap ${chosen:-$ATTACKS}; do
    tiny bystander recorded stay
    xl create -q bystander.cfg || fail 'the bystander cannot be created'
    names=bystander
    for number in $(seq $ATTACKERS); do
        tiny "a$number" "$role" seed="$number"
        xl create -q "a$number.cfg" || fail "$role: the attackers cannot be created"
        names="$names a$number"
    done
    # shellcheck disable=SC2086  # names
    wait_for 240 begun $names || fail "$role: not all guests came up"
    measured=$(waits) || fail "$role: dom0 is not answered"
    held=$(most_held)
    for number in $(seq $ATTACKERS); do xl destroy "a$number"; done
    # What it tells last is told with nothing under way.
    xl shutdown -w bystander >/dev/null 2>&1
    wait_for 60 only_these "$others" || fail "$role: something of the guests stays"
    row "$role" "$measured" "$held" "$(bystander_tells)"
    case $role in spin) spin=$measured ;; nap) nap=$measured ;; esac
    [ "$(xenstore-control check)" = OK ] || fail "$role: the store is not consistent"
    rm /var/log/xen/console/guest-*
done
exit $failed
