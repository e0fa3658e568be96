# nested: --memory 8 --maxmem 128 --add tests/nested/long/crowd.c --add examples/scale/guest.txt --ram 2000 --limit 2400
# A host that starts with a store of 8 MiB comes to 1,000 guests: none of what makes them is refused, the store grows on the
# way, has all afterwards, is updated with them, and is sound when they have gone. They are domains that never run.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

GUESTS=1000

# figure NAME: of what the store counts.
figure() { xenstore-control stats totals | awk -v name="$1" '$1 == name && $2 == ":" { print $3 }'; }

# nodes COLUMN: of the store's, how many are used (2), have been at most (3), and can be (4).
nodes() { xenstore-control stats | awk -v column="$1" '$1 == "nodes" && NF == 4 { print $column }'; }

# guests: how many domains the store serves beside dom0 and itself.
guests() { xenstore-list /local/domain | grep -vcxE "0|$store"; }

store=$(xenstore-read /tool/xenstored/domid)
echo "# $(figure ram-kib) KiB, room for $(nodes 4) nodes, $(nodes 2) used; Xen has $(xl info | awk '$1 == "free_memory" { print $3 }') MiB"
ids=$(/nested/crowd make $GUESTS "$store" /nested/guest.txt 2>&1)
matches 'no request of all their starts is refused' '^[0-9]+ [0-9]+$' "$ids"
echo "# $(figure ram-kib) KiB, room for $(nodes 4) nodes, $(nodes 2) used; Xen has $(xl info | awk '$1 == "free_memory" { print $3 }') MiB"
cat /var/log/xen/console/*enstore* | tr -d '\r' | grep 'has grown' | sed 's/^/# /'
equal 'the store lists them' $GUESTS "$(guests)"
# shellcheck disable=SC2086  # two words
equal 'it has what is theirs' $GUESTS "$(/nested/crowd look $ids)"
equal 'each has its nodes' '' "$([ "$(nodes 2)" -ge $((GUESTS * 178)) ] || echo "$(nodes 2) nodes")"
says 'it is sound' OK xenstore-control check
says 'it is updated with all of them' '' xenstore-control live-update /nested/image
# shellcheck disable=SC2086  # two words
equal 'it has what is theirs afterwards' $GUESTS "$(/nested/crowd look $ids)"
# shellcheck disable=SC2086  # two words
says 'they end' '' /nested/crowd end $ids
becomes 240 'none of them is introduced any more' sh -c '[ "$(xenstore-control stats domains 2>/dev/null | grep -c .)" -lt 6 ]'
says 'it is sound when they have gone' OK xenstore-control check
checks_done
