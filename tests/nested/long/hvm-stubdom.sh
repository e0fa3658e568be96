# nested: --dom0 full --guests --icount --limit 900 --add tests/nested/guest/stubdom.sh
# servers: stubdom daemon
# An HVM guest whose device model has a domain of its own, as libxl makes it: that domain has the guest for its target,
# in Xen and in the store, and so acts with the guest's rights. Debian has no kernel and no root file system for such
# domains; here they are Debian's own kernel and, beside the guests' busybox, Debian's own QEMU.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/hvm.sh

says_hello() { tr -d '\r' </tmp/serial | grep -qx 'hello from a boot sector'; }
gone() { ! xl domid hello; }

# make_ramdisk FILE: the root file system of the device model's domain, from programs and libraries of dom0.
make_ramdisk() {
    local root=/tmp/stubdom program library
    mkdir -p $root/usr/bin $root/usr/lib/x86_64-linux-gnu
    cp /nested/stubdom.sh $root/init
    chmod +x $root/init
    for program in /usr/libexec/xen-qemu-system-i386 "/usr/lib/xen-$XEN/bin/vchan-socket-proxy"; do
        cp "$program" $root/usr/bin/
        for library in $(/lib64/ld-linux-x86-64.so.2 --list "$program" | awk '$2 == "=>" { print $3 }'); do
            cp -L "$library" $root/usr/lib/x86_64-linux-gnu/
        done
    done
    copy_modules $root/modules/stubdom xen-gntdev xen-gntalloc xen-blkfront
    (cat /nested/guest-initrd && cd $root && find . | cpio -o -H newc 2>/dev/null) >"$1"
    rm -r $root
}

dd if=/dev/zero of=/tmp/disk bs=1M count=1 2>/dev/null
boot_sector | dd of=/tmp/disk conv=notrunc 2>/dev/null
make_ramdisk /tmp/stubdom.cpio
# QEMU in dom0 serves the consoles of the device model's domain. libxl says for one of them only after a restore where it
# leads to, and without a serial port of that number a newer QEMU leaves it alone, for which the domain's kernel waits.
cat >hello.cfg <<'CONFIG'
name = "hello"
type = "hvm"
memory = 32
disk = ["format=raw, vdev=hda, access=rw, target=/tmp/disk"]
serial = "file:/tmp/serial"
vga = "none"
vnc = 0
device_model_version = "qemu-xen"
device_model_stubdomain_override = 1
stubdomain_kernel = "/nested/guest-kernel"
stubdomain_ramdisk = "/tmp/stubdom.cpio"
stubdomain_cmdline = "loglevel=0 cryptomgr.notests init_on_alloc=0 audit=0 mitigations=off"
stubdomain_memory = 300
device_model_args_pv = ["-serial", "null", "-serial", "null", "-serial", "null"]
CONFIG
nodes >/tmp/before

# libxl gives the domain 30 s to start QEMU. They are 30 s of instructions here (--icount), since a machine that has much
# else to do may not have run enough of them by its clock.
xl create -q hello.cfg
id=$(xl domid hello) || { tail -n 40 /var/log/xen/qemu-dm-hello*.log | sed 's/^/# /' && failed 'xl create' && checks_done; }
home=/local/domain/$id
model=$(xenstore-read "$home/image/device-model-domid")
matches 'its device model is a domain' '^[1-9][0-9]*$' "$model"
equal 'xl list has both' "hello hello-dm" "$(xl list | awk '/^hello/ { print $1 }' | sort | paste -sd ' ')"
says 'that domain has the guest for its target' "$id" xenstore-read "/local/domain/$model/target"
says 'QEMU there says that it runs' running xenstore-read "/local/domain/$model/device-model/$id/state"
equal 'no other QEMU serves the guest' '' "$(pgrep -f -- "xen-domid $id( |$)")"
becomes 120 'the guest boots from the disk that QEMU there serves' says_hello
matches 'its monitor answers through a vchan' 'VM status: running' "$(xl qemu-monitor-command hello 'info status')"

says 'rights: the device model wrote in its target'\''s name' "written by domain $model" xenstore-read "$home/data/model"
says 'rights: but not what its target may not write either' "/local/domain/0/name /local/domain/0/data $home/name" \
    xenstore-read "/local/domain/$model/data/refused"
says 'rights: dom0'\''s name is its own' Domain-0 xenstore-read /local/domain/0/name
says 'rights: so is the guest'\''s' hello xenstore-read "$home/name"

says 'shutdown: the power button' "Shutting down domain $id
PV control interface not available: sending ACPI power button event." xl shutdown -F hello
becomes 120 'shutdown: the guest goes off' gone
becomes 60 'nothing stays in the store, of it and of its device model' same_nodes /tmp/before
same_nodes /tmp/before || nodes | diff /tmp/before - | sed 's/^/# /'
equal 'nor has either of the domains a trace' '' "$(traces "$id" "$model")"
says 'nor does xl list either' '' sh -c "xl list | grep '^hello' || :"
checks_done
