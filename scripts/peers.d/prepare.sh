# Other xenstore servers, ready to run on plain Linux: fetched once per Xen version, never installed.
# shellcheck shell=bash
# shellcheck disable=SC2034  # PEERS_ROOT and STANDIN are read by the files that source this one
# shellcheck source-path=SCRIPTDIR/..

# The files that fetch packages for nested boots serve here, too.
peers_scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=nested.d/messages.sh
. "$peers_scripts/nested.d/messages.sh"
# shellcheck source=nested.d/machine.sh
. "$peers_scripts/nested.d/machine.sh"
# shellcheck source=nested.d/release.sh
. "$peers_scripts/nested.d/release.sh"
# shellcheck source=nested.d/packages.sh
. "$peers_scripts/nested.d/packages.sh"

# Several runs may come to these two at once: each result appears by one rename, complete or not at all.

# Sets STANDIN, the stand-in library for daemons.
prepare_standin() {
    local cache=$CACHE lock
    # The loader's list of libraries to preload knows no quotes.
    [[ $cache != *[[:space:]:]* ]] || die "$cache has a blank or a colon in it, by which the loader does not find a daemon's stand-in for Xen: NESTED_CACHE chooses another folder"
    need cc=gcc
    need_cache
    exec {lock}>"$cache/standin.lock"
    flock "$lock"
    build_standin "$cache"
    exec {lock}>&-
}

# Sets PEERS_ROOT, the unpacked packages of $XEN, and STANDIN, which finds a daemon's plugins there.
prepare_peers() {
    local cache=$CACHE recipe lock
    prepare_standin
    choose_release
    PACKAGES="xen-utils-$XEN xenstore-utils"
    recipe=$(cat "$peers_scripts"/nested.d/{release,packages}.sh "${BASH_SOURCE[0]}" | sha256sum | cut -c 1-12)
    PEERS_ROOT=$cache/peers-$XEN-$recipe
    export STANDIN_ROOT=$PEERS_ROOT
    exec {lock}>"$cache/peers-$XEN.lock"
    flock "$lock"
    [[ -e $PEERS_ROOT ]] || fetch_peers "$cache"
    exec {lock}>&-
}

fetch_peers() {
    local new
    # The lock is ours, so anything unfinished is nobody's.
    rm -rf "$1/peers-$XEN".new.*
    new=$(mktemp -d "$1/peers-$XEN.new.XXXXXX")
    UNFINISHED=$new
    fetch_packages "$new"
    UNFINISHED=
    mv "$new/packages" "$new/root/"
    mv -T "$new/root" "$PEERS_ROOT"
    rm -r "$new"
}

build_standin() {
    local source=${peers_scripts%/scripts}/tests/standin flags hash
    flags="-std=c11 -Wall -Wextra -Werror -O2 -fPIC -shared -fvisibility=hidden"
    hash=$({ echo "$flags" && cat "$source"/*.[ch]; } | sha256sum | cut -c 1-12)
    STANDIN=$1/standin-$hash.so
    [[ -e $STANDIN ]] && return 0
    # shellcheck disable=SC2086  # a list of words
    cc $flags -o "$STANDIN.new" "$source"/*.c -ldl || die "the stand-in library does not compile; see above"
    mv "$STANDIN.new" "$STANDIN"
}
