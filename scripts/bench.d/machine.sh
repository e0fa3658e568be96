# What the figures were measured with, as rows of a table.
# shellcheck shell=bash
# shellcheck disable=SC2154  # root is set by scripts/bench, XEN and PEERS_ROOT by peers.d/prepare.sh

# row NAME VALUE
row() { printf '| %s | %s |\n' "$1" "$2"; }

# first COMMAND...: the first line of what it prints.
first() { "$@" 2>&1 | head -n 1; }

about_this_run() {
    local commit
    commit=$(git -C "$root" describe --always --dirty 2>/dev/null) || commit=unknown
    row 'this server' "commit $commit, $(first rustc --version)"
    row "Xen's servers" "$(sed -n 's/^xen-utils-[0-9.]*_\(.*\)_amd64.deb$/Xen \1, Debian/p' "$PEERS_ROOT/packages")"
    row machine "$(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | first cat), Linux $(uname -r)"
    row tools "$(valgrind --version), $(first qemu-system-x86_64 --version | sed 's/ (.*//')"
    row date "$(date -u +%F)"
}
