# The full dom0: the small one with what a real host has besides, Debian's own programs, hotplug scripts, device
# model and kernel modules. A stock of its own, so that nobody waits for it who does not ask for it.
# shellcheck shell=bash
# shellcheck source=/dev/null

# In MiB: a device model takes its share of dom0's memory.
# shellcheck disable=SC2034  # read by run.sh
FULL_RAM=2300
# shellcheck disable=SC2034
FULL_DOM0_MEMORY=1300

FULL_PACKAGES="qemu-system-xen bash bsdutils coreutils util-linux mount sed grep gawk procps iproute2 bridge-utils
    iputils-ping kmod e2fsprogs tmux libutempter0 ncurses-base"
# What these depend on, but nothing here runs: installers, interpreters, an init, boot files.
FULL_UNUSED='^(adduser|base-files|cpio|dash|debconf|dpkg|dracut-install|gcc-.*-base|init-system-helpers
    |initramfs-tools.*|iso-codes|klibc-utils|libklibc|libperl.*|libpython3.*|libsystemd-shared|linux-base|linux-image-amd64
    |logsave|media-types|openssl-provider-legacy|passwd|perl.*|.*-perl|python3.*|sensible-utils|systemd|tar|tzdata|ucf|udev
    |usrmerge)$'
# Of packages that are used: documents, other machines' firmware, and what a package keeps for run time, since
# dom0 mounts file systems of its own there.
FULL_LEFT_OUT="./run ./tmp ./var ./usr/share/doc ./usr/share/info ./usr/share/locale ./usr/share/man ./usr/share/icons
    ./usr/share/lintian ./usr/share/qemu/openbios* ./usr/share/qemu/s390* ./usr/share/qemu/hppa*
    ./usr/share/qemu/u-boot* ./usr/share/qemu/opensbi* ./usr/share/qemu/skiboot* ./usr/share/qemu/slof*
    ./usr/share/qemu/palcode* */gconv"
# Inserted by init, as Debian's own init script of Xen does.
FULL_MODULES="xen-gntdev xen-gntalloc xen-evtchn xen-privcmd xen-netback xen-blkback loop tun bridge"
# To be inserted by jobs; those from ata_piix on are for guests, to whom QEMU shows disks and a cdrom.
FULL_MORE_MODULES="8021q br_netfilter dm-mod dummy veth xen-blkfront xen-netfront ext4 isofs virtio_net virtio_blk
    virtio_pci e1000 ata_piix sd_mod sr_mod uhci-hcd ehci-pci usb-storage"

# Sets STOCK, as prepare_stock does.
prepare_full_stock() {
    local here=$1 cache=$CACHE recipe lock
    choose_release
    recipe=$(cat "$here"/{release,packages,kernel,initramfs,full}.sh | sha256sum | cut -c 1-12)
    STOCK=$cache/xen-$XEN-full-$recipe
    [[ -e $STOCK ]] && return 0

    need xz=xz-utils zstd=zstd depmod=kmod
    need_cache
    exec {lock}>"$cache/xen-$XEN-full.lock"
    flock -n "$lock" || { say "Xen $XEN's full dom0 is being prepared by another run" && flock "$lock"; }
    [[ -e $STOCK ]] || make_full_stock "$cache" "$STOCK"
    exec {lock}>&-
}

make_full_stock() {
    local cache=$1 stock=$2 new
    # The lock is ours, so anything unfinished is nobody's.
    rm -rf "$cache/xen-$XEN-full".new.*
    new=$(mktemp -d "$cache/xen-$XEN-full.new.XXXXXX")
    UNFINISHED=$new
    fetch_full_packages "$new"
    UNFINISHED=
    say "Xen $XEN: building the full root file system"
    BUSYBOX=$new/busybox
    cp "$new/root/usr/bin/busybox" "$BUSYBOX"
    gunzip -c "$new"/root/boot/xen-*.gz >"$new/xen"
    # For HVM guests, whose device model loads only kernels that unpack themselves.
    cp "$new"/root/boot/vmlinuz-* "$new/vmlinuz"
    vmlinux_of "$new/vmlinuz" >"$new/vmlinux"
    build_guest "$new/root" "$new/guest"
    archive "$new/guest" >"$new/guest.cpio"
    build_full_dom0 "$new/root" "$new/dom0"
    archive "$new/dom0" >"$new/dom0.cpio"
    rm -r "$new/root" "$new/dom0" "$new/guest"
    mv -T "$new" "$stock"
}

