# Runs in a guest that is a driver domain: serves a disk of its own to other guests, and does for each what xl devd
# does in a driver domain with xl.
for module in /modules/backends/*.ko; do insmod "$module"; done
dd if=/dev/zero of=/tmp/disk bs=1M count=4 2>/dev/null
mke2fs -F /tmp/disk >/dev/null 2>&1 && losetup /dev/loop0 /tmp/disk
xenstore-watch backend/vbd | while read -r path; do
    device=${path%/*}
    case $path in
        */params) xenstore-write "$device/physical-device" 7:0 "$device/hotplug-status" connected ;;
        */state)
            # 6 is XenbusStateClosed: the kernel's end is done.
            if [ "$(xenstore-read "$device/state" "$device/online" 2>/dev/null | xargs)" = '6 0' ]; then
                xenstore-rm "$device"
            fi
            ;;
    esac
done &
