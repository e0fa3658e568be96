#!/usr/bin/env bash
# Each example of docs/clients.md talks to this store on a unix socket, and to C xenstored, by the library of its language,
# and says what it should.
# shellcheck source-path=SCRIPTDIR/../scripts
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }
trap 'echo "not ok - unexpected failure at line $LINENO: $BASH_COMMAND"' ERR

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
# shellcheck source=peers.d/prepare.sh
. "$PWD/scripts/peers.d/prepare.sh"

XEN=4.17 talk=tests/clients/talk failed=0
cache=$CACHE
work=$(mktemp -d "${TMPDIR:-/tmp}/clients.XXXXXX")
trap 'if [[ ${server:-} ]]; then kill "$server"; fi; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# ok WHAT COMMAND...: the command succeeds; what it says is shown if it does not.
ok() {
    if "${@:2}" >"$work/said" 2>&1; then echo "ok - $1"; else echo "not ok - $1" && sed 's/^/# /' "$work/said" && failed=1; fi
}

# Sets LIBRARIES_ROOT: what the examples are built of, of Debian and not installed: pyxs, Xen's library with its headers,
# OCaml, and Xen's library for that. As prepare_peers does.
prepare_libraries() {
    local recipe lock new PACKAGES LIBRARIES
    choose_release
    PACKAGES='libxen-dev python3-pyxs ocaml' LIBRARIES='^(libxen|ocaml).*$'
    recipe=$(cat scripts/nested.d/{release,packages}.sh "${BASH_SOURCE[0]}" | sha256sum | cut -c 1-12)
    LIBRARIES_ROOT=$cache/libraries-$XEN-$recipe
    mkdir -p "$cache"
    exec {lock}>"$cache/libraries.lock"
    flock "$lock"
    if [[ ! -e $LIBRARIES_ROOT ]]; then
        rm -rf "$cache"/libraries-new.*
        new=$(mktemp -d "$cache/libraries-new.XXXXXX")
        UNFINISHED=$new
        fetch_packages "$new"
        fetch_source "$new"
        build_ocaml_library "$new" >&2 || die "Xen's library for OCaml does not build; see above"
        # Half of OCaml is for programs that look into programs, or to be interpreted.
        rm -r "$new"/root/usr/{lib/ocaml/compiler-libs,bin/*.byte}
        UNFINISHED=
        mv -T "$new/root" "$LIBRARIES_ROOT"
        rm -r "$new"
    fi
    exec {lock}>&-
}

# fetch_source DIRECTORY: Xen's library for OCaml, of which Debian has the source alone, into DIRECTORY/root/ocaml.
fetch_source() {
    local dir=$1 apt
    write_apt_conf "$dir/apt"
    # Not every mirror of the security archive has sources.
    sed -i '1!d; s/^deb /deb-src /' "$dir/apt/sources.list"
    apt=(apt-get -c "$dir/apt/apt.conf" -q=2)
    say "Xen $XEN: fetching its source"
    "${apt[@]}" --error-on=any update >&2 || die "apt could not read Debian $SUITE's list of sources; see its message above"
    (cd "$dir/apt" && "${apt[@]}" source --download-only xen >&2) || die "apt could not fetch Xen $XEN's source; see its message above"
    mkdir "$dir/root/ocaml"
    tar -xJf "$dir"/apt/xen_*.orig.tar.xz -C "$dir/root/ocaml" --strip-components 1 --no-same-owner --wildcards \
        '*/tools/ocaml/libs/mmap' '*/tools/ocaml/libs/xb' '*/tools/ocaml/libs/xs' '*/tools/include/xen-tools'
}

# ocaml ROOT OPTION...: Debian's compiler.
ocaml() { OCAMLLIB=$1/usr/lib/ocaml "$1/usr/bin/ocamlopt" "${@:2}"; }

# build_ocaml_library DIRECTORY: the packages xenmmap, xenbus and xenstore, each module after those that it uses.
build_ocaml_library() (
    root=$(realpath "$1/root")
    cd "$root/ocaml/tools/ocaml/libs"
    make=(ocaml "$root" -I mmap -I xb -I xs -I .)
    # Where the daemon's socket is: that is fixed when the library is built.
    echo 'let xen_run_stored = Filename.dirname (Sys.getenv "XENSTORED_PATH")' >xs/paths.ml
    "${make[@]}" -ccopt "-I $root/usr/include -I $root/ocaml/tools/include -I mmap" -c {mmap/xenmmap,xb/xenbus,xb/xs_ring}_stubs.c &&
        "${make[@]}" -c mmap/xenmmap.mli mmap/xenmmap.ml &&
        "${make[@]}" -for-pack Xenbus -c xb/{op,partial,packet}.mli xb/{op,partial,packet,xs_ring}.ml xb/xb.mli xb/xb.ml &&
        "${make[@]}" -pack -o xenbus.cmx xb/{op,partial,packet,xs_ring,xb}.cmx &&
        "${make[@]}" -for-pack Xenstore -c xs/{paths,queueop}.ml xs/{xsraw,xst,xs}.mli xs/{xsraw,xst,xs}.ml &&
        "${make[@]}" -pack -o xenstore.cmx xs/{paths,queueop,xsraw,xst,xs}.cmx
)

# build_ocaml SOURCE PROGRAM: what the compiler makes of the source lies beside that, so it takes a copy.
build_ocaml() {
    local libs=$LIBRARIES_ROOT/ocaml/tools/ocaml/libs
    mkdir "$work/ocaml"
    cp "$1" "$work/ocaml/"
    # A program of one file has no interface.
    ocaml "$LIBRARIES_ROOT" -w +a-70 -warn-error +a -I "$libs" -I "$libs/mmap" -o "$2" \
        unix.cmxa xenmmap.cmx xenbus.cmx xenstore.cmx "$libs"/*_stubs.o "$work/ocaml/${1##*/}"
}