# fetch_full_packages DIRECTORY: fills DIRECTORY/root with all that apt's dependencies name.
fetch_full_packages() {
    local dir=$1 names deb link
    write_apt_conf "$dir/apt"
    local apt=(apt-get -c "$dir/apt/apt.conf" -q=2)

    say "Xen $XEN: reading Debian $SUITE's package list"
    "${apt[@]}" --error-on=any update >&2 || die "apt could not read Debian $SUITE's package list; see its message above"
    # shellcheck disable=SC2086  # lists of words
    names=$(apt-get -c "$dir/apt/apt.conf" -s install --no-install-recommends $PACKAGES $FULL_PACKAGES |
        awk -v unused="${FULL_UNUSED//[[:space:]]/}" '$1 == "Inst" && $2 !~ unused { print $2 }') ||
        die "apt cannot choose from Debian $SUITE's packages; see its message above"
    [[ $names ]] || die "Debian $SUITE does not have all of: $PACKAGES $FULL_PACKAGES"

    say "Xen $XEN: fetching $(wc -w <<<"$names") packages for the full dom0"
    # shellcheck disable=SC2086
    (cd "$dir/apt/archives" && "${apt[@]}" download $names >&2) || die "apt could not fetch Xen $XEN's packages"

    mkdir -p "$dir/root/usr/lib64" "$dir/root/usr/lib" "$dir/root/usr/bin" "$dir/root/usr/sbin"
    for link in lib lib64 bin sbin; do ln -s "usr/$link" "$dir/root/$link"; done
    for deb in "$dir"/apt/archives/*.deb; do unpack_whole "$deb" "$dir/root"; done
    (cd "$dir/apt/archives" && printf '%s\n' *.deb) >"$dir/packages"
    rm -r "$dir/apt"
}

# unpack_whole DEB ROOT: all of it but what FULL_LEFT_OUT names.
unpack_whole() {
    local pattern excludes=()
    set -f
    for pattern in $FULL_LEFT_OUT; do excludes+=("--exclude=$pattern"); done
    set +f
    dpkg-deb --fsys-tarfile "$1" |
        tar -x -C "$2" --keep-directory-symlink --no-same-owner --anchored --wildcards "${excludes[@]}"
}

# build_full_dom0 PACKAGES ROOT
build_full_dom0() {
    local from=$1 to=$2 kernel
    build_dom0 "$from" "$to"
    # Debian's tools look for each other there, where the small dom0 has a link to /usr/bin.
    rm "$to/usr/lib/xen-$XEN/bin"
    kernel=$(basename "$from"/usr/lib/modules/*)
    tar -C "$from" -c --exclude=./boot --exclude=./usr/lib/modules . | tar -C "$to" -x --keep-directory-symlink
    add_module_tree "$from" "$to" "$kernel"
    # busybox's shell would take its own ip, losetup and so on before Debian's; bash treats all else of the jobs alike.
    ln -sf bash "$to/usr/bin/sh"
    mkdir -p "$to/root"
    echo 'root:x:0:0:root:/root:/bin/bash' >"$to/etc/passwd"
    echo 'root:x:0:' >"$to/etc/group"
    echo '127.0.0.1 localhost' >"$to/etc/hosts"
    # shellcheck disable=SC2086  # a list of words
    printf '%s\n' $FULL_MODULES >"$to/etc/modules"
}

# add_module_tree PACKAGES ROOT KERNEL: the modules and what they depend on, where modprobe finds them.
add_module_tree() {
    local from=$1/usr/lib/modules/$3 to=$2/usr/lib/modules/$3 module file
    depmod -b "$1" "$3" || die "Xen $XEN: depmod failed on the kernel's modules"
    mkdir -p "$to"
    cp "$from"/modules.{builtin,builtin.modinfo,order} "$to/"
    for module in $FULL_MODULES $FULL_MORE_MODULES; do
        if grep -q "/$module\.ko$" "$from/modules.builtin"; then continue; fi
        grep -E "/$module\.ko(\.xz)?:" "$from/modules.dep" || die "Xen $XEN: the kernel has no module $module"
    done | tr -d ':' | tr ' ' '\n' | sort -u | while read -r file; do
        mkdir -p "$to/$(dirname "$file")"
        case $file in
            *.xz) xz -dc "$from/$file" >"$to/${file%.xz}" ;;
            *) cp "$from/$file" "$to/$file" ;;
        esac
    done
    depmod -b "$2" "$3"
}
