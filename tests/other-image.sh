#!/usr/bin/env bash
# Makes target/other/xenstore-stubdom, another build of the image, laid out otherwise: for the nested jobs that update from
# one to the other and back.
# shellcheck source-path=SCRIPTDIR
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=../scripts/nested.d/messages.sh
. "$here/../scripts/nested.d/messages.sh"

cd "$here/.."
need_cargo
export CARGO_TARGET_DIR=target/other/build CARGO_PROFILE_IMAGE_OPT_LEVEL=s CARGO_ENCODED_RUSTFLAGS=-Cno-redzone=yes
cargo image
objcopy --strip-all target/other/build/image/xenstore-stubdom target/other/xenstore-stubdom
