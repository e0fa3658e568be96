# nested: --guests --limit 600 --add tests/nested/guest/commands.sh:nested/commands.sh
# A disk is attached to a running guest, which mounts it and writes; it has it after it was saved and restored, with
# the disk in use, and after a reboot, until it is taken away.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh

device_states() { xenstore-read "/local/domain/0/backend/vbd/$1/51712/state" "/local/domain/$1/device/vbd/51712/state"; }

make_disk || failed 'dom0 has a disk to give away'
make_commands_guest beta
xl create -q beta.cfg || failed 'xl create'
boots 180 'it boots' beta
first=$(xl domid beta)

says 'block-attach' '' xl block-attach beta phy:/dev/loop0,xvda,w
equal 'block-attach: it mounts the disk' '' "$(mount_disk beta)"
equal 'block-attach: both ends are connected' '4
4' "$(device_states "$first")"
equal 'block-attach: it writes' '' "$(in_guest beta 'echo from the first life >/mnt/file; sync')"
matches 'block-list: names it' '^51712 +0 +'"$first" "$(xl block-list beta)"

xl save -c beta /tmp/saved >/tmp/save 2>&1
equal 'checkpoint' 0 $?
equal 'checkpoint: it goes on' "$first from the first life" "$(in_guest beta 'xenstore-read domid | cat - /mnt/file | xargs')"
xl save beta /tmp/saved >/tmp/save 2>&1
equal 'save' 0 $?
refuses 'save: it is gone' xl domid beta
becomes 10 'save: nothing of it stays' traceless "$first"
xl restore /tmp/saved >/tmp/restore 2>&1
equal 'restore' 0 $?
rm /tmp/saved
second=$(xl domid beta)
matches 'restore: it has another domid' "^[0-9]+\$" "$second"
xenstore-write "/local/domain/$second/data/ask" again
becomes 20 'restore: its watches came with it' xenstore-exists "/local/domain/$second/data/answer"
equal 'restore: its disk is still mounted' 'from the first life' "$(in_guest beta 'sync; cat /mnt/file')"
in_guest beta 'echo " and after" >>/mnt/file; umount /mnt' >/dev/null

matches 'reboot' "Rebooting domain $second" "$(xl reboot beta 2>&1)"
becomes 40 'reboot: its old life ends' sh -c "! xenstore-exists /local/domain/$second"
boots 180 'reboot: it boots' beta
third=$(xl domid beta)
equal 'reboot: the same name' beta "$(xl domname "$third")"
matches 'reboot: another domid' "^[0-9]+\$" "$(echo "$third" | grep -vx "$second")"
becomes 10 'reboot: nothing of its old life stays' traceless "$first" "$second"
equal 'reboot: it mounts its disk' '' "$(mount_disk beta)"
equal 'reboot: the disk has what it wrote' 'from the first life, and after' "$(in_guest beta 'paste -sd, /mnt/file; umount /mnt')"
says 'block-detach' '' xl block-detach beta xvda
becomes 10 'block-detach: the front end goes' sh -c "! xenstore-exists /local/domain/$third/device/vbd/51712"
becomes 10 'block-detach: the back end goes' sh -c "! xenstore-exists /local/domain/0/backend/vbd/$third"
equal 'block-detach: its device is gone' gone "$(in_guest beta '[ -e /dev/xvda ] || echo gone')"

says 'destroy' '' xl destroy beta
becomes 30 'destroy: it goes' sh -c "! xenstore-exists /local/domain/$third"
becomes 10 'destroy: nothing of it stays' traceless "$first" "$second" "$third"
checks_done
