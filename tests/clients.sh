#!/usr/bin/env bash
# Each example of docs/clients.md talks to this store on a unix socket, by the library of its language, and says what it should.
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

# Sets LIBRARIES_ROOT: pyxs, and Xen's library with its headers, of Debian and not installed. As prepare_peers does.
prepare_libraries() {
    local recipe lock new PACKAGES LIBRARIES
    choose_release
    PACKAGES='libxen-dev python3-pyxs' LIBRARIES='^libxen.*$'
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
        UNFINISHED=
        mv -T "$new/root" "$LIBRARIES_ROOT"
        rm -r "$new"
    fi
    exec {lock}>&-
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

need_cargo
prepare_libraries
need cc=gcc python3=python3
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
ok 'talk.c: says what it should' says "$all" env LD_LIBRARY_PATH="$libraries" "$work/talk"
ok 'talk.py: says what it should' says "$all" env PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$LIBRARIES_ROOT/usr/lib/python3/dist-packages" \
    python3 $talk/talk.py
ok 'rust/main.rs: compiles' cargo build --quiet --release --locked --manifest-path $talk/rust/Cargo.toml --target-dir "$cache/tools-build"
ok 'rust/main.rs: says what it should' says "$simple" "$cache/tools-build/release/talk"

ok 'docs/clients.md shows talk.c' shown c $talk/talk.c
ok 'docs/clients.md shows talk.py' shown python $talk/talk.py
ok 'docs/clients.md shows rust/main.rs' shown rust $talk/rust/main.rs
exit "$failed"
