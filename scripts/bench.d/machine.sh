# What the figures were measured with, in a line.
# shellcheck shell=bash
# shellcheck disable=SC2154  # root is set by scripts/bench, XEN and PEERS_ROOT by peers.d/prepare.sh

# first COMMAND...: the first line of what it prints.
first() { "$@" 2>&1 | head -n 1; }

about_this_run() {
    local commit xen machine tools
    commit=$(git -C "$root" describe --always --dirty 2>/dev/null) || commit=unknown
    xen=$(sed -n 's/^xen-utils-[0-9.]*_\(.*\)_amd64.deb$/Xen \1, Debian/p' "$PEERS_ROOT/packages")
    machine="$(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | first cat), Linux $(uname -r)"
    tools="$(valgrind --version), $(first qemu-system-x86_64 --version | sed 's/ (.*//')"
    echo "commit $commit, $(first rustc --version); $xen; $machine; $tools; $(date -u +%F)"
}
