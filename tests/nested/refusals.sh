# nested: --guests --limit 240 --add tests/nested/guest/refusals.sh:nested/refusals-guest.sh
# once: 4.20
# A guest cannot reach what is another domain's: every request that would is refused with EACCES, and
# nothing has changed afterwards. The requests are made inside the guest; see guest/refusals.sh.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

make_guest victim
make_guest intruder /nested/refusals-guest.sh
console=/var/log/xen/console/guest-intruder.log

xl create victim.cfg >/dev/null || failed 'xl create'
victim=$(xl domid victim)
becomes 90 'victim: is up' xenstore-exists "/local/domain/$victim/data/hello"
xenstore-write /tool/secret hidden
before=$(xenstore-ls -fp "/local/domain/$victim")

xl create -p intruder.cfg >/dev/null || failed 'xl create -p'
intruder=$(xl domid intruder)
xenstore-write "/local/domain/$intruder/data/victim" "$victim"
xl unpause intruder

becomes 120 'intruder: came to its end' grep -q '^checks: done' "$console"
# The guest's own checks are part of this test's.
tr -d '\r' <"$console" | sed -n '/^guest: intruder said hello/,/^checks: done/p' | grep -v -e '^guest:' -e '^checks:' >/tmp/said
sed 's/^\(not ok\|ok\) - /&intruder: /' /tmp/said
checks_failed=$((checks_failed + $(grep -c '^not ok' /tmp/said)))
matches 'intruder: made its checks' '^ok - ' "$(cat /tmp/said)"

equal 'victim: has all its nodes, unchanged' "$before" "$(xenstore-ls -fp "/local/domain/$victim")"
xenstore-exists /made-by-intruder
equal 'nothing was made elsewhere' 1 $?

# A watch can be set on anything; what it must not do is tell.
xenstore-write "/local/domain/$victim/data/ask" 1
becomes 20 'victim: answers as before' xenstore-exists "/local/domain/$victim/data/answer"
xenstore-write "/local/domain/$intruder/data/ask" 1
becomes 20 'intruder: answers, so it had time for events' xenstore-exists "/local/domain/$intruder/data/answer"
equal 'intruder: its watch on the victim told nothing' '' "$(grep 'watch: .*/data/ask' "$console")"
checks_done
