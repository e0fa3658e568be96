# nested: --memory 64 --limit 300 --stub-arg --param --stub-arg --evtchn=2l --add tests/nested/upstream-test.sh
# once: 4.20
# The store also works with the event channels that every Xen has, 2-level ones, and with much memory.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

matches 'the image says that it uses them' 'event channels: 2-level, 4096 ports, as asked for' "$(xl dmesg)"
. /nested/upstream-test.sh
