# Root file systems, names and settings that are unusual; runs of scripts/install at once, killed, and unheard.
# shellcheck shell=bash
# shellcheck disable=SC2154  # what tests/install.sh has set

# links: folders of the host that are links stay inside --root, wherever they lead here.
links() {
    local elsewhere=$work/elsewhere lib=/usr/local/lib/xenstore-stubdom here before
    settings=/usr/lib/defaults/xencommons
    mkdir -p "$elsewhere"/{lib,default}
    echo 'OF=this-machine' >"$elsewhere/default/xencommons"
    here=$(snapshot "$elsewhere")
    rm -rf "$work/linked"
    cp -a "$work/upstream" "$work/linked"
    (
        cd "$work/linked"
        # An image of ostree has the first two; the others lead up beyond the root, and along two links.
        mkdir -p ".$elsewhere" state
        mv usr/local/* ".$elsewhere/" && rmdir usr/local && ln -s "$elsewhere" usr/local
        mv usr/lib/systemd/system/xenstored.service usr/lib/store.service
        ln -s /usr/lib/store.service usr/lib/systemd/system/xenstored.service
        rmdir var/lib && ln -s ../../../../state var/lib
        mv etc/default usr/lib/defaults && ln -s /etc/defaults etc/default && ln -s "../${elsewhere#/}/default" etc/defaults
        ln -s /usr/lib/defaults ".$elsewhere/default"
    )
    tree_of linked
    before=$(snapshot "$tree")
    ok 'links: a dry run' with_image "$tree" --dry-run
    ok 'links: --check' with_image "$tree" --check
    ok 'links: change nothing' unchanged "$before"
    ok 'links: it installs' with_image "$tree"
    ok 'links: the image is inside' cmp "$image" "$tree$elsewhere/lib/xenstore-stubdom/xenstore-stubdom"
    ok 'links: so is what was before' cmp "$work/linked$settings" "$tree/state/xenstore-stubdom/before"
    ok 'links: so are the settings' reads XENSTORE_DOMAIN_KERNEL "$lib/xenstore-stubdom"
    ok 'links: nothing is outside' test "$(snapshot "$elsewhere")" = "$here"
    ok 'links: it goes back' on "$tree" --uninstall
    ok 'links: to the byte' unchanged "$before"
    rm "$tree/etc/defaults" && ln -s default "$tree/etc/defaults"
    ok 'links that lead nowhere' let_down_by 1 "could not set /etc/default/xencommons"
}

# blanks: a checkout, an image, layers and a root whose names have blanks. The way back is typed as it is said.
blanks() {
    local here="$work/my checkout" own="$work/my image" layer="$work/my site.layer" before
    tree_of upstream
    mv "$tree" "$work/my host" && tree="$work/my host"
    before=$(snapshot "$tree")
    ln -sfn "$PWD" "$here"
    cp "$image" "$own"
    printf 'layer site\n/site = "1"\nend\n' >"$layer"
    ok 'blanks in names: it installs' \
        quietly bash -c 'cd "$1" && "my checkout/scripts/install" --root "my host" --image "$2" --layers "$3"' bash "$work" "$own" "$layer"
    ok 'blanks in names: the image is there' cmp "$own" "$tree/usr/local/lib/xenstore-stubdom/xenstore-stubdom"
    ok 'blanks in names: so are the layers' cmp "$layer" "$tree/usr/local/lib/xenstore-stubdom/layers"
    ok 'blanks in names: the way back' quietly bash -c 'cd "$1" && eval "$2"' bash "$work" "$(sed -n 's/^.*the way back: //p' "$work/said")"
    ok 'blanks in names: it goes back to the byte' unchanged "$before"
    mkdir -p "$tree/etc" && : >"$tree/etc/NIXOS"
    ok 'blanks in names: NixOS' fails on "$tree" --image "$own" --layers "$layer"
    # shellcheck disable=SC2046  # words, as a shell makes them of the line
    copies_exist() { (($(grep -c '^# cp ' "$work/said") == 2)) && eval "$(sed -n 's/^# cp \(.*\) [^ ]*$/test -f \1 \&\&/p' "$work/said") true"; }
    ok 'blanks in names: NixOS is told files that there are' copies_exist
    rm -r "$tree"
    tree=$work/tree
}
let_down_by() {
    local status=0
    with_image "$tree" || status=$?
    [[ $status == "$1" ]] && says "$2"
}

# neighbours: what somebody keeps beside the image is no affair of the script's.
neighbours() {
    local lib=/usr/local/lib/xenstore-stubdom before
    settings=/etc/default/xencommons
    tree_of upstream
    mkdir -p "$tree$lib"
    echo mine >"$tree$lib/image-of-last-year"
    printf 'layer site\n/site = "1"   (n0)\nend\n' >"$work/site.layer"
    before=$(snapshot "$tree")
    ok 'a file beside the image: it installs' with_image "$tree" --layers "$work/site.layer"
    ok 'a file beside the image: it goes back' on "$tree" --uninstall
    ok 'a file beside the image: says that it stays' says "what else is in $lib stays"
    ok 'a file beside the image: to the byte' unchanged "$before"
    touch "$tree$lib/layers"
    refuses 'a file of somebody else in the place of the layers' 'was not put there' with_image "$tree"
}

# at_once: of runs at once one changes the host, and the others are refused.
at_once() {
    local before runs run status done_ones round held
    settings=/etc/default/xencommons
    tree_of upstream
    before=$(snapshot "$tree")
    exec {held}<"$tree"
    flock "$held"
    refuses 'a run while another is at work' "another run of this script is changing $tree" with_image "$tree"
    refuses 'going back meanwhile' 'another run of this script' on "$tree" --uninstall
    ok 'a dry run meanwhile' with_image "$tree" --dry-run
    exec {held}<&-
    for round in 1 2 3; do
        runs=() done_ones=0
        for run in 8 16 32 64; do
            scripts/install --root "$tree" --image "$image" --memory "$run" >"$work/said-$run" 2>&1 &
            runs+=($!)
        done
        for run in "${runs[@]}"; do
            status=0
            wait "$run" || status=$?
            case $status in 0) done_ones=$((done_ones + 1)) ;; 2) ;; *) done_ones=-9 ;; esac
        done
        ok "at once, $round: they are done or refused" test "$done_ones" -gt 0
        ok "at once, $round: what was before is kept" cmp "$work/upstream$settings" "$tree/var/lib/xenstore-stubdom/before"
        ok "at once, $round: it goes back" on "$tree" --uninstall
        ok "at once, $round: to the byte" unchanged "$before"
    done
}

# dashes: names that begin like an option, and a root that a shell would take for a pattern.
dashes() {
    local before
    tree="$work/-host[1]" settings=/etc/default/xen
    rm -rf "$tree"
    cp -a "$work/debian-4.17" "$tree"
    before=$(snapshot "$tree")
    cp "$image" "$work/-image"
    printf 'layer site\n/site = "1"\nend\n' >"$work/-site.layer"
    ok 'names that begin with a dash: it installs' \
        quietly bash -c 'cd "$1" && "$2" --root "-host[1]" --image -image --layers -site.layer' bash "$work" "$PWD/scripts/install"
    ok 'names that begin with a dash: the settings' reads XENSTORED /usr/local/lib/xenstore-stubdom/start
    ok 'names that begin with a dash: it goes back' \
        quietly bash -c 'cd "$1" && "$2" --root "-host[1]" --uninstall' bash "$work" "$PWD/scripts/install"
    ok 'names that begin with a dash: to the byte' unchanged "$before"
    rm -r "$tree"
    tree=$work/tree
}

# named_outside: while settings name the image, it stays, whoever has taken away or changed the lines that mark the block.
named_outside() {
    local change lib=/usr/local/lib/xenstore-stubdom
    settings=/etc/default/xencommons
    for change in '/^#/d' 's/$/\r/' '/^#/s/$/ /'; do
        tree_of upstream
        with_image "$tree"
        edit "$change"
        refuses "going back from settings without marks: $change" 'outside its block; remove such lines' on "$tree" --uninstall
        refuses "settings without marks: $change" 'names files of xenstore-stubdom in line' with_image "$tree"
        rm -r "$tree/var/lib/xenstore-stubdom"
        refuses "going back without what was before: $change" 'outside its block' on "$tree" --uninstall
        edit "\\|$lib/|s/^/#/"
        ok "settings that name the image in a comment: $change" on "$tree" --uninstall
    done
}

# starts: on Debian, settings that the init script takes are no trouble to `start`.
starts() {
    local bin=$work/start-bin
    tree_of debian-4.17
    settings=/etc/default/xen
    # shellcheck disable=SC2016  # the settings' own words
    printf '%s\n' 'XENCONSOLED_ARGS="$XENCONSOLED_ARGS --log=all"' 'grep -q frob /proc/version' >>"$tree$settings"
    with_image "$tree" --memory 16
    mkdir -p "$bin"
    printf '#!/bin/sh\necho "$@"\n' >"$bin/init-xenstore-domain"
    printf '#!/bin/sh\nexit 1\n' >"$bin/xenstore-read"
    chmod +x "$bin"/*
    sed "s|/etc/default/xen|'$tree'&|; s|/run/xen/|$tree&|; s|^bin=.*|bin=$bin|" "$tree/usr/local/lib/xenstore-stubdom/start" >"$work/start"
    ok 'start: settings with a variable that nobody has set' quietly env PATH="$bin:$PATH" sh "$work/start"
    ok 'start: begins the domain' says '--memory 16'
}

# ends_by SIGNAL PROGRAM COMMAND...: the signal comes when the command runs that program, in whose place another stands.
ends_by() {
    local bin=$work/signal-bin
    rm -rf "$bin"
    mkdir "$bin"
    printf '#!/bin/sh\nkill -%s $PPID\n' "$1" >"$bin/$2"
    chmod +x "$bin/$2"
    PATH=$bin:$PATH "${@:3}"
}

# on_disk: what it writes has its bytes on the disk before it takes the place of what was there.
on_disk() {
    local bin=$work/sync-bin
    tree_of upstream
    rm -rf "$bin" "$work/synced"
    mkdir "$bin"
    printf '#!/bin/sh\nprintf "%%s\\n" "$@" >>"%s"\n' "$work/synced" >"$bin/sync"
    printf '#!/bin/sh\nfor new; do case $new in *.new-*) find "$new" -type f; esac; done >>"%s"\nexec /bin/mv "$@"\n' "$work/moved" >"$bin/mv"
    chmod +x "$bin"/*
    PATH=$bin:$PATH with_image "$tree" --layers "$work/site.layer"
    PATH=$bin:$PATH on "$tree" --uninstall
    ok 'on the disk: each file before it has its name' cmp "$work/synced" "$work/moved"
    ok 'on the disk: all of them' test "$(wc -l <"$work/synced")" = 6
}

# killed: whenever it is, another run goes on or back, and nothing is left.
killed() {
    local before program status signal
    settings=/etc/default/xencommons
    for program in chmod cp install mv; do
        tree_of upstream
        before=$(snapshot "$tree")
        ok "killed at $program: it ends" fails ends_by KILL "$program" with_image "$tree"
        ok "killed at $program: it goes back" on "$tree" --uninstall
        ok "killed at $program: to the byte" unchanged "$before"
        ok "killed at $program, again: it ends" fails ends_by KILL "$program" with_image "$tree"
        ok "killed at $program, again: it goes on" with_image "$tree"
        ok "killed at $program, again: nothing is left" test -z "$(find "$tree" -name '.*.new-*')"
        ok "killed at $program, going back: it ends" fails ends_by KILL rm on "$tree" --uninstall
        ok "killed at $program, going back: it goes on" on "$tree" --uninstall
        ok "killed at $program, going back: to the byte" unchanged "$before"
    done
    for signal in HUP INT TERM; do
        tree_of upstream
        status=0
        ends_by $signal mv with_image "$tree" || status=$?
        ok "$signal: it says so" says 'install: interrupted; run it again'
        ok "$signal: status 130" test "$status" = 130
        ok "$signal: nothing is left unfinished" test -z "$(find "$tree" -name '.*.new-*')"
    done
}

# unheard: where nobody reads what it says, it ends as it does where the system lets it down.
unheard() {
    local status=0 pipe
    settings=/etc/default/xencommons
    tree_of upstream
    exec {pipe}> >(:)
    wait "$!"
    scripts/install --root "$tree" --image "$image" 2>"$work/said" >&"$pipe" || status=$?
    exec {pipe}>&-
    ok 'nobody reads: status 1' test "$status" = 1
    ok 'nobody reads: it says what it could not do' says "install: could not keep $settings as it is"
    ok 'nobody reads: and none of its own lines' fails grep -E 'line [0-9]' "$work/said"
    ok 'nobody reads: the settings are untouched' cmp "$work/upstream$settings" "$tree$settings"
    status=0
    scripts/install --root "$tree" --image "$image" --check >/dev/full 2>"$work/said" || status=$?
    ok 'no room for --check: status 1' test "$status" = 1
    ok 'no room for --check: it says so, and none of its own lines' fails grep -vE '^install: (its output cannot|could not look)' "$work/said"
}

# private: where the operator's own files are for nobody else to read, the host's are as ever. But a copy of layers is only for
# those to read who can read the layers.
private() {
    local folder layers=/usr/local/lib/xenstore-stubdom/layers mode
    settings=/etc/default/xencommons
    tree_of upstream
    rm -r "$tree/usr/local"
    (umask 077 && with_image "$tree")
    for folder in /usr/local /usr/local/lib /usr/local/lib/xenstore-stubdom /var/lib/xenstore-stubdom; do
        ok "umask 077: all can read $folder" test "$(stat -c %a "$tree$folder")" = 755
    done
    printf 'layer site\n/secret = "1"   (n0)\nend\n' >"$work/own.layer"
    for mode in 600 644 640; do
        chmod "$mode" "$work/own.layer"
        ok "layers of mode $mode: it installs" with_image "$tree" --layers "$work/own.layer"
        ok "layers of mode $mode: who can read the copy" test "$(stat -c %a "$tree$layers")" = "${mode/640/600}"
        ok "layers of mode $mode: it installs again" with_image "$tree"
        ok "layers of mode $mode: they stay so" test "$(stat -c %a "$tree$layers")" = "${mode/640/600}"
    done
}
