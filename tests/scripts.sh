#!/usr/bin/env bash
# Every script of scripts/ tells what it takes, and a mistake in one line: what is wrong and what is allowed. So do the
# scripts of tests/.
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# ok WHAT COMMAND...: the command succeeds.
ok() {
    if "${@:2}"; then echo "ok - $1"; else echo "not ok - $1" && failed=1; fi
}

# helps SCRIPT: also where nobody has said where home is, as in a service; to a user whose cd looks elsewhere first; and by a link.
helps() {
    ln -sf "$PWD/$1" "$scratch/link"
    [[ $(env -i PATH="$PATH" "$1" --help) == usage:* && $(CDPATH=.:.. "$1" --help) == usage:* && $("$scratch/link" --help) == usage:* ]]
}

# refuses SCRIPT: an argument that none of them knows.
refuses() {
    local said status=0
    said=$(env -i PATH="$PATH" CDPATH=.:.. "$1" --frob 2>&1 >/dev/null) || status=$?
    [[ $status == 2 && $said == *\'--frob\'*@(allowed|possible)* && $said != *$'\n'* ]] || {
        echo "# status $status: $said"
        return 1
    }
}

shopt -s extglob
for script in scripts/*; do
    [[ -f $script && -x $script ]] || continue
    ok "${script##*/}: --help" helps "$script"
    ok "${script##*/}: a mistake is one line" refuses "$script"
