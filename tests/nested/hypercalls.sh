# nested: --icount --add tests/nested/calls.c
# What a request costs in calls of the hypervisor: one notification and one sleep, and so do many that come at
# once. The server's own counts tell, and say how it is told of events.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

matches 'the event channels are FIFO ones' 'event channels: FIFO, 1024 ports$' "$(xl dmesg)"
stats=$(xenstore-control stats)
matches 'stats: tells the requests served' '^requests +: +[1-9][0-9]*$' "$stats"
matches 'stats: tells the notifications sent' '^notify +: +[1-9][0-9]*$' "$stats"
matches 'stats: is listed' '^stats ' "$(xenstore-control help)"

# What dom0 starts after its store is still at work for a moment.
sleep 4
calls=$(/nested/calls "$(xenstore-read /tool/xenstored/domid)")
equal 'all requests are accounted for' 0 $?
printf '%s\n' "$calls" | sed 's/^/# /'
for row in 'lone request' 'burst of 20 requests'; do
    contains "$row: one notification" "$row|notify|1.00" "$calls"
    contains "$row: one sleep" "$row|idle|1.00" "$calls"
    contains "$row: no timer" "$row|timer|0.00" "$calls"
    contains "$row: nothing else" "$row|other-hypercalls|0.00" "$calls"
done
# Linux announces a request when it has written the header; the server may get to run before the rest is there.
contains 'however it is written: one notification' 'request as Linux writes it|notify|1.00' "$calls"
checks_done
