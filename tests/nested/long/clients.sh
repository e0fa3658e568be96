# nested: --tools --limit 300 --add tests/clients/commands.py --add tests/clients/xs-client.py --add tests/clients/pyxs-client.py
# servers: stubdom daemon
# Clients in other languages, each of another library, on the kernel's device in dom0: they see what Xen's tools write
# and the tools what they write; permissions, events, and transactions that are committed, refused and given up.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

# A library that asks for the daemon's socket first is to take the kernel's device, whatever the server.
export XENSTORED_PATH=/dev/xen/xenbus PYTHONDONTWRITEBYTECODE=1
# The crate takes the device only if there is no socket.
rust() { XENSTORED_PATH=/none rust-client; }

# start COMMAND...: a client that waits for commands.
start() {
    mkfifo /tmp/to /tmp/from
    "$@" </tmp/to >/tmp/from 2>/tmp/complaints &
    exec 8>/tmp/to 9</tmp/from
    rm /tmp/to /tmp/from
}

# tell WORD...: gives the client a command, and prints its answer.
tell() {
    local answer
    echo "$*" >&8
    # An interpreter takes its time to start under emulation.
    # shellcheck disable=SC3045  # busybox's shell has it
    read -r -t 90 answer <&9 || answer="no answer; $(tail -n 3 /tmp/complaints)"
    echo "$answer"
}

# expect TEXT ANSWER WORD...: what the client says to a command.
expect() {
    local text=$1 wanted=$2
    shift 2
    equal "$name: $text" "$wanted" "$(tell "$@")"
}

# The tool fills the space before the permissions with dots.
tool_permissions() { xenstore-ls -fp "$1" | sed 's/[ .]*  (/ (/'; }

nodes() {
    xenstore-write "$at/theirs/a" one "$at/theirs/b" two
    expect 'reads what a tool has written' one read "$at/theirs/a"
    expect 'lists it' 'a b' list "$at/theirs"
    expect 'writes' ok write "$at/own/value" words
    says "$name: a tool reads what it has written" words xenstore-read "$at/own/value"
    expect 'is refused what is not there' 'error ENOENT' read "$at/none"
    # pyxs looks at paths itself.
    [ "$name" = pyxs ] || expect 'is refused what is no path' 'error EINVAL' read /a//b
    expect 'removes' ok remove "$at/own"
    refuses "$name: a tool finds nothing there" xenstore-read "$at/own/value"
}

permissions() {
    expect 'makes a directory' ok mkdir "$at/mine"
    expect 'sees its permissions' n0 permissions "$at/mine"
    expect 'changes them' ok permit "$at/mine" n0 r7 b9
    expect 'sees what it has changed' 'n0 r7 b9' permissions "$at/mine"
    equal "$name: a tool sees it, too" "$at/mine = \"\" (n0,r7,b9)" "$(tool_permissions "$at" | grep "^$at/mine ")"
    xenstore-chmod "$at/mine" w0 r4
    expect "sees a tool's change" 'w0 r4' permissions "$at/mine"
    expect 'asks for the home of a domain' /local/domain/5 home 5
}

# hears TEXT PATH: the next event is of that path. When a watch is set, the kernel may tell of it before it says that
# it is; the crate then loses that event, so with it the first one may be either.
hears() {
    local heard
    heard=$(tell event token)
    if [ "$name" = rust ] && [ "$heard" = "$at/watched" ] && [ "$2" != "$heard" ]; then heard=$(tell event token); fi
    equal "$name: $1" "$2" "$heard"
}

events() {
    expect 'watches' ok watch "$at/watched" token
    [ $name = rust ] || hears 'is told that the watch is set' "$at/watched"
    xenstore-write "$at/watched/below" x
    hears "hears of a tool's change" "$at/watched/below"
    xenstore-rm "$at/watched"
    hears 'hears of a removal' "$at/watched"
    expect 'gives the watch up' ok unwatch "$at/watched" token
    xenstore-write "$at/watched/below" x
    expect 'goes on without it' x read "$at/watched/below"
}

transactions() {
    xenstore-write "$at/count" 1
    expect 'begins a transaction' ok begin
    expect 'reads in it' 1 read "$at/count"
    expect 'writes in it' ok write "$at/count" 2
    says "$name: nobody else sees that" 1 xenstore-read "$at/count"
    expect 'commits' ok commit
    says "$name: now it is seen" 2 xenstore-read "$at/count"
    expect 'begins another' ok begin
    expect 'reads in it, too' 2 read "$at/count"
    xenstore-write "$at/count" 10
    expect 'writes what another has changed' ok write "$at/count" 3
    expect 'has to try again' 'error EAGAIN' commit
    says "$name: the other's value stays" 10 xenstore-read "$at/count"
    expect 'begins once more' ok begin
    expect 'reads the new value' 10 read "$at/count"
    expect 'writes after it' ok write "$at/count" 11
    expect 'commits this time' ok commit
    says "$name: its value is there" 11 xenstore-read "$at/count"
    expect 'begins one to give up' ok begin
    expect 'writes in that' ok write "$at/count" 12
    expect 'gives it up' ok abort
    says "$name: nothing has come of it" 11 xenstore-read "$at/count"
}

before=$(xenstore-ls -fp)
for name in xs pyxs rust; do
    at=/clients/$name
    case $name in
        rust) start rust ;;
        *) start python3 "/nested/$name-client.py" ;;
    esac
    nodes
    if [ $name != rust ]; then permissions; fi
    if [ $name != pyxs ]; then events; fi
    if [ $name != rust ]; then transactions; fi
    exec 8>&- 9<&-
    wait
    equal "$name: ends without complaint" '' "$(cat /tmp/complaints)"
    xenstore-rm "$at"
done
xenstore-rm /clients
equal 'the store is as before' "$before" "$(xenstore-ls -fp)"
says 'the store is consistent' OK xenstore-control check
checks_done
