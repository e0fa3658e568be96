# nested: --dom0 full --limit 600
# servers: stubdom daemon
# once: 4.17
# An HVM guest without any driver of Xen's: hvmloader finds in the store which firmware it is to load, SeaBIOS boots a
# sector of ours from a disk that Debian's block script has set up, and QEMU is its device model. It is reset, switched
# off and destroyed, and nothing of it stays.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/hvm.sh

dd if=/dev/zero of=/tmp/disk bs=1M count=1 2>/dev/null
boot_sector | dd of=/tmp/disk conv=notrunc 2>/dev/null
cat >hello.cfg <<'CONFIG'
name = "hello"
type = "hvm"
memory = 32
disk = ["format=raw, vdev=hda, access=rw, target=/tmp/disk"]
serial = "file:/tmp/serial"
vga = "none"
CONFIG

says_hello() { tr -d '\r' </tmp/serial | grep -qx 'hello from a boot sector'; }
other_domid() { [ "$(xl domid hello)" -gt "$1" ]; }
gone() { ! xl domid hello; }

nodes >/tmp/before
xl create -q hello.cfg || failed 'xl create'
id=$(xl domid hello)
home=/local/domain/$id
backend=/local/domain/0/backend/vbd/$id/768
becomes 90 'the boot sector says hello' says_hello
matches 'hvmloader found its ring' "\\(d$id\\) Xenbus rings @" "$(xl dmesg)"
matches 'hvmloader read from the store what to load' "\\(d$id\\) System requested SeaBIOS" "$(xl dmesg)"

says 'device model: its state' running device_model hello
equal 'device model: its process is the one that the store names' xen-qemu-system \
    "$(cat "/proc/$(xenstore-read "$home/image/device-model-pid")/comm")"
equal 'device model: it offers its backends to this guest only' n0,n"$id" \
    "$(xenstore-ls -fp "/local/domain/0/device-model/$id/backends" | sed -n 's|.*/vkbd = .*(\(.*\))|\1|p')"
says 'device model: it tells its monitor that the guest runs' 'VM status: running' \
    sh -c "xl qemu-monitor-command hello 'info status' | tr -d '\r' | grep ."
says 'hvmloader: what it read' seabios xenstore-read "$home/hvmloader/bios"
equal 'control: the guest may set what it can do, and read what the host can' "n$id n0,r$id" \
    "$(xenstore-ls -fp "$home/control" | sed -n 's,.*/\(feature-poweroff\|platform-feature-xs_reset_watches\) = .*(\(.*\)),\2,p' |
        paste -sd ' ')"
says 'disk: Debian'\''s script has connected it' connected xenstore-read "$backend/hotplug-status"
says 'disk: to this device' "$(losetup -n -O NAME -j /tmp/disk)" xenstore-read "$backend/physical-device-path"

rm /tmp/serial
says 'reset: the sleep button' '' xl trigger hello sleep
becomes 60 'reset: it is another domain now' other_domid "$id"
second=$(xl domid hello)
becomes 90 'reset: it boots again' says_hello
becomes 20 'reset: nothing stays of the domain that it was' traceless "$id"
refuses 'shutdown: it has no driver that would hear of it' xl shutdown hello
says 'shutdown: the power button' "Shutting down domain $second
PV control interface not available: sending ACPI power button event." xl shutdown -F hello
becomes 60 'shutdown: it goes off' gone

xl create -q hello.cfg || failed 'xl create once more'
third=$(xl domid hello)
says 'destroy' '' xl destroy hello
becomes 60 'nothing stays of it in the store' same_nodes /tmp/before
becomes 20 'nor does a device model run' sh -c '! pgrep xen-qemu-system'
says 'nor is the disk in use' '' losetup -j /tmp/disk
equal 'nor has any of the domains a trace' '' "$(traces "$id" "$second" "$third")"
same_nodes /tmp/before || nodes | diff /tmp/before - | sed 's/^/# /'
checks_done
