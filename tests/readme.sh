#!/usr/bin/env bash
# Every command that README.md and docs/ have their reader type does what it should: here, or in the test named for it.
# shellcheck source-path=SCRIPTDIR/../scripts
# shellcheck disable=SC2016  # words of the pages
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
trap 'echo "not ok - unexpected failure at line $LINENO: $BASH_COMMAND"' ERR

usage() {
    cat <<'TEXT'
usage: tests/readme.sh [--slow | --slow=COMMAND]
Runs the quick ones of all commands in README.md and docs/, and looks for each of the others in the test that runs it.
  --slow           runs those that take minutes, and write pages, in a copy of this checkout: some two hours
  --slow=COMMAND   only this one of them
TEXT
}

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
checkout=$PWD
# shellcheck source=peers.d/prepare.sh
. "$PWD/scripts/peers.d/prepare.sh"
# shellcheck source=peers.d/daemon.sh
. scripts/peers.d/daemon.sh
# shellcheck source=../tests/typed.sh
. tests/typed.sh

XEN=${XEN:-4.17} failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/readme.XXXXXX")
trap 'tmux -S "$work/tmux" kill-server 2>/dev/null || :; jobs -p | xargs -r kill 2>/dev/null || :; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# ok WHAT COMMAND...: the command succeeds.
ok() {
    if "${@:2}"; then echo "ok - $1"; else echo "not ok - $1" && failed=1; fi
}
# quietly COMMAND...: what it says is shown if it fails.
quietly() { "$@" >"$work/said" 2>&1 </dev/null || { tail -n 30 "$work/said" && return 1; }; }

# Where each command is tried: `here`, below; `slow`, by --slow; `by hand`, what wants the source of Xen and a Xen built
# with XSM, neither of which Debian has; else a file, and the words there that run it or one like it. A star stands for
# the rest. What makes the reader root or says where he is has been left out.
TRIED=$(
    cat <<'TABLE'
scripts/run => slow
scripts/run --shell => slow
scripts/test => .ci/run: scripts/test
scripts/test host => scripts/test: host_part
scripts/test long => tests/scripts.sh: scripts/test long
scripts/test long --save => tests/runner.sh: save_table page.md
scripts/test long network migration => tests/scripts.sh: scripts/test long
scripts/nested --guests tests/nested/guests.sh => scripts/test.d/jobs.sh: scripts/nested
scripts/nested --server daemon JOB => scripts/test.d/jobs.sh: --server "$server"
cargo test => scripts/test: step host-tests cargo test
cargo test NAME => scripts/test: step host-tests cargo test
cargo run --release -p unix_server SOCKET => here
scripts/build-image => scripts/test: step image scripts/build-image
scripts/build-tool => scripts/test: step tool scripts/build-tool
scripts/package => scripts/test: step package scripts/package
scripts/docs => scripts/test: step docs scripts/docs --check
scripts/audit-image => scripts/test: step audit scripts/audit-image
scripts/audit-panics => scripts/test: step panics scripts/audit-panics
scripts/conformance => scripts/test: scripts/conformance
scripts/fuzz SECONDS => scripts/test: step fuzzing scripts/fuzz 30
scripts/observability => slow
scripts/bench => slow
scripts/bench --quick => slow
scripts/bench --save => slow
cargo bench => slow
cargo install --path examples/xs-trace => slow
scripts/isolation => slow
scripts/isolation --save => slow
scripts/record => slow
scripts/soak MINUTES => slow
scripts/soak 20 => slow
scripts/soak --stalls 60 => slow
scripts/soak => scripts/test: scripts/nested.d/jobs/soak.sh
scripts/nested JOB => scripts/test.d/jobs.sh: scripts/nested
scripts/nested --server daemon JOB => scripts/test.d/jobs.sh: --server "$server"
scripts/with-peer COMMAND => here
cargo build --release -p unix_server => here
cargo run --release -p unix_server /tmp/xs.sock & => here
export XENSTORED_PATH=/tmp/xs.sock => here
until xenstore-write /hello world; do sleep 1; done => here
xenstore-ls => here
cargo run --release -p scale -- memory => here
scripts/build-image && sudo xl create -c scripts/xenstore-stubdom.cfg => tests/nested/standalone.sh: xl create -c
xenstore-ls /local/domain/$(xl domid xenstore-try)/data/xenstore-stubdom => tests/nested/standalone.sh: home()
xenstore-write /local/domain/$(xl domid xenstore-try)/data/xenstore-stubdom/request dump => tests/nested/standalone.sh: /request" dump
scripts/build-image && sudo ./scripts/install => tests/install.sh: sudo ./scripts/install
scripts/install => tests/install.sh: sudo ./scripts/install
scripts/install --check => tests/install.sh: checks_a_host ./scripts/install
scripts/install --dry-run => tests/install.sh: ./scripts/install --dry-run
scripts/install --uninstall => tests/install.sh: sudo ./scripts/install --uninstall
scripts/install --root DIR => tests/install.sh: scripts/install --root
apt-get install ./target/xenstore-stubdom_*.deb => tests/install.sh: typed docs/install.md
xenstore-stubdom-install --check => tests/install.sh: checks_a_host xenstore-stubdom-install
xenstore-stubdom-install => tests/install.sh: sudo xenstore-stubdom-install
reboot => tests/nested/long/debian-host.sh: reboot
scripts/install --maxmem 128 => tests/install.sh: ./scripts/install --maxmem 128
XENSTORE_DOMAIN_ARGS="--param loglevel=debug,--quota=nodes=2000" => tests/nested/long/debian-init.sh: --quota=nodes=2000
XENSTORE_DOMAIN_ARGS="--flask system_u:system_r:xenstore_t" => by hand
cp xenstore-stubdom.te tools/flask/policy/modules/ => by hand
echo 'xenstore-stubdom = on' >> tools/flask/policy/modules/modules.conf => by hand
make -C tools/flask/policy => by hand
xl getenforce => by hand
xl list -Z => by hand
xl dmesg | grep 'avc: *denied' => by hand
xl sched-credit2 -d 0 -w 65535 => scripts/nested.d/jobs/isolation.sh: xl sched-credit2 -d 0 -w 65535
xl sched-credit2 -d "$(xenstore-read /tool/xenstored/domid)" -w 65535 => scripts/nested.d/jobs/isolation.sh: -w 65535
xl sched-credit2 -s -p Pool-0 -r 0 => scripts/nested.d/jobs/isolation.sh: xl sched-credit2 -s -p Pool-0 -r 0
xs-trace follow => examples/xs-trace/tests/xs_trace/dumps.rs: "follow"
xs-trace metrics --listen 127.0.0.1:9786 => tests/monitoring.sh: "${service[@]:1}"
xs-trace metrics --textfile /var/lib/prometheus/node-exporter/xenstore.prom => tests/monitoring.sh: xs_trace metrics --textfile
promtool test rules docs/monitoring/alerts-test.yml => tests/monitoring.sh: promtool test rules docs/monitoring/alerts-test.yml
xs-trace top => tests/observability/top.sh: xs-trace top
xs-trace dump --console LOG FILE => tests/nested/standalone.sh: xs-trace dump --console
xs-trace compare OLD NEW => examples/xs-trace/tests/xs_trace/compared.rs: "compare"
xs-trace replay --into * => examples/xs-trace/tests/xs_trace/replayed.rs: "replay"
xs-trace * => here
scripts/install --layers FILE => tests/install.sh: --layers "$work/site.layer"
scripts/run --layers FILE => scripts/run: --layers)
xs-layers * => examples/layers/tests/xs_layers.rs: "pack vendor.layer site"
cargo install --path examples/layers => slow
xs-state * => examples/xs-state/tests/running.rs: "save", "--store"
xenstore-control * => here
TABLE
)

