# nested: --dom0 full --guests --limit 400 --add tests/nested/guest/commands.sh:nested/commands.sh
# servers: stubdom daemon
# A host's daily work in short: a guest on a bridge, by Debian's own scripts, which migrates to where it is and keeps
# its network.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/network.sh

# on_network WHEN: guest and host reach each other.
on_network() {
    becomes 60 "$1: the host reaches the guest" reaches "$NETWORK.11"
    becomes 60 "$1: the guest reaches the host" guest_reaches alpha "$NETWORK.1"
}

others=$(xenstore-list /local/domain)
make_bridge 1 || failed 'dom0 makes a bridge'
make_commands_guest alpha
add_vif alpha 11
xl create -q alpha.cfg || failed 'xl create'
boots 180 'create: it boots' alpha
first=$(xl domid alpha)
says "create: Debian's script has connected its interface" "/etc/xen/scripts/vif-bridge
connected" xenstore-read "/local/domain/0/backend/vif/$first/0/script" "/local/domain/0/backend/vif/$first/0/hotplug-status"
equal 'create: the bridge has its interface' "vif$first.0" "$(ports)"
equal 'create: it takes an address' '' "$(take_address alpha eth0 "$NETWORK.11")"
equal 'create: both ends are connected' '4 4' "$(vif_states 0 "$first" 0)"
on_network create

matches 'migrate' 'Migration successful' "$(xl migrate -s "$(ssh_here)" alpha localhost 2>&1)"
second=$(xl domid alpha)
matches 'migrate: it has another domid' '^[0-9]+$' "$(echo "$second" | grep -vx "$first")"
equal 'migrate: it knows its new domid' "$second" "$(in_guest alpha 'xenstore-read domid')"
on_network migrate
becomes 30 'migrate: nothing of the old domid stays' traceless "$first"
equal 'migrate: both ends are connected' '4 4' "$(vif_states 0 "$second" 0)"
equal 'migrate: the bridge has its new interface' "vif$second.0" "$(ports)"

says 'destroy' '' xl destroy alpha
becomes 30 'destroy: nothing of it stays' traceless "$first" "$second"
becomes 10 'destroy: the bridge is empty' ports_are ''
equal 'destroy: the store has homes for those of before' "$others" "$(xenstore-list /local/domain)"
checks_done
