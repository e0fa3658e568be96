# nested: --guests --tools --limit 420 --add tests/nested/guest/console-shell.sh
# servers: stubdom daemon
# Typing on a guest's console: xl finds it by the store, what is typed arrives in the guest and its answer comes back,
# from another terminal, from xl create itself, after xenconsoled has begun anew, and after a restore.
# shellcheck disable=SC2016  # what is typed is expanded in the guest
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh

# Ctrl-], which leaves a console, and what a terminal's control sequences begin with.
LEAVE=$(printf '\035')
ESCAPE=$(printf '\033')

# terminal COMMAND: runs it on a terminal of its own. What is typed comes from `press`, what it shows goes to /tmp/screen.
terminal() {
    rm -f /tmp/keys /tmp/screen
    mkfifo /tmp/keys
    # Its output is written at once, so that it can be waited for.
    script -q -e -f -c "$1" /tmp/screen </tmp/keys >/dev/null 2>&1 &
    terminal=$!
    exec 7>/tmp/keys
}

# press TEXT: as keys; \r is Enter.
press() { printf %b "$1" >&7; }

# shows REGEX: the terminal does, as a whole line but for its control sequences.
shows() { tr -d '\r' </tmp/screen | sed "s/$ESCAPE\[[0-9;?]*[A-Za-z]//g" | grep -qE "^($1)\$"; }

# sees TEXT REGEX: it comes to show that. If not, what it shows instead.
sees() {
    becomes 40 "$1" shows "$2"
    shows "$2" || tail -n 5 /tmp/screen | sed 's/^/# /'
}

# leaves TEXT: Ctrl-] ends the console, and well.
leaves() {
    press "$LEAVE"
    exec 7>&-
    wait $terminal
    equal "$1" 0 $?
}

# The terminal that xenconsoled has opened for the guest.
tty_of() { xenstore-read "/local/domain/$(xl domid "$1")/console/tty"; }

make_guest typed /nested/console-shell.sh
terminal 'xl create -c typed.cfg'
becomes 120 'xl create -c: shows the guest' shows 'guest: typed said hello'
typed=$(xl domid typed)
matches 'the store has its terminal' '^/dev/pts/[0-9]+$' "$(tty_of typed)"
says 'the store has its kind' xenconsoled xenstore-read "/local/domain/$typed/console/type"
equal 'its terminal is for the guest to read' "n0,r$typed" \
    "$(xenstore-ls -fp "/local/domain/$typed/console" | sed -n 's/.*\/console\/tty = .*(\(.*\))$/\1/p')"
press 'echo $((6 * 7)) came from $(xenstore-read name)\r'
sees 'xl create -c: the guest answers what is typed' '42 came from typed'
leaves 'xl create -c: Ctrl-] leaves it'

terminal 'xl console typed'
press '\r'
sees 'xl console: has a prompt' '.*# '
press 'xenstore-write data/typed "$((7 * 8)) by hand"; echo written $((1 + 1))\r'
sees 'xl console: the guest does what is typed' 'written 2'
says 'xl console: the store has what it did' '56 by hand' xenstore-read "/local/domain/$typed/data/typed"
# Rubbed out, interrupted, and more at once than the ring of 1 KiB holds that keys go through.
press 'echo wrong\0177\0177\0177\0177\0177right $((4 + 4))\r'
sees 'xl console: rubbing out works' 'right 8'
press 'sleep 1000\r'
sleep 2
press '\0003'
press 'echo interrupted $((5 + 5))\r'
sees 'xl console: Ctrl-C reaches the guest' 'interrupted 10'
press 'wc -c\r'
for n in $(seq 20); do press "$(printf %080d "$n")\r"; done
# Ctrl-D ends what is typed.
press '\0004'
sees 'xl console: 20 lines of 80 characters arrive whole' 1620
leaves 'xl console: Ctrl-] leaves it'

# Several visits, as a day brings them.
for n in $(seq 6); do
    terminal 'xl console -t pv typed'
    press "echo visit \$(($n * 100))\\r"
    wait_for 30 shows "visit ${n}00" && printf . >>/tmp/visits
    leaves "visit $n: Ctrl-] leaves it" >>/tmp/left
done
equal 'xl console: each visit is answered' 6 "$(wc -c </tmp/visits)"
equal 'xl console: each visit ends well' 6 "$(grep -c '^ok' /tmp/left)"

# A new daemon takes the guests over, which it finds in the store.
old=$(pidof xenconsoled)
kill "$old"
becomes 20 'xenconsoled: is ended' sh -c "! kill -0 $old"
xenstore-rm "/local/domain/$typed/console/tty"
xenconsoled --log=all
becomes 20 'xenconsoled: a new one tells the terminal anew' xenstore-exists "/local/domain/$typed/console/tty"
terminal 'xl console typed'
press 'echo $((9 * 9)) through a new daemon\r'
sees 'xenconsoled: a new one hands on what is typed' '81 through a new daemon'
leaves 'xenconsoled: Ctrl-] leaves it'
becomes 10 'xenconsoled: a new one logs' grep -q '81 through a new daemon' /var/log/xen/console/guest-typed.log

says 'xl save' '' sh -c 'xl save typed /tmp/typed >/tmp/said 2>&1 || tail -n 5 /tmp/said'
becomes 30 'its place in the store goes' sh -c "! xenstore-exists /local/domain/$typed"
says 'xl restore' '' sh -c 'xl restore /tmp/typed >/tmp/said 2>&1 || tail -n 5 /tmp/said'
again=$(xl domid typed)
becomes 30 'restore: it has a terminal again' xenstore-exists "/local/domain/$again/console/tty"
terminal 'xl console typed'
press 'echo $((11 * 11)) in $(xenstore-read domid)\r'
sees 'restore: it answers what is typed' "121 in $again"
# The console ends with its guest.
press 'poweroff -f\r'
becomes 60 'poweroff: the console ends by itself' sh -c "! kill -0 $terminal"
exec 7>&-
becomes 30 'poweroff: nothing of it stays' traceless "$typed" "$again"
refuses 'xl console: of a guest that is gone' xl console typed
checks_done
