# A root file system whose links lead elsewhere on this machine, and runs of scripts/install at once.
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
