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
        { "${apt[@]}" update >&2 &&
            "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null; } ||
        die "could not install ${missing[*]}; see apt's message above"
}
