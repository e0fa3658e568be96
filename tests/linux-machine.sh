#!/usr/bin/env bash
# The quickest look at the store with real tools on a fresh machine, without Xen: the kernels and tools of the releases that
# scripts/nested boots, upstream's test program, and unix_server. Ten seconds each. ACCEL=kvm takes KVM, which
# need not nest for this. It is not the default, since some machines' KVM emulates each instruction and takes minutes.
# shellcheck source-path=SCRIPTDIR/../scripts
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
here=$PWD/scripts/nested.d
# shellcheck source=nested.d/messages.sh
. "$here/messages.sh"
# shellcheck source=nested.d/machine.sh
. "$here/machine.sh"
# shellcheck source=nested.d/release.sh
. "$here/release.sh"
# shellcheck source=nested.d/packages.sh
. "$here/packages.sh"
# shellcheck source=nested.d/kernel.sh
. "$here/kernel.sh"
# shellcheck source=nested.d/initramfs.sh
. "$here/initramfs.sh"
# shellcheck source=nested.d/cache.sh
. "$here/cache.sh"

# machine_init: the machine's first program. Its second serial port is for the job alone, as on Xen.
machine_init() {
    cat <<'INIT'
#!/bin/sh
export PATH=/usr/sbin:/usr/bin HOME=/ XENSTORED_PATH=/run/store
mount -t proc proc /proc
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
stty -F /dev/ttyS1 raw -echo 115200
exec </dev/null >/dev/ttyS1 2>&1
. /nested/lib.sh
unix_server "$XENSTORED_PATH" &
wait_for 60 xenstore-exists / || echo 'not ok - the store does not answer'
# As xen-init-dom0 does: clients' relative paths begin there.
xenstore-write /local/domain/0/domid 0
sh /nested/job
poweroff -f
INIT
}

# fill DIRECTORY JOB: the files that come to the release's own.
fill() {
    mkdir -p "$1/nested" "$1/usr/bin"
    machine_init >"$1/init"
    chmod +x "$1/init"
    cp "$here"/dom0/{lib,check}.sh "$1/nested/"
    cp "$2" "$1/nested/job"
    printf '%s\n' "XEN=$XEN" SERVER=unix_server >"$1/nested/settings"
    cp "$server" "$1/usr/bin/"
}

# boot STOCK INITRD: the job's lines on stdout. Neither kernel nor tools want more of a processor than this model has.
boot() {
    timeout 300 qemu-system-x86_64 -accel "$accel" -cpu qemu64 -m 512 -nodefaults -no-user-config -display none \
        -no-reboot -kernel "$1/vmlinux" -append 'console=ttyS0 quiet panic=-1' -initrd "$2" \
        -serial "file:$work/console" -serial stdio </dev/null | tr -d '\r'
}

# run_job JOB: on the tools of each release, one after the other.
run_job() {
    local seconds
    for XEN in $XEN_VERSIONS; do
        prepare_stock "$here"
        BUSYBOX=$STOCK/busybox
        rm -rf "$work/added"
        fill "$work/added" "$1"
        archive "$work/added" | cat "$STOCK/dom0.cpio" - >"$work/initrd"
        seconds=$SECONDS
        boot "$STOCK" "$work/initrd" >"$work/said" || echo "not ok - QEMU ends well" >>"$work/said"
        sed "s/^\(\(not \)\?ok - \)/\1Xen $XEN's tools: /" "$work/said"
        say "Xen $XEN's kernel and tools: $((SECONDS - seconds)) s"
        if grep -q '^not ok' "$work/said" || ! grep -qx 'checks: done' "$work/said"; then
            failed=1
            tail -n 20 "$work/console" >&2
        fi
    done
}

accel=${ACCEL:-tcg}
case $accel in
    tcg) ;;
    kvm) [[ -w /dev/kvm ]] || die "ACCEL=kvm: /dev/kvm cannot be used here" ;;
    *) die "ACCEL=$accel is not known here; allowed: tcg, kvm" ;;
esac
need qemu-system-x86_64=qemu-system-x86
need_cargo
target=x86_64-unknown-linux-gnu
# Static, since the machine's libraries are of another release than ours.
RUSTFLAGS=-Ctarget-feature=+crt-static cargo build --quiet --release -p unix_server --target "$target"
server=${CARGO_TARGET_DIR:-target}/$target/release/unix_server

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
run_job tests/nested/upstream-test.sh
exit "$failed"
