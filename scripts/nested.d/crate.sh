# Programs of crates.io that a script needs and that no package of Debian's brings: they are built once, into the cache folder.
# shellcheck shell=bash

# has_crate CRATE: its program is in PATH, if it was built before.
has_crate() {
    PATH=$PATH:$CACHE/$1/bin
    command -v "$1" >/dev/null
}

# need_crate CRATE [OPTION...]: its program is in PATH, built with these options of `cargo install` if it was not there.
need_crate() {
    local to=$CACHE/$1
    if has_crate "$1"; then return 0; fi
    need_cargo
    say "building $1 into $to"
    # Building these costs more than they ever run, so they are not optimized.
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --locked --debug --root "$to" "$@" >&2 || die "$1 cannot be built; see above"
}
