# nested: --dom0 debian --guests --add tests/nested/guest/commands.sh:nested/commands.sh
# servers: stubdom daemon
# libvirt, as Debian has it, on this store: a guest's whole life by virsh. Each time both sides are looked at, what
# libvirt says and what Xen, the store and the guest do.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/debian.sh

export LIBVIRT_DEFAULT_URI=xen:///system LC_ALL=C.UTF-8

# dominfo FIELD: what virsh dominfo says of alpha.
dominfo() { virsh dominfo alpha | sed -n "s/^$1: *//p"; }
is_state() { [ "$(dominfo State)" = "$1" ]; }
seen=0
new_event() { tail -n +$((seen + 1)) /tmp/events | grep -q "event 'lifecycle' for domain '\\?alpha'\\?: $1\$"; }
# event TEXT WORDS: virsh event has told it of alpha since the last check.
event() {
    becomes 30 "$1: libvirt tells the event" new_event "$2"
    seen=$(wc -l </tmp/events)
}
answers() { [ "$(in_guest alpha 'xenstore-read name')" = alpha ]; }

equal 'the store is served by' "$SERVER" "$(server_kind)"
host_started 'the host has started all its services'
# Debian starts libvirtd without regard to Xen's init script; where it was first, it manages no Xen.
quietly 'libvirtd starts where Xen is up' systemctl restart libvirtd
becomes 120 'virsh connects' virsh version
matches 'virsh version: by Xen' "^Running hypervisor: Xen $XEN" "$(virsh version)"
matches 'virsh capabilities: PVH guests' "machine.*xenpvh" "$(virsh capabilities)"
matches 'virsh list: dom0' '^ 0 +Domain-0 +running' "$(virsh list)"
# what_is_new: in the store, beside the directories of all guests, which the first one leaves.
xenstore-ls -fp >/tmp/before
what_is_new() { xenstore-ls -fp | diff /tmp/before - | grep '^[<>]' | grep -vE '^> /(vm|libxl) = ""'; }
as_before() { [ -z "$(what_is_new)" ]; }

# Line by line, which it does not do into a file by itself.
stdbuf -oL virsh event --all --loop >/tmp/events 2>&1 &
watcher=$!

make_commands_guest alpha
quietly 'define: virsh reads what xl does' sh -c 'virsh domxml-from-native xen-xl alpha.cfg >alpha.xml'
quietly 'define' virsh define alpha.xml
event 'define' 'Defined Added'
matches 'define: virsh list' '^ - +alpha +shut off' "$(virsh list --all)"
refuses 'define: xl knows nothing of it' xl domid alpha

quietly 'create' virsh start alpha
event 'create' 'Started Booted'
id=$(xl domid alpha)
equal 'create: one domid for both' "$id" "$(virsh domid alpha)"
says 'create: the store knows its name' alpha xenstore-read "/local/domain/$id/name"
boots 300 'create: it boots' alpha
says 'create: it has found its name' 'from alpha' xenstore-read "/local/domain/$id/data/hello"
matches 'list' "^ $id +alpha +(running|idle)" "$(virsh list)"
equal 'dominfo: the name' alpha "$(dominfo Name)"
equal 'dominfo: the type' xenpvh "$(dominfo 'OS Type')"
equal 'dominfo: its processors' 1 "$(dominfo 'CPU(s)')"
equal 'dominfo: its memory' '131072 KiB' "$(dominfo 'Max memory')"
equal 'dominfo: the id of the store' "/vm/$(dominfo UUID)" "$(xenstore-read "/local/domain/$id/vm")"

quietly 'suspend' virsh suspend alpha
event 'suspend' 'Suspended Paused'
equal 'suspend: virsh domstate' paused "$(virsh domstate alpha | head -n 1)"
matches 'suspend: xl says so' p "$(state alpha)"
xenstore-write "/local/domain/$id/data/ask" asleep
sleep 2
refuses 'suspend: it does not answer' xenstore-read "/local/domain/$id/data/answer"
quietly 'resume' virsh resume alpha
event 'resume' 'Resumed Unpaused'
matches 'resume: virsh domstate' '^(running|idle)$' "$(virsh domstate alpha | head -n 1)"
becomes 60 'resume: the event has waited for it' xenstore-exists "/local/domain/$id/data/answer"
says 'resume: it answers' "alpha, domain $id, heard asleep" xenstore-read "/local/domain/$id/data/answer"

in_guest alpha 'echo 4711 >/kept' >/dev/null
quietly 'save' virsh save alpha /root/alpha.save
event 'save' 'Stopped Saved'
matches 'save: virsh list' '^ - +alpha +shut off' "$(virsh list --all)"
refuses 'save: xl knows nothing of it' xl domid alpha
becomes 60 'save: nothing of it stays' traceless "$id"
quietly 'restore' virsh restore /root/alpha.save
event 'restore' 'Started Restored'
again=$(xl domid alpha)
equal 'restore: another domid, for both' "$again" "$(virsh domid alpha)"
matches 'restore: a greater one' '^yes$' "$([ "$again" -gt "$id" ] && echo yes)"
says 'restore: the store knows its name' alpha xenstore-read "/local/domain/$again/name"
becomes 120 'restore: it asks its store again' answers
equal 'restore: it goes on where it was' 4711 "$(in_guest alpha 'cat /kept')"

quietly 'shutdown' virsh shutdown alpha
becomes 120 'shutdown: virsh domstate' is_state 'shut off'
event 'shutdown' 'Stopped Shutdown'
matches 'shutdown: it was told by the store' 'guest: told to power off' "$(cat /var/log/xen/console/guest-alpha.log)"
becomes 60 'shutdown: nothing of it stays' traceless "$again"
refuses 'shutdown: xl knows nothing of it' xl domid alpha

quietly 'create again' virsh start alpha
event 'create again' 'Started Booted'
id=$(xl domid alpha)
boots 300 'create again: it boots' alpha
quietly 'destroy' virsh destroy alpha
event 'destroy' 'Stopped Destroyed'
equal 'destroy: virsh domstate' 'shut off' "$(virsh domstate alpha | head -n 1)"
refuses 'destroy: xl knows nothing of it' xl domid alpha
becomes 60 'destroy: nothing of it stays' traceless "$id"

quietly 'undefine' virsh undefine alpha
event 'undefine' 'Undefined Removed'
refuses 'undefine: nobody has its name' virsh dominfo alpha
kill "$watcher"
becomes 60 'the store is as before' as_before
what_is_new
checks_done
