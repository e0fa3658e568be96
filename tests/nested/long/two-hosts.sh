# nested: --dom0 full --second --guests --limit 900 --add tests/nested/guest/commands.sh:nested/commands.sh
# servers: stubdom daemon
# A guest migrates from one host to another over the network between them, and back: it goes on there with its network,
# nothing of it stays on the host it left, and it lives on where it is when the other host cannot take it.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/network.sh
# shellcheck source=/dev/null
. /nested/pair.sh

# on HOST COMMAND...: what the command says there, on the first host or the second.
on() {
    local host=$1
    shift
    if [ "$host" = 1 ]; then eval "$*"; else on_second "$@"; fi
}

# lives_on HOST WHEN: the guest is known there, answers from inside, and both hosts reach it, one by the cable.
lives_on() {
    local id
    id=$(on "$1" xl domid gamma)
    matches "$2: host $1 has it" '^[0-9]+$' "$id"
    equal "$2: it knows its domid" "$id" "$(on "$1" in_guest gamma \'xenstore-read domid\')"
    equal "$2: it is what it was" 'kept in memory' "$(on "$1" in_guest gamma \'cat /tmp/kept\')"
    equal "$2: both ends of its interface are connected" '4 4' "$(on "$1" vif_states 0 "$id" 0)"
    equal "$2: host $1's bridge has its interface" "eth0 vif$id.0" "$(on "$1" ports)"
    becomes 60 "$2: host 1 reaches it" on 1 reaches "$NETWORK.11"
    becomes 60 "$2: host 2 reaches it" on 2 reaches "$NETWORK.11"
    becomes 60 "$2: it reaches host 1" on "$1" guest_reaches gamma "$NETWORK.1"
    becomes 60 "$2: it reaches host 2" on "$1" guest_reaches gamma "$NETWORK.2"
}

# left HOST WHEN [DOMID...]: nothing of the guest is on the host, where it had these domids.
left() {
    local host=$1 when=$2
    shift 2
    if [ $# -gt 0 ]; then becomes 30 "$when: nothing of it stays on host $host" on "$host" traceless "$@"; fi
    equal "$when: host $host's store has the homes of before" "$(cat "/tmp/homes-$host")" "$(on "$host" xenstore-list /local/domain)"
    equal "$when: host $host lists no guest" '' "$(on "$host" xl list | awk 'NR > 1 && $1 !~ /^(Domain-0|Xenstore)$/')"
    becomes 20 "$when: host $host's bridge has the cable only" on "$host" ports_are eth0
}

join_cable 1 || failed 'the first host joins the cable'
becomes 300 'the second host answers' on_second true
matches 'it is another host' "inet $NETWORK.2/24" "$(on_second ip -4 address)"
for host in 1 2; do on "$host" xenstore-list /local/domain >/tmp/homes-$host; done

make_commands_guest gamma
add_vif gamma 11
xl create -q gamma.cfg || failed 'xl create'
boots 240 'it boots' gamma
first=$(xl domid gamma)
equal 'it takes an address' '' "$(take_address gamma eth0 "$NETWORK.11")"
in_guest gamma 'echo kept in memory >/tmp/kept' >/dev/null
lives_on 1 create

# All of the guest comes to the second host, which cannot start it: it has no bridge of that name.
sed 's/xenbr0/nobridge/' gamma.cfg >elsewhere.cfg
matches 'the second host refuses: the sender says so' '^Migration failed, resuming at sender' \
    "$(xl migrate -C elsewhere.cfg -s "$(to_host)" gamma "$NETWORK.2" 2>&1)"
equal 'the second host refuses: it has the domid it had' "$first" "$(xl domid gamma)"
lives_on 1 'the second host refuses'
left 2 'the second host refuses'

matches 'there: migrates' '^Migration successful' "$(xl migrate -s "$(to_host)" gamma "$NETWORK.2" 2>&1)"
lives_on 2 there
left 1 there "$first"
second=$(on_second xl domid gamma)

matches 'back: migrates' '^Migration successful' "$(on_second xl migrate -s "\$(to_host)" gamma "$NETWORK.1")"
lives_on 1 back
# The number before is that of the guest that the host could not start.
left 2 back $((second - 1)) "$second"
last=$(xl domid gamma)

says 'destroy' '' xl destroy gamma
left 1 destroy "$first" "$last"
checks_done
