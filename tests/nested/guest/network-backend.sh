# Runs in a guest that is a driver domain: puts other guests' interfaces on a bridge of its own, and does for each what
# xl devd does in a driver domain with xl.
for module in /modules/network/*.ko; do insmod "$module"; done
ip link add xenbr0 type bridge && ip address add 192.0.2.1/24 dev xenbr0 && ip link set xenbr0 up
xenstore-watch backend/vif | while read -r path; do
    case $path in */state) ;; *) continue ;; esac
    device=${path%/state}
    number=${device##*/}
    front=${device%/*}
    interface=vif${front##*/}.$number
    # 2 is XenbusStateInitWait: the kernel has made the interface. 6 is XenbusStateClosed: the kernel's end is done.
    case $(xenstore-read "$device/state" "$device/online" 2>/dev/null | xargs) in
        '2 1') ip link set "$interface" up master xenbr0 && xenstore-write "$device/hotplug-status" connected ;;
        '6 0') xenstore-rm "$device" ;;
    esac
done &