done
for script in tests/*.{sh,py} tests/observability/*.sh; do
    if [[ -x $script ]]; then ok "$script: a mistake is one line" refuses "$script"; fi
done

# machine FLAGS [MODULE NESTED]: the files of such a machine, for why_no_xen_in_kvm.
machine() {
    rm -rf "$scratch/machine"
    mkdir -p "$scratch/machine"/{dev,proc}
    printf 'model name\t: of a test\nflags\t\t: fpu %s nx\n' "$1" >"$scratch/machine/proc/cpuinfo"
    : >"$scratch/machine/dev/kvm"
    if [[ ${2:-} ]]; then
        mkdir -p "$scratch/machine/sys/module/$2/parameters"
        echo "$3" >"$scratch/machine/sys/module/$2/parameters/nested"
    fi
}
# tells_of_kvm PATTERN: what keeps Xen from that machine's KVM matches it.
tells_of_kvm() {
    local why
    why=$(. scripts/nested.d/machine.sh && why_no_xen_in_kvm "$scratch/machine")
    # shellcheck disable=SC2053  # a pattern
    [[ $why == $1 ]] || { echo "# $why" && return 1; }
}
machine 'sse svm_lock'
ok 'KVM without svm or vmx: is told' tells_of_kvm 'the processor shows neither svm nor vmx*'
machine 'sse svm' kvm_amd 0
ok 'KVM that keeps svm from guests: is told' tells_of_kvm '/sys/module/kvm_amd/parameters/nested is 0, *kvm_amd with nested=1'
machine 'vmx sse' kvm_intel N
ok 'KVM that keeps vmx from guests: is told' tells_of_kvm '/sys/module/kvm_intel/parameters/nested is N, *kvm_intel with nested=1'
for can in 'svm kvm_amd 1' 'vmx kvm_intel Y' svm; do
    # shellcheck disable=SC2086  # words
    machine $can
    ok "KVM that can nest ($can): nothing to tell" tells_of_kvm ''
done
rm "$scratch/machine/dev/kvm"
ok 'no KVM: is told' tells_of_kvm '/dev/kvm cannot be used here'

# nested_refuses PATTERN: a call of scripts/nested ends with one such line, before anything is fetched.
nested_refuses() {
    local said status=0
    said=$(NESTED_CACHE=$scratch/cache scripts/nested /dev/null 2>&1) || status=$?
    # shellcheck disable=SC2053
    [[ $status == 2 && $said == $1 && $said != *$'\n'* && ! -e $scratch/cache ]] || {
        echo "# status $status: $said"
        return 1
    }
}
if [[ $(. scripts/nested.d/machine.sh && why_no_xen_in_kvm) ]]; then
    ACCEL=kvm ok 'nested: says why ACCEL=kvm is not possible here' nested_refuses 'nested: ACCEL=kvm: *; ACCEL=tcg works everywhere'
fi
ACCEL=xvm ok 'nested: ACCEL it does not know' nested_refuses "nested: ACCEL=xvm is not known here; allowed: tcg, kvm"

# mistaken WORDS COMMAND...: one line that has the words, and status 2, before anything is done.
mistaken() {
    local said status=0
    said=$("${@:2}" 2>&1 >/dev/null) || status=$?
    [[ $status == 2 && $said == *"$1"* && $said != *$'\n'* ]] || { echo "# status $status: $said" && return 1; }
}
ok 'test: a job that there is not' mistaken 'allowed: attacks' scripts/test long frob
ok 'test: an option of long that there is not' mistaken 'allowed: --fresh, --save' scripts/test long --frob
ok 'test: an option of long without it' mistaken 'only the part long' scripts/test nested --fresh
ok 'isolation: too many attackers' mistaken 'allowed: 1 to 32' scripts/isolation --attackers 33
ok 'isolation: an attack that there is not' mistaken 'allowed: --save' scripts/isolation --attackers 8 frob
ok 'soak: minutes that are none' mistaken '--stalls before it' scripts/soak --stalls 0
ok 'test: a version that there is not' mistaken 'allowed: 4.17, 4.20' env XEN=9 scripts/test

# Nothing is built nor installed before a mistake is told: these would say so.
mkdir "$scratch/bin"
for program in cargo apt-get sudo rustup; do
    printf '#!/bin/sh\necho "$0 was called"\nexit 1\n' >"$scratch/bin/$program"
    chmod +x "$scratch/bin/$program"
done
unready() { env PATH="$scratch/bin:$PATH" NESTED_CACHE="$scratch/cache" "$@" </dev/null; }
for call in run 'soak 1' 'soak --stalls 1' isolation record bench observability conformance 'nested /dev/null' 'with-peer true' 'test nested'; do
    # shellcheck disable=SC2086  # words
    ok "$call: XEN=9 is told first" mistaken 'XEN=9 is not known here; allowed: 4.17, 4.20' unready env XEN=9 scripts/$call
    # shellcheck disable=SC2086  # words
    ok "$call: TMPDIR=/none is told first" mistaken 'cannot write to /none; TMPDIR=DIRECTORY' unready env TMPDIR=/none scripts/$call
done
for call in run 'soak 1' isolation record 'nested /dev/null'; do
    # shellcheck disable=SC2086  # words
    ok "$call: ACCEL=xvm is told first" mistaken 'ACCEL=xvm is not known here; allowed: tcg, kvm' unready env ACCEL=xvm scripts/$call
done
# Layers are checked by a tool that is built. Here each build says so, and leaves the tool as it is.
cp -r scripts "$scratch/scripts"
mkdir "$scratch/target"
printf '#!/bin/sh\necho "xs-layers: $4 is wrong" >&2\nexit 1\n' >"$scratch/target/xs-layers"
chmod +x "$scratch/target/xs-layers"
mkdir "$scratch/there"
# What a machine without them would be given first.
for program in qemu-system-x86_64 cc objcopy; do ln -s "$(type -P true)" "$scratch/there/$program"; done
for part in build-image build-tool nested; do printf '#!/bin/sh\necho "%s was called" >&2\n' "$part" >"$scratch/scripts/$part"; done
: >"$scratch/bad.layer"
run_tells() {
    local said status=0
    said=$(PATH=$scratch/there:$PATH "$scratch/scripts/run" --layers "$scratch/bad.layer" 2>&1 </dev/null) || status=$?
    [[ $status == 2 && $said == "build-tool was called"*"bad.layer is wrong"*"--layers $scratch/bad.layer: see above" && $said != *@(nested|image)' was called'* ]] || {
        echo "# status $status: $said"
        return 1
    }
}
ok 'run: layers that are wrong are told before the image is built' run_tells
# What cannot be written at the end is told at once.
: >"$scratch/job"
ok 'nested --log: a folder that there is not' mistaken '--log: cannot write the file /none/log' unready scripts/nested --log /none/log "$scratch/job"
ok 'nested --log: a folder' mistaken "--log: cannot write the file $scratch" unready scripts/nested --log "$scratch" "$scratch/job"
ok 'nested --out: below a file' mistaken '--out: cannot write to the folder /etc/passwd/out' unready scripts/nested --out /etc/passwd/out "$scratch/job"
ok 'record: a folder that there is not' mistaken 'FILE: cannot write the file /none/guest.txt' unready scripts/record /none/guest.txt
# Of more words than a script takes one is told. Each has its row but with-peer, whose words are a command.
MORE='
scripts/audit-image extra
scripts/audit-panics one two
scripts/bench --quick extra
scripts/build-image extra
scripts/build-tool extra
scripts/conformance --self-test extra
scripts/docs --check extra
scripts/fuzz 1 extra
scripts/install --dry-run extra
scripts/isolation indexes extra
scripts/nested /dev/null extra
scripts/observability --check extra
scripts/package extra
scripts/record one two
scripts/run extra
scripts/soak 1 extra
scripts/test host extra
tests/licences.sh --build extra
tests/readme.sh --slow extra
'
while read -r script words; do
    # shellcheck disable=SC2086  # words
    ok "$script $words: is told first" mistaken '' unready "$script" $words
done < <(grep . <<<"$MORE")
has_row() { grep -q "^$1 " <<<"$MORE"; }
for script in scripts/*; do
    if [[ -f $script && -x $script && $script != scripts/with-peer ]]; then ok "$script: more words were tried" has_row "$script"; fi
done

# read_only COMMAND...: in a checkout that nobody can write to.
read_only() {
    # shellcheck disable=SC2016  # of the shell within
    unshare -rm bash -c 'mount --bind -o ro . . && cd "$PWD" && exec "$@"' bash "$@"
}
for call in scripts/{audit-panics,bench,build-image,build-tool,conformance,docs,isolation,observability,package,record,run,'soak 1',test} \
    tests/{clients,failing-images,licences,linux-machine,monitoring,other-image,package,readme,observability/top}.sh; do
    # shellcheck disable=SC2086  # words
    ok "$call: a checkout that cannot be written to" mistaken "cannot write to $PWD/target" read_only $call
done
# without_target COMMAND...: in a checkout in which nothing was built yet.
without_target() {
    # shellcheck disable=SC2016  # of the shell within
    unshare -rm bash -c 'mount -t tmpfs none target && exec "$@"' bash "$@"
}
for script in scripts/audit-image scripts/install tests/failing-images.sh tests/package.sh; do
    ok "$script: nothing was built yet" mistaken "build" without_target "$script"
done
for call in run nested; do
    ok "$call --shell without a terminal is told first" mistaken '--shell wants a terminal' unready "scripts/$call" --shell
done

# Each tool that takes options tells the one version of all.
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
tells_version() { [[ $(cargo run --quiet -p "$1" --bin "$1" -- --version) == "$1 $version" ]]; }
for tool in unix_server xs-state xs-trace xs-layers bench scale conformance load worst; do ok "$tool: --version" tells_version "$tool"; done

# unread COMMAND...: with a standard output that nobody reads any more, it ends without a word.
unread() {
    local said status=0 pipe
    exec {pipe}> >(:)
    wait "$!"
    said=$("$@" 2>&1 >&"$pipe") || status=$?
    exec {pipe}>&-
    [[ ($status == 0 || $status == 141) && ! $said ]] || { echo "# status $status: $said" && return 1; }
}
# full COMMAND...: with a standard output that takes nothing, it says so in one line.
full() {
    local said status=0
    said=$("$@" 2>&1 >/dev/full) || status=$?
    [[ $status != 0 && $said == *'No space left'* && $said != *$'\n'* ]] || { echo "# status $status: $said" && return 1; }
}
for script in scripts/*; do
    [[ -f $script && -x $script ]] || continue
    ok "$script: nobody reads its help" unread "$script" --help
    ok "$script: its help finds no room" full "$script" --help
done
ok 'install --version: nobody reads' unread scripts/install --version
ok 'install --version: finds no room' full scripts/install --version
tools=()
for main in examples/*/main.rs; do
    tools+=("$(sed -n 's/^name = "\(.*\)"$/\1/p' "${main%main.rs}Cargo.toml" | head -n 1)")
