#!/usr/bin/env bash
# Every crate that is used comes from crates.io under a licence that .cargo/deny.toml allows, in one version.
# shellcheck source-path=SCRIPTDIR/../scripts
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
trap 'echo "not ok - unexpected failure at line $LINENO: $BASH_COMMAND"' ERR

usage() {
    cat <<'TEXT'
usage: tests/licences.sh [--build]
Has cargo-deny look at licences, bans and sources. It does not at advisories, whose database is not to be had everywhere.
  --build   builds cargo-deny into the cache folder if it is missing, which takes minutes; without, nothing is looked at then
TEXT
}

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
# shellcheck source=nested.d/messages.sh
. scripts/nested.d/messages.sh
# shellcheck source=nested.d/crate.sh
. scripts/nested.d/crate.sh
build=0
for word; do
    case $word in
        --build) build=1 ;;
        -h | --help) usage && exit 0 || exit ;;
        *) no_option "$word" ;;
    esac
done
need_target
if ((build)); then
    need_crate cargo-deny
elif ! has_crate cargo-deny; then
    echo 'skipped: cargo-deny is not built; tests/licences.sh --build builds it' && exit
fi
failed=0

# ok WHAT COMMAND...: the command succeeds; what it says is shown if it does not.
ok() {
    local said
    if said=$("${@:2}" 2>&1); then echo "ok - $1"; else echo "not ok - $1" && sed 's/^/# /' <<<"$said" && failed=1; fi
}
# denies MANIFEST [OPTION...]: of that package and all that it is built of.
denies() { cargo deny --locked --manifest-path "$1" --all-features --config "$config" "${@:2}" check licenses bans sources; }

config=$PWD/.cargo/deny.toml
ok 'image, tools and tests' denies Cargo.toml --workspace
ok 'fuzzers' denies fuzz/Cargo.toml
ok 'the client in Rust' denies tests/clients/talk/rust/Cargo.toml
# It looks: without one of its licences the same call fails.
config=$PWD/target/deny-less.toml
mkdir -p target
sed 's/"Unicode-3.0", //' .cargo/deny.toml >"$config"
refused() { ! denies Cargo.toml --workspace >"$config.said" 2>&1 && grep 'license = "(MIT OR Apache-2.0) AND Unicode-3.0"' "$config.said"; }
ok 'a licence that is not allowed is refused' refused
rm "$config" "$config.said"
exit "$failed"
