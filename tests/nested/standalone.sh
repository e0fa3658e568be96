# nested: --server daemon --add target/xenstore-stubdom:nested/store --add scripts/xenstore-stubdom.cfg --add target/xs-trace:usr/bin/xs-trace
# The image under plain `xl create`, beside C xenstored as the host's store: it tests and times its own store, says so on
# its console and in its nodes, and ends as it is told to. The job that sources this has another store as the host's.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

home() { echo "/local/domain/$(xl domid "$1")/data/xenstore-stubdom"; }

# trial NAME [WORD...]: the configuration that comes with the image, as NAME.cfg, with these words.
trial() {
    local name=$1
    shift
    sed -e "s|^name = .*|name = \"$name\"|" -e "s|^kernel = .*|kernel = \"/nested/store\"|" \
        -e "s|^extra = .*|extra = \"$*\"|" /nested/xenstore-stubdom.cfg >"$name.cfg"
}

# console NAME: what it has said.
console() { tr -d '\r' <"/var/log/xen/console/guest-$1.log"; }
has_said() { console "$1" | grep -q "$2"; }
is_state() { [ "$(xenstore-read "$(home "$1")/state")" = "$2" ]; }
is_done() { [ -z "$(xenstore-read "$(home "$1")/request")" ]; }
gone() { ! xl domid "$1"; }

before=$(xenstore-list /local/domain)

# As the README says, with the console of `xl create -c`.
trial once
sleep 60 | xl create -c once.cfg >/tmp/once 2>&1 &
becomes 30 'once: powers off by itself' sh -c 'grep -q "^powering off" /var/log/xen/console/guest-once.log && ! xl domid once'
tr -d '\r' </tmp/once >/tmp/standalone.log
sed 's/^/once: /' /tmp/standalone.log
hand_out /tmp/standalone.log
matches 'once: its self-test has passed' '^self-test: [0-9]+ passed, 0 failed$' "$(cat /tmp/standalone.log)"
for what in READ WRITE DIRECTORY WRITE-RM TRANSACTION; do
    matches "once: has timed $what" "^benchmark/$what: [1-9][0-9]* ns \\(least [1-9]" "$(console once)"
done
equal 'once: leaves nothing' "$before" "$(xenstore-list /local/domain)"

trial stays stay --trace-size=128
xl create -q stays.cfg || failed 'stays: xl create'
becomes 30 'stays: is there after its report' is_state stays staying
xenstore-ls -p "$(home stays)" | sed 's/^/stays: /'
matches 'stays: its nodes say that the self-test has passed' '^[0-9]+ passed, 0 failed$' "$(xenstore-read "$(home stays)/self-test")"
matches 'stays: its nodes say how long a READ takes' '^[1-9][0-9]* ns ' "$(xenstore-read "$(home stays)/benchmark/READ")"
matches 'stays: its nodes say what memory it uses' '^[1-9][0-9]* KiB used, ' "$(xenstore-read "$(home stays)/memory")"
xenstore-write "$(home stays)/request" sing
becomes 10 'stays: says what it can be asked for' has_said stays '^request: dump, run or stop is possible'
xenstore-write "$(home stays)/request" run
becomes 20 'stays: runs the benchmark again' is_done stays
equal 'stays: two figures for READ' 2 "$(console stays | grep -c '^benchmark/READ: ')"
xenstore-write "$(home stays)/request" dump
becomes 30 'stays: dumps its trace' has_said stays '^dump: end$'
says 'xs-trace makes a file of the console' '' sh -c "xs-trace dump --console /var/log/xen/console/guest-stays.log /tmp/dump 2>/dev/null"
xs-trace show /tmp/dump >/tmp/shown
tail -n 3 /tmp/shown
grep 'READ\|released' /tmp/shown | tail -n 20 >/tmp/last
matches 'the dump has requests with their paths' ' d1 +READ tx [0-9]+ ok, .* /local/domain/1/data/bench/3$' "$(cat /tmp/last)"
matches 'the dump has the release of the guest' ' d1 +released$' "$(tail -n 3 /tmp/last)"
xenstore-write "$(home stays)/request" stop
becomes 20 'stays: stops when asked to' gone stays
matches 'stays: says so' '^state: stopped$' "$(console stays)"

trial told stay dump --trace-size=8
xl create -q told.cfg || failed 'told: xl create'
becomes 30 'told: stays' is_state told staying
matches 'told: has dumped its trace at once, as it was told to' '^dump: end$' "$(console told)"
xl shutdown -w told >/dev/null 2>&1
becomes 20 'told: xl shutdown ends it' gone told

trial anew stay
xl create -q anew.cfg || failed 'anew: xl create'
becomes 30 'anew: stays' is_state anew staying
domid=$(xl domid anew)
xl reboot -w anew >/dev/null 2>&1
becomes 40 'anew: xl reboot has it begin again' sh -c "[ \"\$(xl domid anew)\" -gt $domid ]"
becomes 30 'anew: stays again' is_state anew staying
xl destroy anew

trial wrong stya
xl create -q wrong.cfg
becomes 10 'wrong: a word that is not known ends it with one line' has_said wrong '^unknown word "stya"; known: stay dump fail seconds=,'
becomes 10 'wrong: runs nothing' gone wrong

trial fails fail
xl create -q fails.cfg
becomes 30 'fails: says what was expected and what came' has_said fails 'READ /secret|": expected "43", came "42"$'
becomes 10 'fails: its nodes say that it failed' is_state fails failed
matches 'fails: with how many' ' passed, 1 failed$' "$(xenstore-read "$(home fails)/self-test")"
becomes 10 'fails: xl list shows a crash' sh -c "xl list fails | grep -qE ' [a-z-]{4}c[a-z-] '"
xl destroy fails

# What crashes under on_crash = restart comes up again.
trial again fail
sed -i 's/^on_crash.*/on_crash = "restart"/' again.cfg
xl create -q again.cfg
becomes 30 'again: comes up again after a crash' sh -c \
    '[ "$(grep -c "^xenstore-stubdom .*: domain" /var/log/xen/console/guest-again.log)" -ge 2 ]'
until xl destroy again 2>/dev/null; do usleep 200000; done
checks_done
