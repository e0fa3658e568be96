# nested: --guests --limit 600 --add tests/nested/guest/commands.sh:nested/commands.sh --add tests/nested/guest/disk-backend.sh:nested/disk-backend.sh
# A guest that is the backend of another guest's disk: each may read what is the other's of the device and write
# only its own, and that is enough for a disk that is mounted and written.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh

cat /nested/commands.sh /nested/disk-backend.sh >/tmp/driver-script
make_guest driver /tmp/driver-script
echo 'driver_domain = 1' >>driver.cfg
make_commands_guest front
for name in driver front; do xl create -q $name.cfg || failed "xl create $name"; done
boots 180 'driver: is up' driver
boots 180 'front: is up' front
driver=$(xl domid driver)
front=$(xl domid front)
back_end=/local/domain/$driver/backend/vbd/$front/51712
front_end=/local/domain/$front/device/vbd/51712

says 'block-attach' '' xl block-attach front format=raw,backendtype=phy,backend=driver,vdev=xvda,access=w,target=/dev/loop0
equal 'the back end belongs to its domain, the front reads it' "$back_end = \"\"   (n$driver,r$front)" \
    "$(xenstore-ls -fp | grep "^$back_end = ")"
equal 'the front end belongs to its domain, the driver reads it' "$front_end = \"\"   (n$front,r$driver)" \
    "$(xenstore-ls -fp | grep "^$front_end = ")"
equal 'front: mounts the disk' '' "$(mount_disk front)"
says 'both ends are connected' '4
4' xenstore-read "$back_end/state" "$front_end/state"
in_guest front 'echo words for the driver >/mnt/file; umount /mnt' >/dev/null
equal 'driver: has what the front wrote' 1 "$(in_guest driver 'grep -c "words for the driver" /tmp/disk')"

equal 'front: reads the back end' 4 "$(in_guest front "xenstore-read $back_end/state")"
matches 'front: may not write there' 'could not write' "$(in_guest front "xenstore-write $back_end/state 1")"
matches 'front: may not add there' 'could not write' "$(in_guest front "xenstore-write $back_end/mine 1")"
matches 'front: may not see what else the driver has' "couldn't read" "$(in_guest front "xenstore-read /local/domain/$driver/data/hello")"
equal 'driver: reads the front end' 4 "$(in_guest driver "xenstore-read $front_end/state")"
matches 'driver: may not write there' 'could not write' "$(in_guest driver "xenstore-write $front_end/state 1")"
matches 'driver: may not see what else the front has' "couldn't read" "$(in_guest driver "xenstore-read /local/domain/$front/data/hello")"
says 'nothing has changed' '4
4' xenstore-read "$back_end/state" "$front_end/state"

says 'block-detach' '' xl block-detach front xvda
becomes 20 'block-detach: the front end goes' sh -c "! xenstore-exists $front_end"
becomes 20 'block-detach: the driver takes its end away' sh -c "! xenstore-exists $back_end"
says 'destroy front' '' xl destroy front
says 'destroy driver' '' xl destroy driver
becomes 20 'nothing of them stays' traceless "$driver" "$front"
checks_done
