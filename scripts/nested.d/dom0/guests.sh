# What jobs use that live with guests: `. /nested/guests.sh`, after lib.sh and check.sh.

# up NAME: the guest of that name has written its first words to the store.
up() { xenstore-exists "/local/domain/$(xl domid "$1")/data/hello"; }

# boots SECONDS TEXT NAME: the guest of that name is up within that time. If it is not, what can only be seen now: what it says,
# what Xen has it do, and what the store knows of it.
boots() {
    if wait_for "$1" up "$3"; then
        passed "$2"
    else
        failed "$2" "not up within $1 s: $3"
        {
            tail -n 20 "/var/log/xen/console/guest-$3.log"
            for key in e q r; do xl debug-keys $key; done
            xl dmesg | tail -n 250
            xl vcpu-list
            xenstore-ls -fp "/local/domain/$(xl domid "$3")"
            if [ "$SERVER" = stubdom ]; then xenstore-control stats "$(xl domid "$3")"; fi
        } 2>&1 | sed 's/^/# /'
    fi
}

# in_guest NAME COMMAND: what the command says inside a guest whose script is tests/nested/guest/commands.sh.
in_guest() {
    local at id
    at=/local/domain/$(xl domid "$1")/data || return 1
    id=$(now)
    xenstore-write "$at/run" "$id $2"
    wait_for 40 sh -c "xenstore-read $at/ran | grep -q '^$id '" || { echo "$1 does not answer" && return 1; }
    xenstore-read "$at/ran" | cut -d' ' -f2-
}

# make_commands_guest NAME: as make_guest, for in_guest.
make_commands_guest() { make_guest "$1" /nested/commands.sh; }

# state NAME: the flags that xl list shows of it.
state() { xl list "$1" | awk 'NR == 2 { print $5 }'; }

# memory NAME: its MiB, as xl list shows them.
memory() { xl list "$1" | awk 'NR == 2 { print $3 }'; }

# traces DOMID...: what the store still holds of these domains.
traces() {
    local ids
    ids=$(echo "$*" | tr ' ' '|')
    xenstore-ls -fp | grep -E "(/($ids)(/| )|[(,][nrwb]($ids)[,)])"
}

# traceless DOMID...: xl takes the last traces away a moment after the domain is gone.
traceless() { [ -z "$(traces "$@")" ]; }

# disk_script: the hotplug script that libxl runs for a disk. It does only what makes a block device connect.
disk_script() {
    cat <<'SCRIPT'
#!/bin/sh
[ "$1" = add ] || exit 0
device=$(xenstore-read "$XENBUS_PATH/params")
xenstore-write "$XENBUS_PATH/physical-device" "$(stat -c %t:%T "$device")" "$XENBUS_PATH/hotplug-status" connected
SCRIPT
}

# make_disk: /dev/loop0, with an empty ext2 file system, which dom0 can serve to guests.
make_disk() {
    local module
    for module in /modules/devices/*-loop.ko /modules/devices/*-xen-blkback.ko; do insmod "$module" || return 1; done
    mkdir -p /etc/xen/scripts
    disk_script >/etc/xen/scripts/block
    chmod +x /etc/xen/scripts/block
    dd if=/dev/zero of=/tmp/disk bs=1M count=4 2>/dev/null
    mke2fs -F /tmp/disk >/dev/null 2>&1 && losetup /dev/loop0 /tmp/disk
}

# mount_disk NAME: the guest mounts the disk xvda on /mnt, waiting for it to come; says nothing if that went well.
mount_disk() {
    # shellcheck disable=SC2016  # expanded in the guest
    in_guest "$1" 'for m in /modules/devices/*-xen-blkfront.ko /modules/filesystem/*.ko; do insmod $m; done' >/dev/null
    in_guest "$1" 'until [ -b /dev/xvda ]; do usleep 200000; done; mkdir /mnt; mount -t ext4 /dev/xvda /mnt'
}
