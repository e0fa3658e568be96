# nested: --dom0 full --guests --limit 900 --add tests/nested/guest/commands.sh:nested/commands.sh --add tests/nested/guest/network-backend.sh:nested/network-backend.sh
# servers: stubdom daemon
# A guest that is the backend of another guest's network: each may read what is the other's of the device and write only
# its own, and that is enough for an interface that comes with the guest, migrates with it, comes later and goes.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/network.sh

# driver_modules: adds what a driver domain inserts, numbered in the order to do so, to the driver's file system.
driver_modules() {
    local number=10 file
    mkdir -p /tmp/driver-root/modules/network
    for file in $(modprobe -a --show-depends bridge xen-netback | awk '$1 == "insmod" { print $2 }'); do
        cp "$file" "/tmp/driver-root/modules/network/$number-${file##*/}" || return 1
        number=$((number + 1))
    done
    (cd /tmp/driver-root && find . | cpio -o -H newc 2>/dev/null) >>/tmp/guest-driver.initrd
}

# driver_ports: the interfaces on the driver's bridge.
driver_ports() { in_guest driver 'ls /sys/class/net/xenbr0/brif | xargs'; }
driver_ports_are() { [ "$(driver_ports)" = "$1" ]; }

# both_reach WHEN ADDRESS OTHER: the driver reaches the front's address, and is reached at the other.
both_reach() {
    becomes 60 "$1: the driver reaches the front" guest_reaches driver "$2"
    becomes 60 "$1: the front reaches the driver" guest_reaches front "$3"
}

cat /nested/commands.sh /nested/network-backend.sh >/tmp/driver-script
make_guest driver /tmp/driver-script
driver_modules || failed 'the driver has its modules'
echo 'driver_domain = 1' >>driver.cfg
xl create -q driver.cfg || failed 'xl create driver'
boots 240 'driver: is up' driver
becomes 60 'driver: has a bridge' driver_ports_are ''
driver=$(xl domid driver)

make_commands_guest front
echo "vif = [\"mac=$(mac 11),bridge=xenbr0,backend=driver\"]" >>front.cfg
xl create -q front.cfg || failed 'xl create front'
boots 240 'front: is up' front
front=$(xl domid front)
back_end=/local/domain/$driver/backend/vif/$front/0
front_end=/local/domain/$front/device/vif/0
equal 'front: takes an address' '' "$(take_address front eth0 "$NETWORK.11")"
both_reach create "$NETWORK.11" "$NETWORK.1"
equal 'create: both ends are connected' '4 4' "$(vif_states "$driver" "$front" 0)"
equal "create: the driver's bridge has the interface" "vif$front.0" "$(driver_ports)"
equal 'create: dom0 is no backend of any interface' '' "$(xenstore-list /local/domain/0/backend/vif 2>/dev/null)"

equal 'the back end belongs to its domain, the front reads it' "$back_end = \"\"   (n$driver,r$front)" \
    "$(xenstore-ls -fp | grep "^$back_end = ")"
equal 'the front end belongs to its domain, the driver reads it' "$front_end = \"\"   (n$front,r$driver)" \
    "$(xenstore-ls -fp | grep "^$front_end = ")"
equal 'front: reads the back end' 4 "$(in_guest front "xenstore-read $back_end/state")"
matches 'front: may not write there' 'could not write' "$(in_guest front "xenstore-write $back_end/state 1")"
equal 'driver: reads the front end' 4 "$(in_guest driver "xenstore-read $front_end/state")"
matches 'driver: may not write there' 'could not write' "$(in_guest driver "xenstore-write $front_end/state 1")"
equal 'nothing has changed' '4 4' "$(vif_states "$driver" "$front" 0)"

says 'network-attach' '' xl network-attach front "mac=$(mac 21)" bridge=xenbr0 backend=driver
in_guest driver 'ip address add 198.51.100.1/24 dev xenbr0' >/dev/null
equal 'network-attach: takes an address' '' "$(take_address front eth1 198.51.100.11)"
both_reach network-attach 198.51.100.11 198.51.100.1
equal 'network-attach: both ends are connected' '4 4' "$(vif_states "$driver" "$front" 1)"
says 'network-detach' '' xl network-detach front 1
becomes 20 'network-detach: the front end goes' sh -c "! xenstore-exists /local/domain/$front/device/vif/1"
becomes 20 'network-detach: the driver takes its end away' sh -c "! xenstore-exists /local/domain/$driver/backend/vif/$front/1"
becomes 20 "network-detach: it goes from the driver's bridge" driver_ports_are "vif$front.0"
both_reach network-detach "$NETWORK.11" "$NETWORK.1"

matches 'migrate' '^Migration successful' "$(xl migrate -s "$(ssh_here)" front localhost 2>&1)"
moved=$(xl domid front)
equal 'migrate: it knows its domid' "$moved" "$(in_guest front 'xenstore-read domid')"
both_reach migrate "$NETWORK.11" "$NETWORK.1"
equal 'migrate: both ends are connected' '4 4' "$(vif_states "$driver" "$moved" 0)"
becomes 20 "migrate: the driver's bridge has its new interface" driver_ports_are "vif$moved.0"
becomes 20 'migrate: nothing of the old domid stays' traceless "$front"

says 'destroy front' '' xl destroy front
becomes 20 'the driver takes its end away' sh -c "! xenstore-exists /local/domain/$driver/backend/vif/$moved/0"
becomes 20 "it goes from the driver's bridge" driver_ports_are ''
says 'destroy driver' '' xl destroy driver
becomes 20 'nothing of them stays' traceless "$driver" "$front" "$moved"
checks_done
