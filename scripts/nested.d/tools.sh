# What --tools adds to dom0: xentop, script, terminal descriptions, Python, and clients of the store in other languages.
# Prepared once for each Xen version as $TOOLS, an archive of files.
# shellcheck shell=bash

TOOLS_PACKAGES="bsdutils ncurses-base python3-minimal libpython3-stdlib python3-pyxs"
TOOLS_DEPENDENCIES='^(lib(c6|gcc-s1|bz2-1.0|expat1|lzma5|zstd1|tinfo6|ncurses6|uuid1|yajl2|xen.*)|zlib1g|(lib)?python3\.[0-9]+-(minimal|stdlib))$'

# prepare_tools SCRIPTS: sets TOOLS. Several runs may come here at once, as to prepare_stock.
prepare_tools() {
    local here=$1 cache=$CACHE clients recipe lock
    clients=${here%/scripts/nested.d}/tests/clients
    recipe=$(cat "$here"/{release,packages,initramfs,tools}.sh "$clients"/rust/{Cargo.toml,Cargo.lock,main.rs} | sha256sum | cut -c 1-12)
    TOOLS=$cache/tools-$XEN-$recipe.cpio
    [[ -e $TOOLS ]] && return 0

    command -v cargo >/dev/null || die "cargo is missing: install Rust with rustup (see rustup.rs)"
    exec {lock}>"$cache/tools-$XEN.lock"
    flock -n "$lock" || { say "the tools of Xen $XEN are being prepared by another run; waiting for them" && flock "$lock"; }
    [[ -e $TOOLS ]] || make_tools "$cache" "$clients"
    exec {lock}>&-
}

# make_tools CACHE CLIENTS
make_tools() {
    # The last two are what fetch_packages reads.
    # shellcheck disable=SC2034
    local cache=$1 clients=$2 new PACKAGES="xen-utils-$XEN $TOOLS_PACKAGES" LIBRARIES=$TOOLS_DEPENDENCIES
    rm -rf "$cache/tools-$XEN".new.*
    new=$(mktemp -d "$cache/tools-$XEN.new.XXXXXX")
    UNFINISHED=$new
    build_rust_client "$clients/rust" "$cache/tools-build"
    (
        # Of these packages all is wanted: since trixie, terminal descriptions lie where others have only documents.
        # shellcheck disable=SC2317  # fetch_packages calls it
        unpack() { dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner; }
        fetch_packages "$new"
    )
    UNFINISHED=
    fill_tools "$new/root" "$new/tools" "$cache/tools-build/$RUST_HOST/release/rust-client"
    archive "$new/tools" >"$new/tools.cpio"
    mv -T "$new/tools.cpio" "$TOOLS"
    rm -r "$new"
}

RUST_HOST=x86_64-unknown-linux-gnu

# build_rust_client SOURCE TARGET: linked statically, as scripts/build-tool does and for its reason.
build_rust_client() {
    say "building the client in Rust"
    RUSTFLAGS=-Ctarget-feature=+crt-static cargo build --quiet --release --locked --target "$RUST_HOST" \
        --manifest-path "$1/Cargo.toml" --target-dir "$2" || die "the client in Rust does not build; see above"
}

# fill_tools PACKAGES ROOT RUST-CLIENT
fill_tools() {
    local from=$1 to=$2 python terminals site=usr/lib/python3/dist-packages
    python=$(find "$from/usr/bin" -name 'python3.*' -type f)
    mkdir -p "$to"/usr/{bin,lib,lib64} "$to/$site"
    add_program "$from" "$to" "$from/usr/lib/xen-$XEN/bin/xentop" "$from/usr/bin/script" "$python"
    ln -s "${python##*/}" "$to/usr/bin/python3"
    terminals=$(find "$from/usr" -path '*/terminfo/l/linux' -printf '%P')
    mkdir -p "$to/usr/${terminals%/l/linux}"
    cp -r "$from/usr/${terminals%/linux}" "$to/usr/${terminals%/l/linux}/"
    cp -r "$from/usr/lib/${python##*/}" "$to/usr/lib/"
    cp -r "$from/$site/pyxs" "$from/usr/lib/xen-$XEN/lib/python/xen" "$to/$site/"
    cp -L "$from"/usr/lib/x86_64-linux-gnu/libxenstore.so.* "$to/usr/lib/x86_64-linux-gnu/"
    cp "$3" "$to/usr/bin/"
}
