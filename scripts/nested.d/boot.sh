# One boot of Xen in QEMU, from a work folder that holds its files, with a limit on its time.
# shellcheck shell=bash

# TCG's model of a processor Xen can use: SVM with nested paging is what PVH guests need. Left out, each
# because of what breaks with it: SMAP/SMEP (dom0 crashes in Xen's bounce frame), MONITOR (Xen's idle
# faults), RDTSCP (a Linux PVH guest dies on an intercepted RDTSCP).
TCG_CPU=EPYC,+svm,+npt,-smap,-smep,-monitor,-rdtscp

# eager-fpu: with Xen's lazy switching of the SSE registers, and TCG's XSAVE, dom0's programs find a guest's
# values in theirs, about once in six time slices. It shows as crashes of dom0's tools while a guest runs.
XEN_ARGS="console=com1 com1=115200,8n1 cpuidle=0 spec-ctrl=eager-fpu
    dom0_max_vcpus=1 guest_loglvl=all"

# A periodic interrupt, a hundred a second, which Xen only counts. On each exit of a guest, TCG clears a bit in the
# processor's interrupt requests without the lock that guards them. A bit that a device's thread sets at that moment is
# lost: the local APIC has an interrupt, and the processor does not look. If that was Xen's only timer, nothing sets it
# again, and all of the machine stands still. With the next interrupt the processor finds both.
# Only for a dom0 in memory: a whole Debian (--dom0 debian) is not up within ten minutes with it.
XEN_TICK=hpet=legacy-replacement
DOM0_ARGS="console=hvc0 earlyprintk=xen quiet"

# Fills QEMU with the command line. The first serial port is Xen's and dom0's console, the second the
# job's own channel.
qemu_command() {
    local accel=tcg cpu=$TCG_CPU
    case ${ACCEL:-tcg} in
        tcg) if ((ICOUNT)); then accel=tcg,thread=single; fi ;;
        kvm) accel=kvm cpu=host ;;
    esac
    local xen_args="$XEN_ARGS $XEN_TICK dom0_mem=${DOM0_MEMORY}M,max:${DOM0_MEMORY}M"
    QEMU=(qemu-system-x86_64 -accel "$accel" -cpu "$cpu" -smp "$CPUS" -m "$RAM"
        -nodefaults -no-user-config -display none -no-reboot
        -chardev file,id=console,path=console.log,append=on -serial chardev:console)
    case $DOM0 in
        debian) QEMU+=("${DEBIAN_DRIVES[@]}") ;;
        *) QEMU+=(-kernel xen -append "${xen_args//$'\n'/ }" -initrd "vmlinux $DOM0_ARGS,dom0.cpio") ;;
    esac
    # One guest nanosecond is one instruction: figures repeat whatever else the machine does.
    if ((ICOUNT)); then QEMU+=(-icount "shift=0,sleep=off"); fi
    if ((INTERACTIVE)); then
        # Ctrl-C and the like belong to the shell inside; Ctrl-A X is QEMU's own way out, should dom0 hang.
        QEMU+=(-chardev "stdio,id=job,mux=on,signal=off" -serial chardev:job -mon chardev=job)
    else
        QEMU+=(-serial stdio)
    fi
}

# Boots, passes the job's lines on to stdout, those of files that it hands out to handed-out/, and sets STATUS to
# the job's exit status, to "reboot" when the job wants another boot, or to "" when dom0 ended without either.
boot() {
    local line pid file=
    STATUS=
    qemu_command
    if ((SECOND)); then add_cable 1; fi
    if ((INTERACTIVE)); then
        ENDED_BY=0
        "${QEMU[@]}" 2>qemu.log || ENDED_BY=$?
        if ((ENDED_BY == 0)); then STATUS=0; fi
        return
    fi
    rm -f channel
    mkfifo channel
    mkdir -p handed-out
    # pdeathsig: even if this script is killed outright, no QEMU stays behind.
    setpriv --pdeathsig TERM bash "$here/limited.sh" "$LIMIT" "${QEMU[@]}" </dev/null >channel 2>qemu.log &
    pid=$!
    # shellcheck disable=SC2064  # this very process
    trap "kill $pid 2>/dev/null; exit 130" INT TERM
    while IFS= read -r line; do
        line=${line%$'\r'}
        case $line in
            'nested: ended '*) STATUS=${line##* } ;;
            'nested: reboot') STATUS=reboot ;;
            'nested: file ends') file= ;;
            'nested: file '*) file=handed-out/${line##*[ /]} ;;
            *) if [[ $file ]]; then printf '%s\n' "$line" >>"$file"; else printf '%s\n' "$line"; fi ;;
        esac
    done <channel
    ENDED_BY=0
    wait "$pid" || ENDED_BY=$?
    trap - INT TERM
}
