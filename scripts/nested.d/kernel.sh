# The plain ELF kernel out of Debian's vmlinuz. Xen and its domain builder would unpack a vmlinuz
# themselves, under emulation and again for each guest; here it is done once, at native speed.
# shellcheck shell=bash

# number FILE OFFSET SIZE: a little-endian field of the file.
number() { od -An -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '; }

# vmlinux_of VMLINUZ: the ELF file, on stdout. Fields: Linux' Documentation/x86/boot.rst, protocol 2.08.
vmlinux_of() {
    local file=$1 setup_sects offset length magic
    setup_sects=$(number "$file" $((0x1f1)) 1)
    offset=$(((setup_sects + 1) * 512 + $(number "$file" $((0x248)) 4)))
    length=$(number "$file" $((0x24c)) 4)
    # The payload ends in four bytes of size, which xz and zstd take for a damaged second stream.
    length=$((length - 4))
    magic=$(od -An -t x1 -j "$offset" -N 4 "$file" | tr -d ' ')
    case $magic in
        fd377a58) payload "$file" "$offset" "$length" | xz -dc ;;
        28b52ffd) payload "$file" "$offset" "$length" | zstd -dc ;;
        *) die "${file##*/}: payload of an unknown kind ($magic)" ;;
    esac
}

payload() { dd if="$1" bs=1M iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none; }