# The commands in running text: those of this project, and those that ask the store for what only this one has.
mentioned() {
    grep -ohE '`(\./)?(scripts/|cargo |xs-trace |xs-state |xenstore-control )[^`]*`' "$@" | tr -d '`' | while read -r command; do
        # A folder, a file of settings or the like is nothing to type.
        if [[ $command != *scripts/* ]] || [[ -f ${command%% *} && -x ${command%% *} ]]; then echo "$command"; fi
    done
}

# plain COMMAND: without what a reader adds to become root or to be where he is.
plain() { sed -E 's/^sudo //; s#^\./##' <<<"$1"; }

# place_of COMMAND: what the table says of it.
place_of() {
    local plain line pattern
    plain=$(plain "$1")
    while IFS= read -r line; do
        pattern=${line% => *}
        if [[ $pattern == "$plain" || ($pattern == *' *' && $plain == "${pattern%\*}"*) ]]; then
            echo "${line##* => }" && return
        fi
    done <<<"$TRIED"
    return 1
}

# covered COMMAND: the table has it, and the file that it names has the words.
covered() {
    local place
    place=$(place_of "$1") || { echo "# no line of the table in tests/readme.sh is about it" && return 1; }
    case $place in
        here | slow | 'by hand') ;;
        *) grep -qF -- "${place#*: }" "${place%%: *}" || { echo "# ${place%%: *} has no '${place#*: }'" && return 1; } ;;
    esac
}

# Every command of the pages is tried somewhere.
all_covered() {
    local command commands
    commands=$({ typed README.md docs/*.md && mentioned README.md docs/*.md; } | sort -u)
    while IFS= read -r command; do ok "tried: $command" covered "$command"; done <<<"$commands"
    for command in scripts/*; do
        if [[ -f $command && -x $command ]]; then ok "in the table: $command" grep -qE "^$command( |\$)" <<<"$TRIED"; fi
    done
    while IFS= read -r command; do
        ok "docs/lifecycle.md: the job $command" test -f "tests/nested/$command.sh"
    done < <(sed -n 's/^|.*| \([^|]*\) |$/\1/p' docs/lifecycle.md | grep -o '`[a-z0-9/-]*`' | tr -d '`' | sort -u)
    ok 'docs/observability.md has the commands of its template' \
        diff <(typed scripts/observability.d/page.md) <(typed docs/observability.md)
}

# ---- tried here

# The block of README.md, pasted as a whole into a shell, word for word if nobody else has its socket.
quickest_try() {
    local socket=/tmp/xs.sock
    if [[ -e $socket ]]; then socket=$work/try.sock; fi
    awk '/^##/ { on = /Without Xen/ } on' README.md >"$work/section"
    typed "$work/section" | sed "s,/tmp/xs.sock,$socket,g" >"$work/block"
    ok 'the quickest try is a block of commands' test "$(wc -l <"$work/block")" -gt 2
    ok 'the quickest try: pasted as a whole' pasted
    rm -f "$socket"
}
pasted() {
    echo 'kill %1' >>"$work/block"
    timeout -k 5 300 bash <"$work/block" >"$work/said" 2>&1 || :
    grep -qx 'hello = "world"' "$work/said" || { cat "$work/said" && return 1; }
}

# What docs/observability.md asks a store that has something to tell; placeholders become what is there.
observing() {
    local programs command
    cargo build --quiet -p load
    programs=$(cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
    [[ -x target/xs-trace ]] || scripts/build-tool
    ln -s "$checkout/target/xs-trace" "$work/bin/"
    export XENSTORED_PATH=$work/observed.sock
    "$programs/release/unix_server" --memory 8 "$XENSTORED_PATH" >"$work/serving" &
    until grep -q serving "$work/serving"; do sleep 0.1; done
    "$programs/debug/load" day
    while IFS= read -r command; do asks '' "$command"; done < <(asked_of_store)
    each_section_alone
}

# asks WHERE COMMAND: of a running store; it succeeds in the folder of this test.
asks() {
    local command=$2
    if [[ $(place_of "$command") != here ]]; then return; fi
    case $command in
        'xs-trace dump --hold' | 'xs-trace report' | 'xs-trace report --json') command+=' store.trace' ;;
        'xenstore-control stats DOMID' | 'xenstore-control trace filter domain N') command="${command% *} 0" ;;
        'xenstore-control quota set'*) command='xenstore-control quota set nodes 1000' ;;
        # Without an image it is refused.
        'xenstore-control live-update') command="! $command" ;;
        # So it is where the command line does not allow it.
        'xenstore-control fault'*) command="! $command" ;;
    esac
    ok "$1$command" quietly env -C "$work" bash -c "$command"
}

# Whoever comes from an alert begins at its section, which has the dump made that its commands look into.
each_section_alone() {
    local section command
    # Commands of other pages have switched it off.
    ok 'xenstore-control trace on' quietly xenstore-control trace on
    awk -v to="$work/section-" '/^## / { n++ } n { print > (to n) }' docs/runbooks.md
    for section in "$work"/section-*; do
        rm -f "$work/store.trace"
        while IFS= read -r command; do
            asks "docs/runbooks.md, $(sed -n '1s/^## //p' "$section"): " "$command"
        done < <(mentioned "$section")
    done
}

# The pages' commands for a running store, those first that belong together.
asked_of_store() {
    { typed docs/observability.md && mentioned README.md docs/*.md; } |
        grep -E '^(xs-trace|xenstore-control) ' | awk '!seen[$0]++'
}

quick() {
    need_cargo
    all_covered
    prepare_peers
    wrap_tools "$work/bin"
    PATH=$work/bin:$PATH
    # It takes what it takes on a machine that is busy; the block that is pasted has a limit.
    cargo build --quiet --release -p unix_server
    quickest_try
    observing
    for xen in $XEN_VERSIONS; do
        ok "XEN=$xen scripts/with-peer --server oxenstored" quietly env XEN="$xen" scripts/with-peer --server oxenstored xenstore-ls /
        ok "XEN=$xen scripts/conformance --oxenstored" quietly env XEN="$xen" scripts/conformance --oxenstored --ops 100
    done
    ok 'scripts/with-peer test-xenstore -i 1000' quietly scripts/with-peer test-xenstore -i 1000
    ok 'cargo run --release -p scale -- memory' quietly cargo run --quiet --release -p scale -- memory
}

# ---- slow, in a copy, since some of them write pages

# copy_checkout: changes to a copy of what git knows, in the cache folder. What is built there stays for the next time.
copy_checkout() {
    local copy=$CACHE/readme file
    mkdir -p "$copy"
    exec {copying}>"$copy.lock"
    flock -n "$copying" || die "another run works in $copy"
    find "$copy" -mindepth 1 -maxdepth 1 ! -name target -exec rm -rf {} +
    git ls-files | while IFS= read -r file; do
        if [[ -e $file ]]; then cp -p --parents "$file" "$copy"; fi
    done
    cd "$copy"
}

# wrote PAGE COMMAND...: the command succeeds and has written the page anew.
wrote() {
    touch -d '2001-01-01' "$1"
    "${@:2}" && [[ $(stat -c %Y "$1") -gt 1000000000 ]]
}

# measures COMMAND...: to the end. A goal that is missed, status 1, is for docs/performance.md to tell.
measures() {
    local status=0
    "$@" >"$work/said" 2>&1 </dev/null || status=$?
    if ((status <= 1)) && grep -qE '^[0-9]+ goals met, [0-9]+ missed\.$' "$work/said"; then return 0; fi
    tail -n 30 "$work/said"
    return 1
}

# A shell in dom0, with a terminal, in which somebody types.
a_shell() {
    tmux -S "$work/tmux" -f /dev/null new-session -d -x 100 -y 40 "./scripts/run --shell; echo shell ended with \$?; sleep 60"
    on_screen 600 'dom0#' || return 1
    tmux -S "$work/tmux" send-keys 'xenstore-read /local/domain/0/name' Enter
    on_screen 60 '^Domain-0' || return 1
    tmux -S "$work/tmux" send-keys 'stty size' Enter
    on_screen 60 '^40 100' || return 1
    tmux -S "$work/tmux" send-keys exit Enter
    on_screen 60 '^shell ended with 0'
}
# on_screen SECONDS PATTERN: a line of the screen becomes like that.
on_screen() {
    local end=$((SECONDS + $1))
    until tmux -S "$work/tmux" capture-pane -p | grep -Eq -- "$2"; do
        if ((SECONDS > end)); then tmux -S "$work/tmux" capture-pane -p && return 1; fi
        sleep 1
    done
}

# A report, also as the files that it names.
a_run() { quietly env "$@" ./scripts/run && test -s target/run/boot.html -a -s target/run/boot.perfetto.json; }

# slowly COMMAND
slowly() {
    case $1 in
        scripts/run) ok './scripts/run' a_run XEN=4.17 && ok 'XEN=4.20 ./scripts/run' a_run XEN=4.20 ;;
        'scripts/run --shell') ok './scripts/run --shell' a_shell ;;
        scripts/observability) ok "$1" wrote docs/observability.md quietly scripts/observability ;;
        scripts/record) ok "$1" wrote examples/scale/guest.txt quietly scripts/record ;;
        'scripts/isolation --save') ok "$1" wrote docs/isolation.md quietly scripts/isolation --save ;;
        'scripts/bench --save') ok "$1" wrote docs/performance.md measures scripts/bench --save ;;
        'scripts/bench --quick') ok "$1" measures scripts/bench --quick ;;
        'scripts/soak 20') ok "$1" quietly scripts/soak 20 ;;
        'scripts/soak --stalls 60') ok "$1" quietly scripts/soak --stalls 40 ;;
        'cargo bench') ok "$1" quietly cargo bench ;;
        'cargo install --path examples/xs-trace') ok "$1" quietly cargo install --path examples/xs-trace --root "$work/installed" ;;
        # The same with less to do.
        scripts/bench | scripts/isolation | 'scripts/soak MINUTES') ;;
        *) ok "$1: this test knows how to run it" false ;;
    esac
}

slow_commands() { sed -n 's/ => slow$//p' <<<"$TRIED"; }

# slow [COMMAND]: all of them or one.
slow() {
    local command
    need qemu-system-x86_64=qemu-system-x86 cc=gcc objcopy=binutils tmux=tmux valgrind=valgrind chromium=chromium
    copy_checkout
    while IFS= read -r command; do
        if [[ ! ${1:-} || $command == "$1" ]]; then slowly "$command"; fi
    done < <(slow_commands)
}

(($# < 2)) || die "one option at most; see --help"
case ${1:-} in
    '') quick ;;
    --slow) slow ;;
    --slow=*)
        command=$(plain "${1#*=}")
        slow_commands | grep -qxF -- "$command" || die "'$command' is not slow; allowed: $(slow_commands | paste -sd ,)"
        slow "$command"
        ;;
    --help | -h) usage && exit 0 || exit ;;
    *) no_option "$1" ;;
esac
exit "$failed"
