# `--check` of the install script: whether this host can have the image as its store. Each line is `ok: …`, or `wrong: …` with
# what to do. Nothing is changed.
# shellcheck shell=bash
# shellcheck disable=SC2154  # what the install script has set

# Below this version Xen lacks what the image is built on.
XEN_MAJOR_MIN=4 XEN_MINOR_MIN=17
# MiB that Xen takes for a domain beside its memory: its tables, and those of hardware-assisted paging.
DOMAIN_OVERHEAD=4
# Domains that two-level event channels suffice for.
TWO_LEVEL_DOMAINS=4,090

WRONG=0
fine() { tell "ok: $*"; }
wrong() {
    tell "wrong: $*"
    WRONG=1
}

# bounded COMMAND...: a store that hangs must not keep this waiting.
bounded() { timeout 10 "$@" 2>&1 </dev/null; }

# fact NAME: the line of `xl info` that has this name.
fact() { sed -n "s/^$1 *: *//p" <<<"$INFO"; }

check_xen() {
    local major minor
    major=$(fact xen_major) minor=$(fact xen_minor)
    if ! [[ $major.$minor =~ ^[0-9]+\.[0-9]+$ ]]; then
        wrong 'xl info does not say which Xen this is; take the xl of that Xen'
    elif ((major > XEN_MAJOR_MIN || (major == XEN_MAJOR_MIN && minor >= XEN_MINOR_MIN))); then
        fine "Xen $major.$minor"
    else
        wrong "Xen $major.$minor: the image needs $XEN_MAJOR_MIN.$XEN_MINOR_MIN or later; install a newer Xen"
    fi
}

check_paging() {
    local caps
    caps=" $(fact virt_caps) "
    if [[ $caps == *' hap '* ]]; then
        fine 'hardware-assisted paging'
    elif [[ $caps == *' hvm '* ]]; then
        wrong 'no hardware-assisted paging: see that the processor has EPT or NPT, and that Xen was not booted with hap=0'
    else
        wrong 'no hardware virtualization: switch VT-x or AMD-V on in the firmware'
    fi
}

# What guests hold now is free at boot, before any of them is there.
check_memory() {
    local want=$((MEMORY + DOMAIN_OVERHEAD)) free guests
    free=$(fact free_memory)
    guests=$(bounded xl list | awk 'NR > 1 && NF >= 6 && $1 != "Domain-0" { sum += $(NF - 3) } END { print sum + 0 }') || guests=0
    if [[ " $(fact xen_commandline)" != *' dom0_mem='* ]]; then
        wrong "memory: dom0 gets nearly all of it at boot; put dom0_mem=, such as dom0_mem=4G,max:4G, on Xen's command line"
    elif ((free + guests >= want)); then
        fine "memory: $free MiB are free and $guests MiB guests', of which the store takes $MEMORY"
    else
        wrong "memory: $free MiB are free and $guests MiB guests', and the store wants $want: give dom0 less by dom0_mem= on Xen's command line"
    fi
}

# Xen itself does not say; dom0's kernel does when it boots.
check_channels() {
    local said
    said=$(bounded dmesg | grep -oE 'xen:events: Using (FIFO|2-level)' | tail -n 1) || :
    case $said in
        *FIFO) fine 'event channels: FIFO, enough for as many domains as Xen can have' ;;
        *2-level) fine "event channels: two-level in dom0; if Xen has no FIFO ones either, enough for $TWO_LEVEL_DOMAINS domains" ;;
        *) fine "event channels: dom0's kernel log no longer says which; if two-level, enough for $TWO_LEVEL_DOMAINS domains" ;;
    esac
}

# dom0's kernel is what its programs will reach the store by, when no daemon has a socket.
check_device() {
    local device
    for device in /dev/xen/xenbus /proc/xen/xenbus; do
        if [[ -e $device ]]; then fine "dom0 reaches a store by $device" && return; fi
    done
    wrong "neither /dev/xen/xenbus nor /proc/xen/xenbus: load dom0's modules of Xen (modprobe xenfs; mount -t xenfs xenfs /proc/xen)"
}

# The store that serves now stays until the host boots; a second one beside it would be the end of both.
check_store() {
    local daemons domid
    daemons=$(bounded pgrep -c -x 'o?xenstored') || daemons=0
    domid=$(bounded xenstore-read /tool/xenstored/domid) || domid=
    [[ $domid =~ ^[1-9][0-9]*$ ]] || domid=
    if ((daemons > 1)) || { ((daemons)) && [[ $domid ]]; }; then
        wrong "two stores run: $daemons daemon$( ((daemons == 1)) || echo s)${domid:+ and domain $domid}; let only one of them be started, and boot"
    elif ! bounded xenstore-exists /tool >/dev/null; then
        wrong 'the store that runs does not answer within 10 s; mend that first, or boot'
    elif [[ $domid ]]; then
        fine "the store that runs is domain $domid, and stays until the host boots"
    else
        fine "the store that runs is a daemon in dom0, and stays until the host boots"
    fi
}

# check_that WHAT COMMAND...: one of the install script's own checks, which end the shell that they refuse in, or that the system
# lets down. Sets HOLDS. In a condition nothing would end there.
check_that() {
    local why
    set +e
    why=$(set -e && "${@:2}" 2>&1 >/dev/null)
    HOLDS=$((! $?))
    set -e
    why=${why##*$'\n'}
    if ((HOLDS)); then fine "$1"; else wrong "${why#"$NAME: "}"; fi
}

# Sets WRONG if anything is.
check_host() {
    choose_image
    check_that "the image $IMAGE" check_image
    check_that 'the host starts its store in a way that is known, and its settings can be changed' check_files
    if ((HOLDS)); then
        check_files
        choose_memory
    fi
    : "${MEMORY:=$MEMORY_MIN}"
    if [[ ${MAXMEM#none} ]]; then check_that "it may grow from $MEMORY to $MAXMEM MiB" check_growth; fi
    case $LAYERS in
        none) ;;
        '') if has_layers; then check_that 'the layers that are set already' choose_layers; fi ;;
        *) check_that "the layers $LAYERS" choose_layers ;;
    esac
    if [[ $ROOT ]]; then
        fine "$ROOT is not the host that runs here, whose Xen, memory and store were not looked at"
    elif ! command -v xl >/dev/null; then
        wrong "no xl here: install Xen's tools, and look again in dom0 of a host that Xen has booted"
    elif ! INFO=$(bounded xl info); then
        wrong "xl info: ${INFO##*$'\n'}: be root in dom0 of a host that Xen has booted"
    else
        check_xen
        check_paging
        check_memory
        check_channels
        check_device
        check_store
    fi
}
