# The few programs that must be installed on the machine itself; everything else stays in our cache.
# shellcheck shell=bash

# need PROGRAM=PACKAGE...: installs the packages whose program is not on PATH.
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    ((${#missing[@]})) || return 0

    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || die "missing here: ${missing[*]}; as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    say "installing ${missing[*]}"
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
    # A fresh machine has no package lists; a used one has them and need not wait for new ones.
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 ||
        { "${apt[@]}" --error-on=any update >&2 &&
            "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null; } ||
        die "could not install ${missing[*]}; see apt's message above"
}

# check_temporary: that there is a place for what nobody keeps.
check_temporary() {
    local folder=${TMPDIR:-/tmp}
    [[ -d $folder && -w $folder ]] || die "cannot write to $folder; TMPDIR=DIRECTORY names another folder for what is temporary"
}

# check_machine: what a call may say of the machine by its environment, so that a mistake is told before anything is built.
check_machine() {
    local reason
    check_temporary
    # shellcheck disable=SC2153  # of release.sh
    [[ " $XEN_VERSIONS " == *" ${XEN:-4.17} "* ]] || die "XEN=$XEN is not known here; allowed: ${XEN_VERSIONS// /, }"
    case ${ACCEL:-tcg} in
        tcg) ;;
        kvm)
            reason=$(why_no_xen_in_kvm)
            [[ -z $reason ]] || die "ACCEL=kvm: $reason; ACCEL=tcg works everywhere"
            ;;
        *) die "ACCEL=$ACCEL is not known here; allowed: tcg, kvm" ;;
    esac
}

# check_terminal: that somebody can type into a shell.
check_terminal() { [[ -t 0 && -t 1 ]] || die "--shell wants a terminal; give a job instead"; }

# why_no_xen_in_kvm [ROOT]: what keeps Xen from running under this machine's KVM; nothing if nothing is known to. Xen's own
# guests need a processor that virtualizes: KVM must have such a one and pass it on. ROOT is where /proc and so on are.
why_no_xen_in_kvm() {
    local root=${1:-} flag module nested
    [[ -w $root/dev/kvm ]] || { echo '/dev/kvm cannot be used here' && return; }
    flag=$(grep -m 1 '^flags' "$root/proc/cpuinfo" | grep -woE 'svm|vmx' | head -n 1) || :
    case $flag in
        svm) module=kvm_amd ;;
        vmx) module=kvm_intel ;;
        *) echo 'the processor shows neither svm nor vmx in /proc/cpuinfo, and Xen needs one for its guests' && return ;;
    esac
    nested=$root/sys/module/$module/parameters/nested
    if [[ -e $nested && $(<"$nested") != [1Y]* ]]; then
        echo "${nested#"$root"} is $(<"$nested"), so guests cannot have $flag; load $module with nested=1"
    fi
}