# says LINES COMMAND...: the command prints these lines.
says() { diff <(printf '%s\n' "$1") <(timeout 60 "${@:2}" 2>&1); }

# shown LANGUAGE FILE: docs/clients.md shows the example as it is.
shown() {
    diff "$2" <(awk -v fence="\`\`\`$1" '
        $0 == "```" { inside = 0 }
        inside { print }
        $0 == fence { inside = 1 }' docs/clients.md)
}

# talks EXAMPLE LINES COMMAND...: it says these lines to this store and to Xen's own.
talks() {
    ok "$1: says what it should" says "$2" "${@:3}"
    ok "$1: says the same to C xenstored" says "$2" env -u XENSTORED_PATH XEN="$XEN" scripts/with-peer "${@:3}"
}

need_cargo
need cc=gcc python3=python3 xz=xz-utils
prepare_libraries
cargo build --quiet --release -p unix_server
programs=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
export XENSTORED_PATH=$work/socket
"$programs/release/unix_server" --memory 8 "$XENSTORED_PATH" >"$work/serving" &
server=$!
until grep -q serving "$work/serving"; do sleep 0.1; done

# What each says; the crate of Rust has no transactions.
simple=$'read: hello\nchild: greeting\nchanged: /talk/greeting\ngone'
all=$'read: hello\nnumber: 1\nchild: greeting\nchild: number\nchanged: /talk/greeting\ngone'

libraries=$LIBRARIES_ROOT/usr/lib/x86_64-linux-gnu
ok 'talk.c: compiles' cc -std=c11 -Wall -Wextra -Werror -I "$LIBRARIES_ROOT/usr/include" -o "$work/talk" $talk/talk.c \
    -L "$libraries" -lxenstore -Wl,-rpath-link="$libraries"
talks talk.c "$all" env LD_LIBRARY_PATH="$libraries" "$work/talk"
talks talk.py "$all" env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$LIBRARIES_ROOT/usr/lib/python3/dist-packages" python3 $talk/talk.py
ok 'rust/main.rs: compiles' cargo build --quiet --release --locked --manifest-path $talk/rust/Cargo.toml --target-dir "$cache/tools-build"
talks rust/main.rs "$simple" "$cache/tools-build/release/talk"
ok 'talk.ml: compiles' build_ocaml $talk/talk.ml "$work/talk-ocaml"
talks talk.ml "$all" "$work/talk-ocaml"

ok 'docs/clients.md shows talk.c' shown c $talk/talk.c
ok 'docs/clients.md shows talk.py' shown python $talk/talk.py
ok 'docs/clients.md shows rust/main.rs' shown rust $talk/rust/main.rs
ok 'docs/clients.md shows talk.ml' shown ocaml $talk/talk.ml
exit "$failed"
