#!/usr/bin/env bash
# Layers over reboots of a host: what a C xenstored held is a layer by one stock command, the store begins with it, and what
# changes then is a layer that brings the same store back at the next boot.
# shellcheck source-path=SCRIPTDIR/../scripts
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }
trap 'echo "not ok - unexpected failure at line $LINENO: $BASH_COMMAND"' ERR

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
# shellcheck source=nested.d/messages.sh
. scripts/nested.d/messages.sh
for file in target/xenstore-stubdom target/xs-layers; do [[ -f $file ]] || die "no $file: scripts/package builds it"; done
work=$(mktemp -d "${TMPDIR:-/tmp}/layers.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# ok WHAT COMMAND...: the command succeeds; what it says is shown if it does not.
ok() {
    if "${@:2}" >"$work/said" 2>&1; then echo "ok - $1"; else echo "not ok - $1" && sed 's/^/# /' "$work/said" && failed=1; fi
}

# boot OPTION...: boots a host whose dom0 does what is on stdin. What it hands out is in $work afterwards.
boot() {
    {
        printf '%s\n' '. /nested/lib.sh' '. /nested/check.sh' 'cd /root || exit 1'
        cat
        echo checks_done
    } >"$work/job"
    scripts/nested --image target/xenstore-stubdom --add target/xs-layers:usr/bin/xs-layers --out "$work" "$@" "$work/job" |
        tee "$work/log" || failed=1
    if grep -q '^not ok' "$work/log" || ! grep -qx 'checks: done' "$work/log"; then failed=1; fi
}

boot --server daemon <<'JOB'
xenstore-write /site/greeting hello /site/empty '' /site/odd "$(printf 'a\tb "c" \\ \351')" /site/list/one 1 /site/list/two 2
xenstore-chmod -r /site n0 r32757
xenstore-ls -f -p >tree || failed 'the tree is told'
says 'C xenstored has what was written' hello xenstore-read /site/greeting
hand_out tree
JOB
printf '%s\n' 'layer vendor' '/vendor/a = "1"' '/vendor/b = "2"   (r0)' '/vendor/c/d = "3"' >"$work/vendor"
ok 'the tree of a C xenstored is a layer' target/xs-layers check "$work/tree"
ok 'it is packed' target/xs-layers pack -o "$work/first" "$work/vendor" "$work/tree"

boot --no-start --add "$work/first:root/module" --add "$work/tree:root/tree" <<'JOB'
printf '%s\n' --ramdisk /root/module >>/nested/stub-args
start_store || failed 'the store starts'
grep '^/site' tree | sort >wanted
xenstore-ls -f -p | grep '^/site' | sort >got
says 'the store has what the C xenstored had' '' cmp wanted got
xenstore-write /vendor/a mine /new/node 1 /site/list/three 3
xenstore-rm /vendor/c
xenstore-rm /site/list/one
xenstore-chmod /site/greeting b0
xs-layers diff /dev/xen/xenbus >changed || failed 'what has changed is told'
xenstore-ls -f -p | grep -E '^/(vendor|site|new)' | sort >before
equal "nothing else is among it" 0 "$(grep -cvE '^(#|layer |end$|(whiteout )?/(vendor|site|new))' changed)"
hand_out changed
hand_out before
JOB
ok 'what has changed is packed on top' target/xs-layers pack -o "$work/second" "$work/vendor" "$work/tree" "$work/changed"

boot --no-start --add "$work/second:root/module" --add "$work/before:root/before" <<'JOB'
printf '%s\n' --ramdisk /root/module >>/nested/stub-args
start_store || failed 'the store starts'
xenstore-ls -f -p | grep -E '^/(vendor|site|new)' | sort >after
says 'the next boot has the same store' '' cmp before after
says 'the store is sound' OK xenstore-control check
JOB
exit "$failed"
