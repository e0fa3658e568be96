# A run of the whole Debian dom0 that debian.sh has made the disk of.
# shellcheck shell=bash
# shellcheck disable=SC2034  # read by the files that source this one

DEBIAN_RAM=2600
# One boot, of which a job may have several: a loaded machine takes minutes for it.
DEBIAN_LIMIT=1200

# What QEMU boots, in the work folder.
DEBIAN_DRIVES=(-drive "file=disk,if=virtio,format=qcow2,cache=unsafe" -drive "file=run.tar,if=virtio,format=raw,readonly=on")

# add_disks SCRIPTS DIRECTORY WORK: this run's layer above the disk, and what DIRECTORY holds for it as a second one.
add_disks() {
    rm "$2/init"
    mkdir "$2/nested/install"
    cp -r "$1/install" "$1/install.d" "$2/nested/install/"
    tar -C "$2" --owner=0 --group=0 -cf "$3/run.tar" .
    qemu-img create -q -f qcow2 -b "$DISK" -F raw "$3/disk"
}