done
cargo build --quiet "${tools[@]/#/--package=}"
for tool in "${tools[@]}"; do
    ok "$tool: nobody reads its help" unread "target/debug/$tool" --help
    ok "$tool: its help finds no room" full "target/debug/$tool" --help
done
# explains TOOL: each option and value of each of its tasks has words beside it, and is no filter unless it filters.
explains() {
    local task tasks help bare=''
    mapfile -t tasks < <("$1" --help | awk '/^Commands:/ { inside = 1; next } /^$/ { inside = 0 } inside { print $1 }')
    ((${#tasks[@]})) || return 1
    for task in "${tasks[@]}"; do
        help=$("$1" "$task" -h)
        bare+=$(awk -v task="$task" '/^Filters:/ { inside = 1 } /^$/ { inside = 0 }
            /^ +[-<[]/ && !/[^ ]  +[A-Z]/ || inside && /<FILE>|--json/ { print task ":" $0 }' <<<"$help")
    done
    [[ ! $bare ]] || { echo "# $bare" && return 1; }
}
for tool in xs-trace xs-state xs-layers; do ok "$tool: its help explains each option" explains "target/debug/$tool"; done
# figures COMMAND...: of one that reads figures.
figures() { "$@" <<<'{"table": 1, "row": "READ", "column": "this server", "value": 1.0, "unit": "instructions"}'; }
counted() { "$@" <<<'read 1    : avg: 79762 ns (79390 ns .. 86341 ns)'; }
for judge in unread full; do
    ok "bench report: $judge" figures "$judge" target/debug/bench report
    ok "bench counted: $judge" counted "$judge" target/debug/bench counted column
    ok "scale memory: $judge" "$judge" target/debug/scale memory
    ok "conformance --version: $judge" "$judge" target/debug/conformance --version
done

# records_to FILE: scripts/record does, with programs in the place of what takes long.
records_to() {
    local tree=$scratch/tree
    mkdir -p "$tree/scripts"
    cp -r scripts/record scripts/nested.d "$tree/scripts/"
    printf '#!/bin/sh\n' >"$tree/scripts/build-image"
    printf '#!/bin/sh\nwhile [ "$1" != --log ]; do shift; done; echo "dom0 of a test" >"$2"\n' >"$tree/scripts/nested"
    mkdir -p "$scratch/record"
    printf '#!/bin/sh\nexec cat\n' >"$scratch/record/cargo"
    chmod +x "$tree"/scripts/{build-image,nested} "$scratch/record/cargo"
    PATH=$scratch/record:$PATH "$tree/scripts/record" "$1" 2>/dev/null
}
# What is no file, as /dev/null, stays; here a pipe stands for it.
mkfifo "$scratch/pipe"
cat "$scratch/pipe" >"$scratch/read" &
reads_pipe=$!
ok 'record: to what is no file' records_to "$scratch/pipe"
kill "$reads_pipe" 2>/dev/null || wait "$reads_pipe"
ok 'record: which stays' test -p "$scratch/pipe"
ok 'record: and has all of it' grep -qx 'dom0 of a test' "$scratch/read"

# build_with WORD...: scripts/build-image in a tree of its own, with a cargo that only notes its flags, for a user who has flags, a folder
# and a target for programs of his own; his configuration has CONFIGURED as the target.
build_with() {
    local tree=$scratch/own
    mkdir -p "$tree/scripts" "$tree/bin"
    cp -r scripts/build-image scripts/nested.d "$tree/scripts/"
    # shellcheck disable=SC2016  # of the program
    printf '%s\n' '#!/bin/sh' 'place=$CARGO_TARGET_DIR/${CARGO_BUILD_TARGET-$CONFIGURED}/image' 'mkdir -p "$place"' \
        'printf %s "$CARGO_ENCODED_RUSTFLAGS" >"$CARGO_TARGET_DIR/flags"' \
        'for program in xenstore-stubdom xs-guest; do cp /bin/true "$place/$program"; done' >"$tree/bin/cargo"
    printf '#!/bin/sh\necho host: x86_64-unknown-linux-gnu\n' >"$tree/bin/rustc"
    chmod +x "$tree"/bin/*
    env -u CARGO_TARGET_DIR PATH="$tree/bin:$PATH" RUSTFLAGS='-D warnings' "$@" "$tree/scripts/build-image" 2>&1
}
flags_are() { build_with CARGO_BUILD_TARGET=other >/dev/null && grep -qxs -- "$1" "$scratch/own/target/flags"; }
ok 'build-image: its own flags, whatever the user has' flags_are -Cno-redzone=yes
# The build before has left an image where this one's would be.
built_elsewhere() { ! build_with CONFIGURED=other >"$scratch/said" && grep -q 'another target' "$scratch/said"; }
ok 'build-image: takes no image of an earlier build for this one' built_elsewhere

# cache_is WANTED: what a script takes for the cache folder, whatever folder it goes to.
cache_is() { [[ $(cd "$scratch" && . "$OLDPWD/scripts/nested.d/messages.sh" && cd / && echo "$CACHE") == "$1" ]]; }
NESTED_CACHE='my cache' ok 'NESTED_CACHE is a folder beside the caller' cache_is "$scratch/my cache"
NESTED_CACHE='' XDG_CACHE_HOME=/xdg ok 'else it is in XDG_CACHE_HOME' cache_is /xdg/xenstore-stubdom
NESTED_CACHE='' XDG_CACHE_HOME='' HOME=/home/me ok 'or in ~/.cache' cache_is /home/me/.cache/xenstore-stubdom

for call in 'nested --fetch' 'nested --dom0 full --fetch' 'with-peer true'; do
    # shellcheck disable=SC2086  # words
    ok "$call: a cache folder that cannot be written to" mistaken 'cannot write to /proc/none, where' env NESTED_CACHE=/proc/none scripts/$call
done
for call in 'with-peer true' conformance; do
    # shellcheck disable=SC2086  # words
    ok "$call: a cache folder that the loader cannot name" mistaken 'NESTED_CACHE chooses another' env NESTED_CACHE="$scratch/my cache" scripts/$call
done

# A round of a soak tells two numbers of each 50 answers: of so few the 99th percentile is the longest.
tells_of_soak() {
    grep -q '^[0-9]* s, round [0-9]*: .*; dom0 waits [0-9]* us, [0-9]* us (median, longest)$' docs/soak.log &&
        ! grep 'dom0 waits [0-9]* us' docs/soak.log | grep -v '(median, longest)$' && grep -qF '(median, longest)"' scripts/nested.d/jobs/soak.sh
}
ok 'docs/soak.log: is of what the job tells' tells_of_soak

# Without a network what is missing is told in one line of ours, below apt's own, and nothing is left but a lock.
unreachable() {
    local said status=0 left
    said=$(NESTED_CACHE=$scratch/empty unshare -rn "$@" 2>&1 </dev/null) || status=$?
    left=$(find "$scratch/empty" -mindepth 1 ! -name '*.lock' ! -name 'standin-*.so')
    [[ $status == 2 && ${said##*$'\n'} == *": apt could not read Debian bookworm's package list"* && ! $left ]] && [[ $said != *unexpected* ]] ||
        { echo "# status $status: $said; left: $left" && return 1; }
}
# What the machine itself must have is there before.
(. scripts/nested.d/messages.sh && . scripts/nested.d/machine.sh && need xz=xz-utils zstd=zstd depmod=kmod cc=gcc)
ok 'nested: no network is told' unreachable env XEN=4.17 scripts/nested --fetch
ok 'nested: nor for the full dom0' unreachable env XEN=4.17 scripts/nested --dom0 full --fetch
ok 'with-peer: a program that there is not' mistaken "no program 'frob' here" scripts/with-peer frob
ok 'with-peer: no network is told' unreachable env XEN=4.17 scripts/with-peer true
exit "$failed"
