# nested: --dom0 full --limit 420
# servers: stubdom daemon
# Guests with screens and USB controllers: xl finds in the store where each screen is, and a screen is really there;
# a controller comes and goes beside it. Without passwords, for which Debian's device model lacks the cipher.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh

# screen NAME LINE...: a guest without a disk, whose firmware shows that it has none.
screen() {
    local name=$1
    shift
    printf '%s\n' "name = \"$name\"" 'type = "hvm"' 'memory = 32' 'vnc = 1' 'on_crash = "preserve"' "$@" >"$name.cfg"
}

# greets PORT: what a screen says first to who comes, by its protocol.
greets() { timeout 10 bash -c "exec 5<>/dev/tcp/127.0.0.1/$1 && head -c 12 <&5"; }

# A viewer that tells what it was asked for.
cat >/usr/bin/vncviewer <<'VIEWER'
#!/bin/sh
echo "$@" >/tmp/viewer
VIEWER
chmod +x /usr/bin/vncviewer
ip link set lo up

screen first
screen second
screen third 'vncunused = 0' 'vncdisplay = 17'
for name in first second third; do
    xl create -q $name.cfg || failed "$name: xl create" "$(tail -n 5 /var/log/xen/qemu-dm-$name.log)"
done
first=$(xl domid first)
second=$(xl domid second)
third=$(xl domid third)
at() { xenstore-read "/local/domain/$1/console/$2"; }
equal 'first: the store has its port' 5900 "$(at "$first" vnc-port)"
equal 'second: the store has the next one' 5901 "$(at "$second" vnc-port)"
equal 'third: the store has the one that was asked for' 5917 "$(at "$third" vnc-port)"
equal 'first: the store has where it listens' 127.0.0.1 "$(at "$first" vnc-listen)"
for port in 5900 5901 5917; do becomes 30 "port $port: there is a screen" sh -c "exec 5<>/dev/tcp/127.0.0.1/$port"; done
for port in 5900 5901 5917; do equal "port $port: it greets" 'RFB 003.008' "$(greets $port)"; done

xl vncviewer first
equal 'xl vncviewer: finds the first' 127.0.0.1:0 "$(cat /tmp/viewer)"
xl vncviewer second
equal 'xl vncviewer: finds the second' 127.0.0.1:1 "$(cat /tmp/viewer)"
xl vncviewer third
equal 'xl vncviewer: finds the third' 127.0.0.1:17 "$(cat /tmp/viewer)"

usb() { xl usb-list "$1" | awk 'NR > 1 && $1 ~ /^[0-9]+$/'; }
says 'usbctrl-attach: one of the device model' '' xl usbctrl-attach first type=devicemodel version=2
matches 'usb-list: it is there' '^0 +devicemodel +0 +[0-9]+ +2 ' "$(usb first)"
matches 'usbctrl-attach: the device model has it' 'ehci' \
    "$(xl qemu-monitor-command first 'info qtree')"
matches 'usbctrl-attach: the store has it' '/device/vusb/0/type = "devicemodel"' "$(xenstore-ls -f "/libxl/$first/device/vusb")"
says 'usbctrl-detach' '' xl usbctrl-detach first 0
equal 'usbctrl-detach: the store has it no more' '' "$(xenstore-ls -f "/libxl/$first" | grep vusb/0)"

for guest in first second third; do says "$guest: xl destroy" '' xl destroy $guest; done
becomes 30 'nothing of them stays' traceless "$first" "$second" "$third"
refuses 'xl vncviewer: of a guest that is gone' xl vncviewer first
checks_done
