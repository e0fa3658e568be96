# What one Xen version needs, prepared once: $STOCK/{xen,vmlinux,dom0.cpio,guest.cpio,packages}.
# shellcheck shell=bash
# shellcheck source=/dev/null

# Sets STOCK. Several runs may come here at once; the first prepares, the others wait for it. A stock
# appears by one rename, complete or not at all, under a name that changes with the scripts making it.
prepare_stock() {
    local here=$1 cache=$CACHE recipe lock
    choose_release
    recipe=$(cat "$here"/{release,packages,kernel,initramfs,cache}.sh | sha256sum | cut -c 1-12)
    STOCK=$cache/xen-$XEN-$recipe
    [[ -e $STOCK ]] && return 0

    need xz=xz-utils zstd=zstd
    need_cache
    exec {lock}>"$cache/xen-$XEN.lock"
    flock -n "$lock" || { say "Xen $XEN is being prepared by another run; waiting for it" && flock "$lock"; }
    [[ -e $STOCK ]] || make_stock "$cache" "$STOCK"
    exec {lock}>&-
}

make_stock() {
    local cache=$1 stock=$2 new
    # The lock is ours, so anything unfinished is nobody's.
    rm -rf "$cache/xen-$XEN".new.*
    new=$(mktemp -d "$cache/xen-$XEN.new.XXXXXX")
    UNFINISHED=$new
    fetch_packages "$new"
    UNFINISHED=
    say "Xen $XEN: building the root file systems"
    BUSYBOX=$new/root/usr/bin/busybox
    gunzip -c "$new"/root/boot/xen-*.gz >"$new/xen"
    vmlinux_of "$(find "$new/root/boot" -name 'vmlinuz-*')" >"$new/vmlinux"
    build_dom0 "$new/root" "$new/dom0"
    archive "$new/dom0" >"$new/dom0.cpio"
    build_guest "$new/root" "$new/guest"
    archive "$new/guest" >"$new/guest.cpio"
    cp "$BUSYBOX" "$new/busybox"
    rm -r "$new/root" "$new/dom0" "$new/guest"
    mv -T "$new" "$stock"
}
