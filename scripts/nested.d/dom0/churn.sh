# A store that is disturbed under load, by updates or by faults: everyday jobs do it for a minute, the long ones for as long
# as it takes. Needs a run with `--guests --add target/xs-guest`, and check.sh and tiny.sh read before.

# lost TEXT...: something that was asked of the store has not come out as it must.
lost() { echo "$*" >>/tmp/lost; }

# visit NAME: a guest comes, finds its store, and goes.
visit() {
    tiny "$1" hello
    xl create -q "$1.cfg" >/tmp/visit 2>&1 || lost "$1: xl create: $(cat /tmp/visit)"
    wait_for 60 says_hello "$1" || lost "$1: finds no store"
    xl destroy "$1" >/tmp/visit 2>&1 || lost "$1: xl destroy: $(cat /tmp/visit)"
}

# Each of these goes on until there is /tmp/enough, and counts its rounds.
visitors() {
    local round=0
    while [ ! -e /tmp/enough ]; do
        round=$((round + 1))
        visit visitor
        echo $round >/tmp/visits
    done
}

upstream() {
    local round=0
    while [ ! -e /tmp/enough ]; do
        round=$((round + 1))
        test-xenstore -i 20 >/tmp/upstream 2>&1 || lost "test-xenstore: $(tail -n 3 /tmp/upstream)"
        echo $round >/tmp/tests
    done
}

administrator() {
    local round=0
    while [ ! -e /tmp/enough ]; do
        round=$((round + 1))
        xenstore-write /churn/mine $round && [ "$(xenstore-read /churn/mine)" = $round ] || lost "round $round: /churn/mine"
        xenstore-ls -fp /churn/kept | cmp -s /tmp/kept - || lost "round $round: /churn/kept"
        echo $round >/tmp/rounds
        usleep 50000
    done
}

# churn: begins all that. Guests that stay look at each answer and count each event.
churn() {
    local n=0
    others=$(xenstore-list /local/domain)
    while [ $n -lt 100 ]; do
        xenstore-write "/churn/kept/$n" "value $n"
        n=$((n + 1))
    done
    xenstore-write /churn/mine 0
    xenstore-ls -fp /churn/kept >/tmp/kept
    # What the first of each leaves for those behind it is there before anything is counted.
    visit first
    becomes 30 'nothing of the first guest stays' only_these "$others"
    test-xenstore -i 20 >/tmp/upstream 2>&1 || failed 'test-xenstore' "$(cat /tmp/upstream)"
    levels >/tmp/before
    make_guest linux
    xl create linux.cfg >/dev/null || failed 'linux: xl create'
    linux=$(xl domid linux)
    becomes 90 'linux: is up' xenstore-exists "/local/domain/$linux/data/hello"
    tiny one load rounds=100000000 watches=3 writes=20 rate=50 stay
    tiny two reconnect rounds=100000000 rate=5 stay
    for name in one two; do xl create -q $name.cfg || failed "$name: xl create"; done
    visitors &
    upstream &
    administrator &
}

# churned: ends it; nobody was told anything wrong, and all is as it was before.
churned() {
    touch /tmp/enough
    wait
    echo "# $(cat /tmp/visits) guests came and went, test-xenstore ran $(cat /tmp/tests) times, dom0 asked $(cat /tmp/rounds) times"
    equal 'dom0: nothing was lost or refused' '' "$(head -n 20 /tmp/lost 2>/dev/null)"
    says 'the store is consistent' OK xenstore-control check
    for name in one two; do
        matches "$name: all was answered as it must be" ' 0 refused, 0 silent, 0 wrong' "$(console $name | tail -n 1)"
    done
    says 'no event was missed' 0 counted missed-events
    xenstore-write "/local/domain/$linux/data/ask" 1
    becomes 30 'linux: answers' xenstore-exists "/local/domain/$linux/data/answer"
    xl save linux /tmp/linux >/tmp/said 2>&1 || failed 'linux: xl save' "$(cat /tmp/said)"
    xl restore /tmp/linux >/tmp/said 2>&1 || failed 'linux: xl restore' "$(cat /tmp/said)"
    linux=$(xl domid linux)
    xenstore-write "/local/domain/$linux/data/ask" 2
    becomes 60 'linux: answers, saved and restored' xenstore-exists "/local/domain/$linux/data/answer"
    xl shutdown -w linux >/tmp/said 2>&1 || failed 'linux: xl shutdown' "$(cat /tmp/said)"
    for name in one two; do xl destroy $name; done
    becomes 30 'nothing of the guests stays' only_these "$others"
    xenstore-write /churn/mine 0
    becomes 30 'memory and counters are as before' same_levels /tmp/before
}

counted() { xenstore-control stats totals | sed -n "s/^$1 *: *//p"; }

# updates COUNT IMAGE...: so many updates in a row, to each image in turn. Meanwhile the console shows how far it is.
updates() {
    local count=$1 done=0
    shift
    while [ $done -lt "$count" ]; do
        for image; do
            done=$((done + 1))
            xenstore-control live-update "$image" >/tmp/disturbed 2>&1 || lost "update $done to $image: $(cat /tmp/disturbed)"
            [ $((done % 10)) != 0 ] || says "the store is sound after $done updates" OK xenstore-control check
        done
    done
    equal 'all updates are counted' $done "$(counted updates)"
}

# faults COUNT: so many faults at any moment, of each kind in turn; endless work, which takes five seconds to be noticed,
# every two hundred.
faults() {
    local count=$1 done=0 before kind
    before=$(counted restarts)
    while [ $done -lt "$count" ]; do
        done=$((done + 1))
        case $((done % 200)) in
            100) kind=loop ;;
            *[02468]) kind=panic ;;
            *) kind=page ;;
        esac
        xenstore-control fault $kind >/tmp/disturbed 2>&1
        grep -q '^Error 5 ' /tmp/disturbed || lost "fault $done, $kind: is not answered with EIO: $(cat /tmp/disturbed)"
        usleep $((done * 7919 % 50000))
        [ $((done % 100)) != 0 ] || says "the store is sound after $done faults" OK xenstore-control check
    done
    equal 'all faults are counted' $((before + done)) "$(counted restarts)"
}
