# The life of one guest beside another, for scripts/record: the store's log of it is what counts. Marks in the
# log say where the host is ready, where the guest's start and its end begin, and where all is over.
# shellcheck source=/dev/null
. /nested/lib.sh

fail() { echo "$*" && exit 1; }
mark() { xenstore-control print "recording: $1" >/dev/null || fail 'the store does not log'; }
console_says() { grep -q "$2" "/var/log/xen/console/guest-$1.log"; }

# start_guest NAME: no xl stays behind to wait for the end. One that does adds a watch on @releaseDomain for each
# guest, of which all are told of each end.
start_guest() {
    xl create -e "$1.cfg" || fail "xl create $1 failed"
    wait_for 120 console_says "$1" 'guest: waits' || fail "$1 did not come up"
    console_says "$1" 'guest: has its devices' || fail "$1 has no devices"
    sleep 2
}

# Hotplug scripts that do only what makes devices connect: disks and interfaces here lead nowhere.
for module in /modules/devices/*.ko; do insmod "$module" || fail "$module cannot be inserted"; done
mkdir -p /etc/xen/scripts
cat >/etc/xen/scripts/block <<'SCRIPT'
#!/bin/sh
case $1 in
    add) xenstore-write "$XENBUS_PATH/physical-device" 7:0 "$XENBUS_PATH/hotplug-status" connected ;;
    online) xenstore-write "$XENBUS_PATH/hotplug-status" connected ;;
esac
SCRIPT
chmod +x /etc/xen/scripts/block
ln -s block /etc/xen/scripts/vif-bridge
dd if=/dev/zero of=/tmp/disk bs=1M count=1 2>/dev/null
losetup -r /dev/loop0 /tmp/disk || fail 'no loop device'

cat >/tmp/devices <<'SCRIPT'
for module in /modules/devices/*.ko; do insmod "$module"; done
until [ -e /sys/class/net/eth0 ] && [ -e /sys/class/block/xvda ]; do usleep 100000; done
ifconfig eth0 10.0.0.1 up
dd if=/dev/xvda of=/dev/null bs=4k count=1 2>/dev/null && echo 'guest: has its devices'
SCRIPT
for name in resident guest; do
    make_guest "$name" /tmp/devices
    cat >>"$name.cfg" <<CONFIG
disk = ["phy:/dev/loop0,xvda,r"]
vif = ["mac=00:16:3e:00:00:01"]
CONFIG
done

mark host
start_guest resident
# Each domain that Xen refuses uses up a domid. The guest's is then a number that means nothing else.
sed '$a max_grant_frames = 0' guest.cfg >refused.cfg
for _ in $(seq 60); do xl create -q refused.cfg 2>/dev/null && fail 'a domain was not refused'; done

mark start
start_guest guest
mark stop
xl destroy guest || fail 'xl destroy failed'
sleep 2
mark end
