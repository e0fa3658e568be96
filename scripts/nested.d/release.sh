# The Xen versions we boot, and the Debian release each comes from.
# shellcheck shell=bash
# shellcheck disable=SC2034  # read by the files that source this one

XEN_VERSIONS="4.17 4.20"

# Sets SUITE and PACKAGES for XEN. PACKAGES are asked for by name; what they depend on is filtered by
# LIBRARIES, because dom0 here has no use for most of it (python, udev, ...).
choose_release() {
    case $XEN in
        4.17) SUITE=bookworm ;;
        4.20) SUITE=trixie ;;
        *) die "XEN=$XEN is not known here; allowed: ${XEN_VERSIONS// /, }" ;;
    esac
    PACKAGES="xen-hypervisor-$XEN-amd64 xen-utils-$XEN xen-utils-common xenstore-utils linux-image-amd64 busybox-static"
    LIBRARIES='^(lib(c6|gcc-s1|bz2-1.0|lzma5|zstd1|tinfo6|ncurses6|uuid1|yajl2|xen.*)|zlib1g|linux-image-[0-9].*)$'
}
