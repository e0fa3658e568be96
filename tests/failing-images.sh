#!/usr/bin/env bash
# Makes images that fail when they take over, each in its own way, from target/xenstore-stubdom: for the nested jobs `update` and `growth`.
# shellcheck source-path=SCRIPTDIR
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
# shellcheck source=../scripts/nested.d/messages.sh
. "$here/../scripts/nested.d/messages.sh"

cd "$here/.."
need_target
image=target/xenstore-stubdom
for file in "$image" "$image.debug"; do [[ -f $file ]] || die "no $file: scripts/build-image builds it"; done
symbols=$(nm "$image.debug" | c++filt)

# address NAME: where a function begins.
address() {
    local found
    found=$(awk -v name="$1" 'index($0, " t " name "::h") || index($0, " T " name "::h") {print $1; exit}' <<<"$symbols")
    [[ -n $found ]] || die "$image.debug has no function $1"
    echo $((16#$found))
}

# in_file ADDRESS: where that is in the file.
in_file() {
    local type offset virtual _ size
    while read -r type offset virtual _ size _; do
        if [[ $type == LOAD ]] && (($1 >= virtual && $1 < virtual + size)); then
            echo $((offset + $1 - virtual))
            return
        fi
    done < <(readelf -lW "$image")
    die "address $1 is in no segment of $image"
}

# patch NAME OFFSET BYTES: an image with other bytes there, as escapes of printf.
patch() {
    cp "$image" "target/failing/$1"
    # shellcheck disable=SC2059
    printf "$3" | dd of="target/failing/$1" bs=1 seek="$2" conv=notrunc status=none
}

# le32 NUMBER: as four bytes, the lowest first.
le32() { printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }

mkdir -p target/failing
run=$(address xenstore_stubdom::stubdom::life::new_server)
at=$(in_file "$run")
panics=$(address xenstore::slots::arena::dangling)
patch panics "$at" "\\xe9$(le32 $((panics - run - 5)))"
# mov eax, [8]
patch faults "$at" '\x8b\x04\x25\x08\x00\x00\x00'
patch undefined "$at" '\x0f\x0b'
patch loops "$at" '\xeb\xfe'
# This one fails when it takes over from itself with more memory.
patch small "$(in_file "$(address xenstore_stubdom::stubdom::take_over::larger)")" '\x0f\x0b'
# The note: its name, its type, then what it says.
note=$(grep -obUa 'xenstore-stubdom' "$image" | while IFS=: read -r offset _; do
    read -r -a before < <(od -An -tu4 -j$((offset - 12)) -N12 "$image")
    [[ ${before[*]} != '17 20 1' ]] || echo "$offset"
done)
[[ -n $note ]] || die "$image has no note of its own"
patch unread $((note + 20)) "$(le32 9)$(le32 9)"
patch unsure $((note + 28)) "$(le32 0)"
patch unnamed "$note" 'somebody-elses'
patch foreign 18 '\xb7\x00'
head -c 100000 "$image" >target/failing/cut
echo 'this is no image' >target/failing/text
