# nested: --dom0 full --guests --limit 900 --add tests/nested/guest/commands.sh:nested/commands.sh
# servers: stubdom daemon
# Two guests on a bridge, by Debian's own scripts: they and the host reach each other, a second interface comes and
# goes, and the first is alive after its guest was saved and restored.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/network.sh

# all_reach WHEN: dom0 and both guests reach each other.
all_reach() {
    becomes 60 "$1: the host reaches one" reaches "$NETWORK.11"
    becomes 60 "$1: the host reaches two" reaches "$NETWORK.12"
    becomes 60 "$1: one reaches the host" guest_reaches one "$NETWORK.1"
    becomes 60 "$1: one reaches two" guest_reaches one "$NETWORK.12"
    becomes 60 "$1: two reaches the host" guest_reaches two "$NETWORK.1"
    becomes 60 "$1: two reaches one" guest_reaches two "$NETWORK.11"
}

# takes_address NAME NUMBER
takes_address() {
    equal "$1 takes an address" '' "$(take_address "$1" eth0 "$NETWORK.$2")"
    equal "$1 has the MAC address of its configuration" "$(mac "$2")" "$(in_guest "$1" 'cat /sys/class/net/eth0/address')"
}

# listed NAME: the interfaces that xl lists, a line each of number, MAC address and state.
listed() { xl network-list "$1" | awk 'NR > 1 { print $1, $3, $5 }'; }

others=$(xenstore-list /local/domain)
make_bridge 1 || failed 'dom0 makes a bridge'
make_commands_guest one
add_vif one 11
make_commands_guest two
add_vif two 12
for name in one two; do xl create -q $name.cfg || failed "xl create $name"; done
boots 240 'one boots' one
boots 240 'two boots' two
one=$(xl domid one)
two=$(xl domid two)
equal 'the bridge has their interfaces' "vif$one.0 vif$two.0" "$(ports)"
takes_address one 11
takes_address two 12
all_reach create
equal 'network-list: one has one interface, connected' "0 $(mac 11) 4" "$(listed one)"
equal 'both ends of it are connected' '4 4' "$(vif_states 0 "$one" 0)"

# The second interface has a network of its own, so that nothing passes through the first.
ip address add 198.51.100.1/24 dev xenbr0
says 'network-attach' '' xl network-attach one "mac=$(mac 21)" bridge=xenbr0
equal 'network-attach: it takes an address' '' "$(take_address one eth1 198.51.100.11)"
equal 'network-attach: network-list has it' "0 $(mac 11) 4
1 $(mac 21) 4" "$(listed one)"
equal 'network-attach: both ends are connected' '4 4' "$(vif_states 0 "$one" 1)"
equal 'network-attach: so has the bridge' "vif$one.0 vif$one.1 vif$two.0" "$(ports)"
becomes 60 'network-attach: the host reaches it' reaches 198.51.100.11
becomes 60 'network-attach: it reaches the host' guest_reaches one 198.51.100.1
says 'network-detach' '' xl network-detach one 1
becomes 20 'network-detach: the front end goes' sh -c "! xenstore-exists /local/domain/$one/device/vif/1"
becomes 20 'network-detach: the back end goes' sh -c "! xenstore-exists /local/domain/0/backend/vif/$one/1"
becomes 20 'network-detach: it goes from the bridge' ports_are "vif$one.0 vif$two.0"
equal 'network-detach: its interface is gone' gone "$(in_guest one '[ -e /sys/class/net/eth1 ] || echo gone')"
equal 'network-detach: network-list has the first only' "0 $(mac 11) 4" "$(listed one)"
all_reach network-detach

xl save one /tmp/saved >/tmp/save 2>&1
equal 'save' 0 $?
becomes 20 'save: nothing of it stays' traceless "$one"
becomes 20 'save: it goes from the bridge' ports_are "vif$two.0"
xl restore /tmp/saved >/tmp/restore 2>&1
equal 'restore' 0 $?
again=$(xl domid one)
equal 'restore: it knows its new domid' "$again" "$(in_guest one 'xenstore-read domid')"
equal 'restore: both ends are connected' '4 4' "$(vif_states 0 "$again" 0)"
all_reach restore
matches 'restore: the bridge has its new interface' "(^| )vif$again.0( |\$)" "$(ports)"

matches 'shutdown one' "Domain $again has been shut down, reason code 0" "$(xl shutdown -w one 2>&1)"
becomes 30 'shutdown: nothing of it stays' traceless "$one" "$again"
becomes 20 'shutdown: it goes from the bridge' ports_are "vif$two.0"
becomes 60 'shutdown: two still reaches the host' guest_reaches two "$NETWORK.1"
says 'destroy two' '' xl destroy two
becomes 30 'destroy: nothing of it stays' traceless "$two"
becomes 20 'destroy: the bridge is empty' ports_are ''
equal 'the store has homes for those of before' "$others" "$(xenstore-list /local/domain)"
checks_done
