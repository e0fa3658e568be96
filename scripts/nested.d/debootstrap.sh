# Whole Debians of a release of your choice, with their own programs and settings: to chroot into, or to boot.
# shellcheck shell=bash

# as_root COMMAND...: such trees are root's, with devices in them.
as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        command -v sudo >/dev/null || die "only root can make and use a whole Debian; run this as root"
        sudo "$@"
    fi
}

# in_tree DIRECTORY COMMAND...: the command in that Debian, with /proc, which is mounted for nobody else.
in_tree() {
    # shellcheck disable=SC2016  # the inner shell's words
    as_root unshare --mount sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$1" \
        env -u TMPDIR HOME=/root LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "${@:2}"
}

# debian_tree SUITE DIRECTORY PACKAGE...: makes DIRECTORY a Debian with these packages and what they depend on, from
# the mirrors that this machine's apt names. No service of it is started. Dies if that fails, and leaves the ruins.
debian_tree() {
    local suite=$1 to=$2 main security log
    shift 2
    need debootstrap=debootstrap
    main=$(mirror main)
    [[ $main ]] || die "apt names no Debian mirror on this machine; Debian $suite comes from there"
    security=$(mirror security)
    log=$(mktemp)
    say "Debian $suite: fetching and installing its base and $# packages"
    {
        # It mounts /proc, too, which must not stay should it be killed.
        as_root unshare --mount debootstrap --variant=minbase "$suite" "$to" "$main" &&
            # invoke-rc.d asks this program whether it may start a service.
            printf '#!/bin/sh\nexit 101\n' | as_root tee "$to/usr/sbin/policy-rc.d" &&
            as_root chmod 755 "$to/usr/sbin/policy-rc.d" &&
            { echo "deb $main $suite main" && if [[ $security ]]; then echo "deb $security $suite-security main"; fi; } |
            as_root tee "$to/etc/apt/sources.list" &&
            in_tree "$to" apt-get -q -o Acquire::Retries=3 -o APT::Update::Error-Mode=any update &&
            in_tree "$to" apt-get -q -o Acquire::Retries=3 -y --no-install-recommends install "$@" &&
            in_tree "$to" apt-get clean &&
            as_root rm "$to/usr/sbin/policy-rc.d"
    } >"$log" 2>&1 </dev/null || {
        tail -n 20 "$log" >&2
        rm "$log"
        die "Debian $suite could not be made; see above"
    }
    rm "$log"
}

# prepare_tree SUITE PACKAGE...: sets TREE, such a Debian in the cache folder: to be copied, never changed. Several runs
# may come here at once; it appears by one rename, complete or not at all, under a name that changes with its recipe.
prepare_tree() {
    local suite=$1 cache=$CACHE recipe lock
    recipe=$({ echo "$@" && cat "${BASH_SOURCE[0]}"; } | sha256sum | cut -c 1-12)
    TREE=$cache/debian-$suite-$recipe
    [[ -e $TREE ]] && return 0
    need_cache
    exec {lock}>"$TREE.lock"
    flock "$lock"
    if [[ ! -e $TREE ]]; then
        # The lock is ours, so anything unfinished is nobody's.
        as_root rm -rf --one-file-system "$TREE.new"
        debian_tree "$suite" "$TREE.new" "${@:2}"
        as_root mv -T "$TREE.new" "$TREE"
    fi
    exec {lock}>&-
}
