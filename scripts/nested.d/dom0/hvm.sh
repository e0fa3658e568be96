# What jobs use that have HVM guests with a device model, after lib.sh, check.sh and guests.sh. Needs --dom0 full.

# boot_sector: the first 512 bytes of a disk, on stdout. It says hello on the first serial port, and then looks at each
# tick of the timer whether a button was pressed: the power button has it go off by ACPI, the sleep button has it
# reset the machine through the keyboard's controller. hvmloader puts ACPI's registers at 0xb000.
boot_sector() {
    printf '\372\061\300\216\330'                 #    cli; xor %ax,%ax; mov %ax,%ds
    printf '\272\370\003\276\062\174'             #    mov $0x3f8,%dx; mov $text,%si
    printf '\254\204\300\164\003\356\353\370'     # 1: lodsb; test %al,%al; je 2f; out %al,(%dx); jmp 1b
    printf '\373\364\272\000\260\355'             # 2: sti; hlt; mov $0xb000,%dx; in (%dx),%ax
    printf '\366\304\002\165\016\366\304\001\164\360' # test $2,%ah; jne 3f; test $1,%ah; je 2b
    printf '\272\004\260\270\000\040\357\353\347' #    mov $0xb004,%dx; mov $0x2000,%ax; out %ax,(%dx); jmp 2b
    printf '\260\376\346\144\353\341'             # 3: mov $0xfe,%al; out %al,$0x64; jmp 2b
    printf 'hello from a boot sector\r\n'         # text, ended by one of the zeros
    dd if=/dev/zero bs=434 count=1 2>/dev/null
    printf '\125\252'
}

# device_model NAME: what the store says of the state of the domain's device model.
device_model() { xenstore-read "/local/domain/0/device-model/$(xl domid "$1")/state"; }

# nodes: the store's nodes and who may see them, without the folders that a host keeps for good after its first guest.
nodes() { xenstore-ls -fp | sed 's/ = .*   (/ (/' | grep -vE '^(/vm|/libxl|/local/domain/0/(device-model|backend(/[a-z]+)?)) \('; }

# same_nodes FILE: they are as they were.
same_nodes() { nodes | cmp -s "$1" -; }

# make_hvm_guest NAME: as make_commands_guest, but an HVM guest. QEMU hands kernel and initrd to it word by word, so both
# are the smallest that the kernel itself can unpack.
make_hvm_guest() {
    make_commands_guest "$1"
    gzip "/tmp/guest-$1.initrd"
    sed -i "s|^type.*|type = \"hvm\"|; s|^memory.*|memory = 160|; s|^kernel.*|kernel = \"/nested/guest-vmlinuz\"|
        s|^ramdisk.*|ramdisk = \"/tmp/guest-$1.initrd.gz\"|" "$1.cfg"
    cat >>"$1.cfg" <<'CONFIG'
serial = "pty"
vga = "none"
CONFIG
}

# copy_modules FOLDER MODULE...: these of dom0's modules, with what they depend on, numbered in the order to insert them.
copy_modules() {
    local to="$1" number=10 file
    shift
    mkdir -p "$to"
    for file in $(modprobe -a --show-depends "$@" | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'); do
        cp "$file" "$to/$number-${file##*/}"
        number=$((number + 1))
    done
}

# guest_modules NAME FOLDER MODULE...: as copy_modules, into /modules/FOLDER of the guest.
guest_modules() {
    local root="/tmp/guest-$1" folder="$2"
    shift 2
    copy_modules "$root/modules/$folder" "$@"
    (cd "$root" && find modules | cpio -o -H newc 2>/dev/null) | gzip -c >>"$root.initrd.gz"
}
