# nested: --guests --limit 300 --add tests/nested/guest/commands.sh:nested/commands.sh
# One guest's life, by what an operator does with it: started paused, renamed, made smaller, left with one
# processor, listened to, crashed. Each time both sides are looked at, the guest's and xl's.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh

ballooned() { in_guest "$1" 'cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb'; }
# A guest keeps a little less than its target, which counts what Xen itself holds for it.
near() { [ "$1" -gt $(($2 - 4096)) ] && [ "$1" -lt $(($2 + 4096)) ]; }
balloon_near() { near "$(ballooned "$1")" "$2"; }

make_commands_guest alpha
sed -i 's/^vcpus.*/vcpus = 2/; s/^on_crash.*/on_crash = "destroy"/' alpha.cfg

contains 'create: xl takes the configuration' 'Parsing config from alpha.cfg' "$(xl create -p alpha.cfg 2>&1 || echo failed)"
first=$(xl domid alpha)
equal 'domname: is what it was created with' alpha "$(xl domname "$first")"
equal 'create: is paused' --p--- "$(state alpha)"
says 'create: the store knows its name' alpha xenstore-read "/local/domain/$first/name"
says 'unpause' '' xl unpause alpha
boots 180 'unpause: it boots' alpha

says 'pause' '' xl pause alpha
# Its processors may be blocked besides.
matches 'pause: xl says so' p "$(state alpha)"
xenstore-write "/local/domain/$first/data/ask" asleep
sleep 1
refuses 'pause: it does not answer' xenstore-read "/local/domain/$first/data/answer"
says 'unpause again' '' xl unpause alpha
becomes 20 'unpause: the event has waited for it' xenstore-exists "/local/domain/$first/data/answer"
says 'unpause: it answers' "alpha, domain $first, heard asleep" xenstore-read "/local/domain/$first/data/answer"

says 'rename' '' xl rename alpha beta
says 'rename: beta has its domid' "$first" xl domid beta
refuses 'rename: nobody is alpha' xl domid alpha
equal 'rename: it sees its new name' beta "$(in_guest beta 'xenstore-read name')"

says 'mem-set: less' '' xl mem-set beta 100
becomes 20 'mem-set: its balloon follows' balloon_near beta 102400
equal 'mem-set: xl list follows' 100 "$(memory beta)"
says 'mem-max' '' xl mem-max beta 160
says 'mem-max: is in the store' 163840 xenstore-read "/local/domain/$first/memory/static-max"
says 'mem-set: as before' '' xl mem-set beta 128
becomes 20 'mem-set: its balloon follows back' balloon_near beta 131072

cpus() { in_guest beta 'cat /sys/devices/system/cpu/online'; }
one_cpu() { [ "$(cpus)" = 0 ]; }
equal 'vcpu-set: it begins with two' 0-1 "$(cpus)"
says 'vcpu-set: one' '' xl vcpu-set beta 1
becomes 20 'vcpu-set: it takes the other out' one_cpu
says 'vcpu-set: the store says so' offline xenstore-read "/local/domain/$first/cpu/1/availability"
says 'vcpu-set: two' '' xl vcpu-set --ignore-host beta 2
use_cpu='cd /sys/devices/system/cpu; until [ -e cpu1/online ]; do usleep 200000; done; echo 1 >cpu1/online; cat online'
equal 'vcpu-set: it has both again' 0-1 "$(in_guest beta "$use_cpu")"

says 'sysrq' '' xl sysrq beta s
becomes 20 'sysrq: its kernel obeys' grep -q 'sysrq: Emergency Sync' /var/log/xen/console/guest-alpha.log
in_guest beta 'echo these words >/dev/hvc0' >/dev/null
becomes 10 'console: xenconsoled has it in its log' grep -q 'these words' /var/log/xen/console/guest-alpha.log
xl console beta </dev/null >/tmp/console 2>&1 &
becomes 10 'console: xl shows what was said' grep -q 'these words' /tmp/console
kill $! 2>/dev/null

in_guest beta 'echo 1 >/proc/sys/kernel/sysrq' >/dev/null
says 'crash' '' xl sysrq beta c
becomes 30 'crash: on_crash has it destroyed' sh -c "! xenstore-exists /local/domain/$first"
matches 'crash: xl was told the reason' "Domain $first has shut down, reason code 3" "$(cat /var/log/xen/xl-*.log)"
refuses 'crash: nobody has its name' xl domid beta
becomes 10 'crash: nothing of it stays' traceless "$first"
checks_done
