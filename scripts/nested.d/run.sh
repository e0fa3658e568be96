# One run: checks what was asked, fills a work folder, boots it, and says how it ended.
# shellcheck shell=bash

# check_request JOB...: every mistake an operator can make, before anything is fetched.
check_request() {
    local file
    case $SERVER in
        stubdom | daemon | oxenstored | none) ;;
        *) die "no server '$SERVER'; allowed: stubdom, daemon, oxenstored, none" ;;
    esac
    choose_dom0
    check_machine
    if ((SECOND)) && [[ $DOM0 != full ]]; then die "--second wants --dom0 full, the kind of dom0 that joins the network"; fi
    if ((FETCH_ONLY)); then return 0; fi
    if ((INTERACTIVE)); then
        (($# == 0)) || die "--shell takes no job"
        check_terminal
    else
        (($# > 0)) || die "no job given; see --help"
        [[ -f $1 ]] || die "no such job: $1"
    fi
    if [[ $SERVER == stubdom && ! -f $IMAGE ]]; then
        die "no image at $IMAGE: build it with scripts/build-image, or choose --server daemon"
    fi
    if ((WITH_TOOLS)) && [[ $DOM0 == debian ]]; then die "--tools is for the kinds of dom0 that are in memory: small, full"; fi
    for file in "${ADD[@]}"; do
        [[ -f ${file%%:*} ]] || die "no such file: ${file%%:*}"
    done
}

# Sets what follows from the kind of dom0: DOM0_MEMORY and, unless the call names them, RAM, in MiB, and LIMIT.
choose_dom0() {
    case $DOM0 in
        small) RAM=${RAM:-1500} DOM0_MEMORY=768 ;;
        full) RAM=${RAM:-$FULL_RAM} DOM0_MEMORY=$FULL_DOM0_MEMORY ;;
        debian)
            RAM=${RAM:-$DEBIAN_RAM} DOM0_MEMORY=$DEBIAN_DOM0_MEMORY LIMIT=${LIMIT:-$DEBIAN_LIMIT}
            ((START)) && [[ $SERVER != none ]] ||
                die "--dom0 debian starts its store as such a host does; only the others know --no-start and --server none"
            ;;
        *) die "no dom0 '$DOM0'; allowed: small, full, debian" ;;
    esac
    LIMIT=${LIMIT:-180}
}

# Rows and columns for the shell's side of the serial line, which cannot ask for them.
terminal_size() {
    if ((INTERACTIVE)); then stty size </dev/tty | awk '$1 > 0 { print "rows " $1 " columns " $2 }'; fi
}

# stub_args: what init-xenstore-domain is called with, a word to a line. The emulator is some 50 times as slow as a
# processor, and where its clock is the host's, guests may use as much more of the store's time.
stub_args() {
    local words=("${STUB_ARGS[@]}") n
    if ((!ICOUNT)) && [[ ${ACCEL:-tcg} == tcg ]]; then
        for ((n = 1; n < ${#words[@]}; n++)); do
            if [[ ${words[n - 1]} == --param ]]; then words[n]+=,--budget=50000 && break; fi
        done
        if ((n >= ${#words[@]})); then words+=(--param --budget=50000); fi
    fi
    if ((${#words[@]})); then printf '%s\n' "${words[@]}"; fi
}

# fill_work JOB...: the boot's files. Archives of one kernel are simply joined; later ones add to earlier.
fill_work() {
    local overlay=$WORK/overlay item file path
    mkdir -p "$overlay/nested" "$overlay/root"
    cp "$here"/dom0/* "$overlay/nested/"
    mv "$overlay/nested/init" "$overlay/init"
    printf '%s\n' "XEN=$XEN" "SERVER=$SERVER" "START=$START" "INTERACTIVE=$INTERACTIVE" "TERMINAL='$(terminal_size)'" \
        "STUBDOM_MEMORY=$MEMORY" >"$overlay/nested/settings"
    stub_args >"$overlay/nested/stub-args"
    if (($#)); then cp "$1" "$overlay/nested/job"; fi
    if [[ $SERVER == stubdom ]]; then cp "$IMAGE" "$overlay/nested/image"; fi
    for item in "${ADD[@]}"; do
        file=${item%%:*}
        path=nested/$(basename "${file%.c}")
        if [[ $item == *:* ]]; then path=${item#*:}; fi
        mkdir -p "$overlay/$(dirname "$path")"
        case $file in
            # Static, since dom0's libraries are of another release than ours.
            *.c) cc -O2 -Wall -static -o "$overlay/$path" "$file" || die "$file does not compile; see above" ;;
            *) cp "$file" "$overlay/$path" ;;
        esac
    done
    if ((GUESTS)); then
        mkdir -p "$WORK/guest/nested"
        cp -r "$here"/guest/* "$WORK/guest/"
        cp "$here"/dom0/{check,ask}.sh "$WORK/guest/nested/"
        archive "$WORK/guest" | cat "$STOCK/guest.cpio" - >"$overlay/nested/guest-initrd"
        cp "$STOCK/vmlinux" "$overlay/nested/guest-kernel"
        if [[ -e $STOCK/vmlinuz ]]; then cp "$STOCK/vmlinuz" "$overlay/nested/guest-vmlinuz"; fi
    fi
    case $DOM0 in
        debian) add_disks "$here/.." "$overlay" "$WORK" ;;
        *) archive "$overlay" | cat "$STOCK/dom0.cpio" - >"$WORK/dom0.cpio" ;;
    esac
    rm -r "$overlay"
    ln -s "$STOCK/xen" "$STOCK/vmlinux" "$WORK/"
}

run_nested() {
    check_request "$@"
    need qemu-system-x86_64=qemu-system-x86
    if [[ " ${ADD[*]}" == *.c* ]]; then need cc=gcc; fi
    case $DOM0 in
        small) prepare_stock "$here" ;;
        full) prepare_full_stock "$here" ;;
        # Its guests are the small dom0's.
        debian) need qemu-img=qemu-utils && prepare_stock "$here" && prepare_debian "$here" ;;
    esac
    BUSYBOX=$STOCK/busybox
    if ((WITH_TOOLS)); then prepare_tools "$here"; fi
    if ((FETCH_ONLY)); then exit 0; fi

    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    fill_work "$@"
    if ((WITH_TOOLS)); then cat "$TOOLS" >>"$WORK/dom0.cpio"; fi
    cd "$WORK"
    say "booting Xen $XEN, store: $SERVER"
    if ((SECOND)); then start_second; fi
    boot
    while [[ $STATUS == reboot && $ENDED_BY == 0 ]]; do
        say "the host reboots"
        boot
    done
    if ((SECOND)); then stop_second; fi
    if [[ $LOG ]]; then cp console.log "$LOG"; fi
    if [[ $OUT ]]; then keep_files; fi
    report
}

# The files that the job has handed out.
keep_files() {
    local file
    mkdir -p "$OUT"
    for file in handed-out/*; do
        [[ -e $file ]] || continue
        base64 -d "$file" | gunzip >"$OUT/${file##*/}" || die "the job's file ${file##*/} did not arrive whole"
    done
}

report() {
    if [[ $STATUS =~ ^[0-9]+$ ]]; then
        if ((STATUS)); then say "the job ended with status $STATUS${LOG:+; console: $LOG}"; fi
        exit "$STATUS"
    fi
    {
        echo "---- the console's last lines"
        tail -n 40 console.log
        cat qemu.log
        echo "----"
    } >&2
    if ((ENDED_BY == 124)); then
        say "no end after $LIMIT s (--limit); stopped"
        exit 124
    fi
    say "dom0 ended without a status"
    exit 125
}
