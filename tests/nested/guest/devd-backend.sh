# Runs in a guest that is a driver domain: xl itself serves the disk /tmp/disk to other guests.
for module in /modules/backends/*.ko; do insmod "$module"; done
dd if=/dev/zero of=/tmp/disk bs=1M count=4 2>/dev/null
mke2fs -F /tmp/disk >/dev/null 2>&1 && losetup /dev/loop0 /tmp/disk
mkdir -p /var/lib/xen /var/log/xen /run/xen
xl -vvv devd -F >/tmp/devd 2>&1 &
xenstore-write data/devd started
