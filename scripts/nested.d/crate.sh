# Programs of crates.io that a script needs and that no package of Debian's brings: they are built once, into the cache folder.
# shellcheck shell=bash

# need_crate CRATE [OPTION...]: its programs are in PATH, built with these options of `cargo install` if they were not.
need_crate() {
    local crate=$1 to
    to=${NESTED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xenstore-stubdom}/$crate
    PATH=$PATH:$to/bin
    if command -v "$crate" >/dev/null; then return 0; fi
    command -v cargo >/dev/null || die "cargo is missing: install Rust with rustup (see rustup.rs)"
    say "building $crate into $to"
    cargo install --quiet --locked --root "$to" "$@" >&2 || die "$crate cannot be built; see above"
}
