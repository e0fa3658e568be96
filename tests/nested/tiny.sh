# nested: --add target/xs-guest --add tests/nested/handle.c --limit 240
# Tiny guests that behave: each finds the host's store, works on it in its own way and goes when told to.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

others=$(xenstore-list /local/domain)

# Milliseconds from creation to the first words in the store.
tiny one hello
begin=$(now)
xl create -q one.cfg || failed 'one: xl create'
created=$(now)
one=$(xl domid one)
wait_for 30 xenstore-exists "/local/domain/$one/data/hello"
echo "one: xl create took $((created - begin)) ms, then it said hello within $(($(now) - created)) ms"
becomes 10 'one: said hello' says_hello one
matches 'one: has 2 MiB' '^one +[0-9]+ +2 ' "$(xl list)"
matches 'one: says so on its console' '^hello: began' "$(console one)"
matches 'one: owns what it wrote' "^hello .*\\(n$one\\)\$" "$(xenstore-ls -p "/local/domain/$one/data")"
xl shutdown -w one >/dev/null 2>&1
becomes 20 'one: goes when it is told to' sh -c '! xl domid one'
matches 'one: says goodbye' '^hello: bye' "$(console one)"
becomes 10 'one: leaves nothing' gone "$one"

# Several at once, each with work that tells whether the store serves it rightly: nothing may be refused, be without
# an answer, be answered wrongly, or lack an event.
tiny two load rounds=200 watches=3 stay
tiny three load rounds=200 rate=100 writes=10 watches=1 stay
tiny four reconnect rounds=50 stay
tiny five hvmloader-reset rounds=100 stay
for name in two three four five; do xl create -q $name.cfg || failed "$name: xl create"; done
for name in two three four five; do
    becomes 60 "$name: came to its end" has_ended $name
    last=$(console $name | grep ': ended' | tail -n 1)
    matches "$name: all was answered as it must be" 'rounds, 0 refused, 0 silent, 0 wrong,' "$last"
    echo "$name: $last"
done
for name in two three; do
    equal "$name: got each event" "$(events_due $name)" "$(events_seen $name)"
done
says 'the store is consistent' OK xenstore-control check

# What Xen names a domain by to toolstacks may change in its life. Whoever dies then, it goes on with what it had.
three=$(xl domid three)
says 'three: has another handle' '' /nested/handle "$three"
says 'two: xl destroy' '' xl destroy two
matches 'three: owns what it owned' "^data .*\\(n$three\\)\$" "$(xenstore-ls -p "/local/domain/$three")"
says 'the store is consistent after that' OK xenstore-control check
for name in three four five; do says "$name: xl destroy" '' xl destroy $name; done
becomes 20 'nothing of them stays' only_these "$others"

tiny wrong nonsense
xl create -q wrong.cfg
becomes 10 'an unknown role is refused with what is allowed' sh -c \
    "grep -q '^no role \"nonsense\"; allowed: hello load ' /var/log/xen/console/guest-wrong.log"
checks_done
