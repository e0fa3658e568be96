# The whole Debian dom0: a disk that boots by its own GRUB into Xen and systemd, made once for each Xen version. Each
# run writes to a layer of its own above it.
# shellcheck shell=bash

DEBIAN_DOM0_MEMORY=1500
DEBIAN_DISK_MIB=4096

# Beside what they depend on: an init and what a host has with it, Xen from GRUB on, libvirt.
DEBIAN_PACKAGES="systemd-sysv libpam-systemd dbus udev kmod procps iproute2 busybox zstd linux-image-amd64 grub-pc
    xen-system-amd64 xenstore-utils libvirt-daemon-system libvirt-daemon-driver-xen libvirt-clients"
# The initramfs has these only, since each megabyte takes GRUB and Xen a second under emulation.
DEBIAN_MODULES="virtio_pci virtio_blk ext4"

# Sets DISK, a disk image that runs must not write to.
prepare_debian() {
    local here=$1 cache=$CACHE recipe lock
    choose_release
    recipe=$({
        find "$here"/debian "$here"/{release,debootstrap,debian}.sh -type f -print0 | LC_ALL=C sort -z | xargs -0 cat
        echo "$(debian_xen_args) $DOM0_ARGS"
    } | sha256sum | cut -c 1-12)
    DISK=$cache/xen-$XEN-debian-$recipe/disk
    [[ -e $DISK ]] && return 0

    need mke2fs=e2fsprogs sfdisk=fdisk
    need_cache
    exec {lock}>"$cache/xen-$XEN-debian.lock"
    flock -n "$lock" || { say "Debian $SUITE's disk is being prepared by another run; waiting for it" && flock "$lock"; }
    [[ -e $DISK ]] || make_debian "$here" "$cache"
    exec {lock}>&-
}

# What GRUB tells Xen.
debian_xen_args() {
    echo "${XEN_ARGS//[[:space:]]/ } dom0_mem=${DEBIAN_DOM0_MEMORY}M,max:${DEBIAN_DOM0_MEMORY}M"
}

# make_debian HERE CACHE: the folder appears by one rename, complete or not at all.
make_debian() {
    local here=$1 cache=$2 new
    # The lock is ours, so anything unfinished is nobody's.
    as_root rm -rf --one-file-system "$cache/xen-$XEN-debian".new.*
    new=$(mktemp -d "$cache/xen-$XEN-debian.new.XXXXXX")
    # shellcheck disable=SC2086  # a list of words
    debian_tree "$SUITE" "$new/root" $DEBIAN_PACKAGES
    say "Debian $SUITE: making its disk"
    configure_debian "$here" "$new/root"
    make_disk "$new/root" "$new/disk"
    as_root cp "$new/root/vmlinuz" "$new/root/initrd.img" "$new/"
    as_root chmod a+r "$new/vmlinuz" "$new/initrd.img"
    as_root rm -r --one-file-system "$new/root"
    install_grub "$new"
    rm "$new/vmlinuz" "$new/initrd.img"
    mv -T "$new" "$(dirname "$DISK")"
}

# configure_debian HERE TREE: what an installer would ask for, and the units that run a job.
configure_debian() {
    local here=$1 tree=$2
    as_root cp -rT --no-preserve=ownership "$here/debian" "$tree"
    as_root cp -T /dev/stdin "$tree/etc/fstab" <<<'/dev/vda1 / ext4 errors=remount-ro 0 1'
    as_root cp -T /dev/stdin "$tree/etc/hostname" <<<dom0
    as_root cp -T /dev/stdin "$tree/etc/hosts" <<<'127.0.0.1 localhost dom0'
    # shellcheck disable=SC2086  # a list of words
    printf '%s\n' $DEBIAN_MODULES | as_root cp -T /dev/stdin "$tree/etc/initramfs-tools/modules"
    as_root cp -T /dev/stdin "$tree/etc/initramfs-tools/conf.d/modules" <<<MODULES=list
    as_root cp -T /dev/stdin "$tree/etc/default/grub.d/nested.cfg" <<-CFG
		GRUB_TIMEOUT=0
		GRUB_TERMINAL=serial
		GRUB_CMDLINE_LINUX_DEFAULT=quiet
		GRUB_CMDLINE_LINUX_XEN_REPLACE_DEFAULT="${DOM0_ARGS}"
		GRUB_CMDLINE_XEN="$(debian_xen_args)"
		XEN_OVERRIDE_GRUB_DEFAULT=1
	CFG
    # libvirt takes every x86 processor to have VME, which QEMU's emulation has not, and would know no name for ours.
    as_root sed -i "/'vme'/d" "$tree/usr/share/libvirt/cpu_map/x86_486.xml"
    # A host without network has no use for the mirrors' lists, and apt would take minutes to read them.
    in_tree "$tree" find /var/lib/apt/lists -type f -delete
    # Busybox has what lib.sh sleeps with, Debian has not.
    as_root ln -s /bin/busybox "$tree/usr/local/bin/usleep"
    in_tree "$tree" sh -c 'update-initramfs -u && systemctl enable nested-setup.service nested-job.service' >/dev/null 2>&1 ||
        die "Debian $SUITE cannot be set up"
}

# make_disk TREE FILE: one partition with the tree on it, behind the room that GRUB takes.
make_disk() {
    local first=1
    truncate -s "${DEBIAN_DISK_MIB}M" "$2"
    sfdisk --quiet "$2" <<<"start=${first}MiB, type=83, bootable" || die "Debian $SUITE's disk cannot be partitioned"
    as_root mke2fs -q -t ext4 -d "$1" -E "offset=$((first << 20))" "$2" "$((DEBIAN_DISK_MIB - first))M" ||
        die "Debian $SUITE's disk cannot be filled"
}

# install_grub DIRECTORY: by Debian's own tools, which want to see the disk; so a Linux runs them that has it as its own.
install_grub() {
    say "Debian $SUITE: installing GRUB"
    bash "$here/limited.sh" 600 qemu-system-x86_64 -accel tcg -m 1024 -nodefaults -no-user-config -display none -no-reboot \
        -kernel "$1/vmlinuz" -initrd "$1/initrd.img" \
        -append "console=ttyS0 quiet root=/dev/vda1 init=/usr/local/lib/nested/boot-loader" \
        -drive "file=$1/disk,if=virtio,format=raw,cache=unsafe" -serial stdio </dev/null >"$1/log" 2>&1 || :
    grep -q '^nested: ended 0' "$1/log" || {
        tail -n 20 "$1/log" >&2
        die "Debian $SUITE: GRUB could not be installed; see above"
    }
    rm "$1/log"
}
