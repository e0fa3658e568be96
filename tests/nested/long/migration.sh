# nested: --dom0 full --guests --limit 900 --add tests/nested/guest/commands.sh:nested/commands.sh
# servers: stubdom daemon
# A guest with a disk and a network migrates to where it is, through what is called as ssh and by a pipe, and lives on
# when its receiver fails: before it reads, in the midst of the memory, and when all has come but cannot be started.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/network.sh

# whole WHEN: the guest knows its domid, has its disk mounted and writable, and reaches the host, which reaches it.
whole() {
    equal "$1: it knows its domid" "$(xl domid beta)" "$(in_guest beta 'xenstore-read domid')"
    equal "$1: it writes to its disk and reads it" "after $1" "$(in_guest beta "echo after $1 >>/mnt/file; sync; tail -n 1 /mnt/file")"
    equal "$1: both ends of its disk are connected" '4 4' "$(vbd_states "$(xl domid beta)")"
    equal "$1: both ends of its interface are connected" '4 4' "$(vif_states 0 "$(xl domid beta)" 0)"
    equal "$1: the bridge has its interface only" "vif$(xl domid beta).0" "$(ports)"
    becomes 60 "$1: the host reaches it" reaches "$NETWORK.11"
    becomes 60 "$1: it reaches the host" guest_reaches beta "$NETWORK.1"
    equal "$1: no other guest is there" beta "$(xl list | awk 'NR > 1 && $1 !~ /^(Domain-0|Xenstore)$/ { print $1 }')"
    equal "$1: the store has no other's home" "$others
$(xl domid beta)" "$(xenstore-list /local/domain)"
}

vbd_states() {
    xenstore-read "/local/domain/0/backend/vbd/$1/51712/state" "/local/domain/$1/device/vbd/51712/state" | xargs
}

# moved HOW FROM COMMAND...: the migration succeeds, the guest is whole, and nothing stays of what it was before.
moved() {
    local how=$1 before=$2
    shift 2
    matches "$how: migrates" '^Migration successful' "$("$@" 2>&1)"
    matches "$how: it has another domid" '^[0-9]+$' "$(xl domid beta | grep -vx "$before")"
    becomes 30 "$how: nothing of the old domid stays" traceless "$before"
    whole "$how"
}

# stayed HOW REASON COMMAND...: the migration fails for that reason, and the guest is whole where it was.
stayed() {
    local how=$1 reason=$2 before said status=0
    shift 2
    before=$(xl domid beta)
    said=$("$@" 2>&1) || status=$?
    matches "$how: the sender says so" "$reason" "$said"
    equal "$how: with status 1" 1 "$status"
    equal "$how: it has the domid it had" "$before" "$(xl domid beta)"
    whole "$how"
}

others=$(xenstore-list /local/domain)
make_bridge 1 || failed 'dom0 makes a bridge'
truncate -s 4M /tmp/disk
{ mke2fs -q -F /tmp/disk && losetup /dev/loop0 /tmp/disk; } || failed 'dom0 has a disk to give away'
make_commands_guest beta
add_vif beta 11
echo 'disk = ["phy:/dev/loop0,xvda,w"]' >>beta.cfg
xl create -q beta.cfg || failed 'xl create'
boots 240 'it boots' beta
equal 'it mounts the disk' '' "$(mount_disk beta)"
equal 'it takes an address' '' "$(take_address beta eth0 "$NETWORK.11")"
first=$(xl domid beta)
whole create

moved 'through a shell' "$first" xl migrate -s "$(ssh_here)" beta localhost
second=$(xl domid beta)
moved 'by a pipe' "$second" xl migrate -s '' beta 'xl migrate-receive'

stayed 'a receiver that is not there' 'banner|Migration failed' xl migrate -s '' beta /no/such/program
# The banner and the configuration pass, and a part of the memory.
stayed 'a receiver that breaks off' 'Migration failed, resuming at sender' \
    xl migrate -s '' beta 'head -c 30000000 | xl migrate-receive'
sed 's/xenbr0/nobridge/' beta.cfg >elsewhere.cfg
stayed 'a receiver without the bridge' 'Migration failed, resuming at sender' \
    xl migrate -C elsewhere.cfg -s "$(ssh_here)" beta localhost

equal 'its disk has what it wrote each time' 6 "$(in_guest beta 'grep -c after /mnt/file; umount /mnt')"
last=$(xl domid beta)
matches 'shutdown' "Domain $last has been shut down, reason code 0" "$(xl shutdown -w beta 2>&1)"
# The xl that waits for the guest's end to clean up has gone since the last receiver had it suspended.
says 'destroy what is left' '' xl destroy beta
becomes 30 'shutdown: nothing of it stays' traceless "$first" "$second" "$last"
becomes 20 'shutdown: the bridge is empty' ports_are ''
equal 'the store has homes for those of before' "$others" "$(xenstore-list /local/domain)"
checks_done
