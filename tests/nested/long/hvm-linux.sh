# nested: --dom0 full --guests --limit 900 --add tests/nested/guest/commands.sh:nested/commands.sh
# servers: stubdom daemon
# A Linux HVM guest whose device model is QEMU in dom0: a disk that QEMU serves, a cdrom whose discs change, a network
# interface on a bridge, memory. It is saved and restored, rebooted, switched off and destroyed, and nothing of it stays.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/hvm.sh

MAC=00:16:3e:12:34:56
other_domid() { [ "$(xl domid lin)" -gt "$1" ]; }
gone() { ! xl domid lin; }
# states KIND DEVID: of both ends of a device of the guest's.
states() {
    local front
    front=/local/domain/$(xl domid lin)/device/$1/$2
    xenstore-read "$(xenstore-read "$front/backend")/state" "$front/state" | paste -sd ' '
}
connected() { [ "$(states "$@")" = '4 4' ]; }
monitor() { xl qemu-monitor-command lin "$1" | tr -d '\r'; }
# first_line FILE: of a file or device in the guest.
first_line() { in_guest lin "dd if=$1 bs=512 count=1 2>/dev/null | head -n 1"; }
reads_disc() { [ "$(first_line /dev/sr0)" = "$1" ]; }
insert() { in_guest lin "for m in /modules/$1/*.ko; do insmod \$m; done; true"; }
ballooned() { in_guest lin 'cat /sys/devices/system/xen_memory/xen_memory0/info/current_kb'; }
balloon_below() { [ "$(ballooned)" -lt "$1" ]; }

# disk FILE WORDS: a file of 4 MiB that begins with the words.
disk() {
    dd if=/dev/zero of="$1" bs=1M count=4 2>/dev/null
    echo "$2" | dd of="$1" conv=notrunc 2>/dev/null
}
disk /tmp/disk 'the disk of dom0'
disk /tmp/second 'the second disk'
disk /tmp/one.iso 'the first disc'
disk /tmp/two.iso 'the second disc'
ip link add xenbr0 type bridge
ip link set xenbr0 up

make_hvm_guest lin
guest_modules lin cdrom ata_piix sr_mod
cat >>lin.cfg <<CONFIG
disk = [
    "format=raw, vdev=xvda, access=rw, backendtype=qdisk, target=/tmp/disk",
    "format=raw, vdev=hdc, access=ro, devtype=cdrom, target=/tmp/one.iso"
]
vif = ["mac=$MAC, bridge=xenbr0"]
CONFIG
nodes >/tmp/before

xl create -q lin.cfg || failed 'xl create'
boots 400 'it boots' lin
first=$(xl domid lin)
says 'device model: its state' running device_model lin
matches 'monitor: its answer arrives' '^VM status: running' "$(monitor 'info status')"
matches 'monitor: QEMU has opened the disk' '/tmp/disk' "$(monitor 'info block')"

insert devices
becomes 60 'disk: both ends are connected' connected vbd 51712
equal 'disk: the guest reads what dom0 has written' 'the disk of dom0' "$(first_line /dev/xvda)"
in_guest lin 'echo written by the guest | dd of=/dev/xvda conv=notrunc; sync' >/dev/null
equal 'disk: dom0 reads what the guest has written' 'written by the guest' "$(head -n 1 /tmp/disk)"

becomes 60 'network: both ends are connected' connected vif 0
equal 'network: the guest has its address' $MAC "$(in_guest lin 'cat /sys/class/net/eth0/address')"
equal 'network: Debian'\''s script has put it on the bridge' "vif$first.0" \
    "$(basename "$(readlink -f "/sys/class/net/xenbr0/lower_vif$first.0")")"
matches 'network-list: names it' "^0 +0 +$MAC +0 +4 " "$(xl network-list lin)"

insert cdrom
equal 'cdrom: the guest reads the disc' 'the first disc' "$(first_line /dev/sr0)"
says 'cd-eject' '' xl cd-eject lin hdc
says 'cd-eject: the store names no disc' '' xenstore-read "/libxl/$first/device/vbd/5632/params"
equal 'cd-eject: the guest has none' '' "$(first_line /dev/sr0)"
says 'cd-insert' '' xl cd-insert lin hdc /tmp/two.iso
equal 'cd-insert: the store names the other disc' aio:/tmp/two.iso \
    "$(xenstore-read "/libxl/$first/device/vbd/5632/params")"
# The drive's first answer after a change is that there was one.
becomes 60 'cd-insert: the guest reads the other disc' reads_disc 'the second disc'

xl block-attach lin 'format=raw, vdev=xvdb, access=rw, backendtype=qdisk, target=/tmp/second' >/tmp/attach 2>&1
equal 'block-attach' 0 $?
becomes 60 'block-attach: both ends are connected' connected vbd 51728
equal 'block-attach: the guest reads it' 'the second disk' "$(first_line /dev/xvdb)"
matches 'block-list: names it' "^51728 +0 +$first +4 " "$(xl block-list lin)"
says 'block-detach' '' xl block-detach lin xvdb
becomes 60 'block-detach: the guest has it no more' \
    sh -c "! xenstore-exists /local/domain/$first/device/vbd/51728 && ! xenstore-exists /local/domain/0/backend/qdisk/$first/51728"
equal 'block-detach: its kernel says so, too' 'gone' "$(in_guest lin 'test -e /dev/xvdb || echo gone')"

says 'mem-set: less' '' xl mem-set lin 128
becomes 60 'mem-set: its balloon follows' balloon_below $((133 * 1024))
says 'mem-set: the store says so' 131072 xenstore-read "/local/domain/$first/memory/target"

xl save lin /tmp/saved >/tmp/save 2>&1
equal 'save' 0 $?
refuses 'save: it is gone' xl domid lin
becomes 20 'save: nothing of it stays' traceless "$first"
xl restore /tmp/saved >/tmp/restore 2>&1
equal 'restore' 0 $?
rm /tmp/saved
second=$(xl domid lin)
says 'restore: it has another device model' running device_model lin
equal 'restore: it sees its new domid' "$second" "$(in_guest lin 'xenstore-read domid')"
becomes 60 'restore: its disk is connected again' connected vbd 51712
equal 'restore: it reads its disk' 'written by the guest' "$(in_guest lin 'echo 1 >/proc/sys/vm/drop_caches; head -n 1 /dev/xvda')"
becomes 60 'restore: its network is connected again' connected vif 0
becomes 60 'restore: the disc is in the drive' reads_disc 'the second disc'

says 'reboot' "Rebooting domain $second" xl reboot lin
becomes 120 'reboot: it is another domain now' other_domid "$second"
third=$(xl domid lin)
boots 400 'reboot: it boots' lin
becomes 20 'reboot: nothing stays of the domain that it was' traceless "$second"
says 'shutdown' "Shutting down domain $third" xl shutdown lin
becomes 120 'shutdown: it has gone' gone

xl create -q -p lin.cfg || failed 'xl create once more'
fourth=$(xl domid lin)
says 'destroy' '' xl destroy lin
becomes 60 'nothing stays of it in the store' same_nodes /tmp/before
same_nodes /tmp/before || nodes | diff /tmp/before - | sed 's/^/# /'
becomes 20 'nor does a device model run' sh -c '! pgrep xen-qemu-system'
equal 'nor has any of the domains a trace' '' "$(traces "$first" "$second" "$third" "$fourth")"
equal 'nor is anything left on the bridge' '' "$(ls -d /sys/class/net/xenbr0/lower_* 2>/dev/null)"
checks_done
