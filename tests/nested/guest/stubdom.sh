#!/bin/sh
# The first program of a domain that is the device model of an HVM guest: QEMU runs here, by the rights that this domain
# has for its target. libxl gives it QEMU's arguments in the store, and speaks to its monitor through a vchan.

export PATH=/usr/sbin:/usr/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
# Not to the console: a newer QEMU in dom0 does not serve the first one of a domain like this, and who writes much to it
# waits for ever.
exec </dev/null >/run/said 2>&1
# A domain other than dom0 may only make a few hypercalls for its target unless this module is told otherwise; QEMU asks
# Xen for more than these, and Xen itself sees that it does so for its target only.
insmod /modules/*-xen-privcmd.ko unrestricted=1
for module in /modules/*-xen-evtchn.ko /modules/*-xenfs.ko /modules/stubdom/*.ko; do insmod "$module"; done
mount -t xenfs xenfs /proc/xen
# QEMU reserves more than this domain has for its table of what it maps of the guest, and uses little of it.
echo 1 >/proc/sys/vm/overcommit_memory

target=$(xenstore-read target)
target_home=/local/domain/$target
# Its target's node, which is the target's own and nobody else's to read.
vm=$(xenstore-read "$target_home/vm")

xenstore-write "$target_home/data/model" "written by domain $(xenstore-read domid)"
for path in /local/domain/0/name /local/domain/0/data "$target_home/name"; do
    xenstore-write "$path" forged 2>/dev/null || refused="$refused $path"
done
xenstore-write data/refused "${refused# }"

for number in $(xenstore-list "$vm/image/dm-argv" | sort); do
    set -- "$@" "$(xenstore-read "$vm/image/dm-argv/$number")"
done
# The proxy connects to QEMU when libxl has connected to the proxy, which it does only once QEMU runs.
vchan-socket-proxy --mode=server 0 "/local/domain/$(xenstore-read domid)/device-model/$target/qmp-vchan" /run/monitor &
xen-qemu-system-i386 "$@" -chardev socket,id=monitor,path=/run/monitor,server=on,wait=off -mon chardev=monitor,mode=control
poweroff -f
