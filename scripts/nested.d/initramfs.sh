# The root file systems: dom0's and the guests', from the unpacked packages and the scripts beside this one.
# shellcheck shell=bash

DOM0_PROGRAMS="init-xenstore-domain xen-init-dom0 xenstored oxenstored xenstore-control xenconsoled xenconsole
    xl libxl-save-helper test-xenstore lsevtchn xenctx"
DOM0_MODULES="xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xenfs"
GUEST_MODULES="xen-privcmd xen-evtchn xenfs"
# For jobs whose guests have a disk and a network interface; they insert these themselves.
DOM0_DEVICES="loop xen-blkback xen-netback"
GUEST_DEVICES="xen-blkfront xen-netfront"
# For guests that mount a disk, and for those that serve one to other guests.
GUEST_FILESYSTEM="crc32c_generic mbcache jbd2 crc16 ext4"
GUEST_BACKENDS="loop xen-blkback"
CLIENTS="xenstore-chmod xenstore-exists xenstore-list xenstore-ls xenstore-read xenstore-rm xenstore-watch
    xenstore-write"

# archive DIRECTORY: the directory as a cpio archive on stdout, all of it root's.
archive() { (cd "$1" && find . | LC_ALL=C sort | "$BUSYBOX" cpio -o -H newc -R 0:0 2>/dev/null); }

# skeleton ROOT: a merged root file system with busybox in it.
skeleton() {
    local link
    mkdir -p "$1"/usr/{bin,sbin,lib,lib64} "$1"/{dev,proc,sys,run,tmp,etc} "$1"/var/{lib,log}
    for link in bin sbin lib lib64; do ln -s "usr/$link" "$1/$link"; done
    ln -s /run "$1/var/run"
    ln -s /run/lock "$1/var/lock"
    cp "$BUSYBOX" "$1/bin/busybox"
    "$BUSYBOX" --list | while read -r link; do
        if [[ $link != busybox ]]; then ln -s busybox "$1/bin/$link"; fi
    done
}

# add_program PACKAGES ROOT PROGRAM...: copies programs and the libraries their own loader names for them.
add_program() {
    local from=$1 to=$2 program library lib=usr/lib/x86_64-linux-gnu
    shift 2
    mkdir -p "$to/$lib"
    for program in "$@"; do
        cp -L "$program" "$to/usr/bin/"
        "$from/$lib/ld-linux-x86-64.so.2" --library-path "$from/$lib" --list "$program" |
            sed -n '/ => /{s/^.* => //; s/ (0x[0-9a-f]*)$//; p}' | while read -r library; do
            [[ -e $to/$lib/${library##*/} ]] || cp -L "$library" "$to/$lib/"
        done
    done
    cp -L "$from/$lib/ld-linux-x86-64.so.2" "$to/$lib/"
    ln -sfn ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$to/usr/lib64/ld-linux-x86-64.so.2"
}

# add_modules PACKAGES DIRECTORY MODULE...: unpacked there, numbered in the order to insert them.
add_modules() {
    local from=$1 to=$2 module file number=0
    shift 2
    mkdir -p "$to"
    for module in "$@"; do
        file=$(find "$from/usr/lib/modules" -name "$module.ko*")
        [[ $file ]] || die "Xen $XEN: the kernel has no module $module"
        number=$((number + 1))
        case $file in
            *.xz) xz -dc "$file" >"$to/$number-$module.ko" ;;
            *) cp "$file" "$to/$number-$module.ko" ;;
        esac
    done
}

# build_dom0 PACKAGES ROOT
build_dom0() {
    local from=$1 to=$2 bin=$1/usr/lib/xen-$XEN/bin name programs=()
    skeleton "$to"
    for name in $DOM0_PROGRAMS; do programs+=("$bin/$name"); done
    for name in $CLIENTS; do programs+=("$from/usr/bin/$name"); done
    # Since 4.19 init-xenstore-domain starts this one for the stub domain's share.
    if [[ -e $bin/xen-9pfsd ]]; then programs+=("$bin/xen-9pfsd"); fi
    add_program "$from" "$to" "${programs[@]}"
    # libxl and pthread_cancel look these up by name at run time, so the loader's list lacks them.
    mkdir -p "$to/usr/lib/xen-$XEN"
    ln -s /usr/bin "$to/usr/lib/xen-$XEN/bin"
    cp -L "$from/usr/lib/x86_64-linux-gnu/libgcc_s.so.1" "$to/usr/lib/x86_64-linux-gnu/"
    # shellcheck disable=SC2086  # lists of words
    add_modules "$from" "$to/modules" $DOM0_MODULES
    # shellcheck disable=SC2086
    add_modules "$from" "$to/modules/devices" $DOM0_DEVICES
    mkdir -p "$to/etc/xen" "$to/var/lib/xen" "$to/var/lib/xenstored" "$to/var/log/xen/console"
    : >"$to/etc/xen/xl.conf"
    cp "$from/etc/xen/oxenstored.conf" "$to/etc/xen/"
    # How Debian starts all this.
    mkdir -p "$to/etc/init.d" "$to/usr/lib/xen-common"
    cp "$from/etc/init.d/xen" "$to/etc/init.d/"
    cp -r "$from/usr/lib/xen-common/bin" "$to/usr/lib/xen-common/"
    # oxenstored loads its view of domains from here, since 4.20.
    if [[ -d $from/usr/lib/xen-$XEN/ocaml ]]; then cp -r "$from/usr/lib/xen-$XEN/ocaml" "$to/usr/lib/xen-$XEN/"; fi
}

# build_guest PACKAGES ROOT
build_guest() {
    local from=$1 to=$2 name programs=()
    skeleton "$to"
    for name in $CLIENTS; do programs+=("$from/usr/bin/$name"); done
    add_program "$from" "$to" "${programs[@]}"
    # shellcheck disable=SC2086
    add_modules "$from" "$to/modules" $GUEST_MODULES
    # shellcheck disable=SC2086
    add_modules "$from" "$to/modules/devices" $GUEST_DEVICES
    # shellcheck disable=SC2086
    add_modules "$from" "$to/modules/filesystem" $GUEST_FILESYSTEM
    # shellcheck disable=SC2086
    add_modules "$from" "$to/modules/backends" $GUEST_BACKENDS
}
