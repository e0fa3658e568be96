# nested: --guests --limit 420 --add tests/nested/guest/commands.sh:nested/commands.sh --add tests/nested/guest/devd-backend.sh
# servers: stubdom daemon
# A driver domain as Xen's manual has it: xl devd runs in it, hears from the store of each device that dom0 asks for,
# runs the hotplug script, and takes away what is no longer wanted.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh

# tools: an archive of what a driver domain has of dom0's files.
tools() {
    mkdir -p /etc/xen/scripts
    disk_script >/etc/xen/scripts/block
    chmod +x /etc/xen/scripts/block
    (cd / && find usr/bin/xl "usr/lib/xen-$XEN" usr/lib/x86_64-linux-gnu etc/xen | cpio -o -H newc 2>/dev/null)
}

cat /nested/commands.sh /nested/devd-backend.sh >/tmp/driver-script
make_guest driver /tmp/driver-script
tools >>/tmp/guest-driver.initrd
sed -i 's/^memory.*/memory = 256/' driver.cfg
echo 'driver_domain = 1' >>driver.cfg
make_commands_guest front
for name in driver front; do xl create -q $name.cfg || failed "xl create $name"; done
boots 180 'driver: is up' driver
boots 180 'front: is up' front
driver=$(xl domid driver)
front=$(xl domid front)
back_end=/local/domain/$driver/backend/vbd/$front/51712
front_end=/local/domain/$front/device/vbd/51712
becomes 60 'driver: xl devd runs' xenstore-exists "/local/domain/$driver/data/devd"
matches 'driver: as a program of its own' '^[0-9]+$' "$(in_guest driver 'pidof xl')"

connected() { [ "$(xenstore-read "$back_end/state" "$front_end/state" | xargs)" = '4 4' ]; }
told() { [ "$(xenstore-read "$back_end/hotplug-status")" = connected ]; }

# Twice, since what is left of a device would be in the way of the next.
for round in first second; do
    says "$round: block-attach" '' xl block-attach front format=raw,backendtype=phy,backend=driver,vdev=xvda,access=w,target=/dev/loop0
    becomes 40 "$round: the driver domain's script has told of the device" told
    equal "$round: and written what it is as the driver domain" "n$driver,r$front" \
        "$(xenstore-ls -fp "$back_end" | sed -n 's/.*\/physical-device = .*(\(.*\))$/\1/p')"
    if [ $round = first ]; then
        equal 'front: mounts the disk' '' "$(mount_disk front)"
    else
        in_guest front 'until [ -b /dev/xvda ]; do usleep 200000; done; mount -t ext4 /dev/xvda /mnt' >/dev/null
    fi
    says "$round: both ends are connected" '4
4' xenstore-read "$back_end/state" "$front_end/state"
    in_guest front "echo words of the $round >/mnt/file; umount /mnt" >/dev/null
    equal "$round: the driver has what the front wrote" 1 "$(in_guest driver "grep -c 'words of the $round' /tmp/disk")"
    matches "$round: block-list names the driver domain" "^51712 +$driver +$front +4 " "$(xl block-list front)"
    says "$round: block-detach" '' xl block-detach front xvda
    becomes 30 "$round: the front end goes" sh -c "! xenstore-exists $front_end"
    becomes 30 "$round: xl devd takes the back end away" sh -c "! xenstore-exists $back_end"
done
equal 'driver: xl devd still runs' 1 "$(in_guest driver 'pidof xl | wc -w')"
# The folder of a front end's devices is dom0's; it only stays when the last device goes.
equal 'driver: xl devd was refused nothing else' '' \
    "$(in_guest driver 'grep -iE "denied|not permitted" /tmp/devd | grep -v "unable to remove path /local/domain/[0-9]*/backend/vbd/[0-9]*:"')"

says 'block-attach once more' '' xl block-attach front format=raw,backendtype=phy,backend=driver,vdev=xvda,access=w,target=/dev/loop0
# xl gives a back end ten seconds to close, which one that only just comes up may need.
becomes 60 'both ends are connected once more' connected
says 'destroy front' '' xl destroy front
becomes 30 'destroy: xl devd takes the back end away' sh -c "! xenstore-exists $back_end"
says 'destroy driver' '' xl destroy driver
becomes 30 'nothing of them stays' traceless "$driver" "$front"
checks_done
