#!/usr/bin/env bash
# scripts/install on root trees: Debian's, of its real packages, and one laid out as upstream does; and in whole Debians
# that are chrooted into, where it and the package's own command are typed as docs/install.md says.
# shellcheck source-path=SCRIPTDIR/../scripts
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }
trap 'echo "not ok - unexpected failure at line $LINENO: $BASH_COMMAND"' ERR

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
# shellcheck source=nested.d/messages.sh
. scripts/nested.d/messages.sh
# shellcheck source=nested.d/release.sh
. scripts/nested.d/release.sh
# shellcheck source=nested.d/machine.sh
. scripts/nested.d/machine.sh
# shellcheck source=nested.d/packages.sh
. scripts/nested.d/packages.sh
# shellcheck source=nested.d/debootstrap.sh
. scripts/nested.d/debootstrap.sh
# shellcheck source=../tests/typed.sh
. tests/typed.sh
# shellcheck source=../tests/install-check.sh
. tests/install-check.sh
# shellcheck source=../tests/install-root.sh
. tests/install-root.sh

image=target/xenstore-stubdom
work=$(mktemp -d "${TMPDIR:-/tmp}/install.XXXXXX")
trap 'as_root rm -rf --one-file-system "$work"' EXIT
failed=0

# ok WHAT COMMAND...: the command succeeds.
ok() {
    if "${@:2}"; then echo "ok - $1"; else echo "not ok - $1" && failed=1; fi
}

# All of a tree but what its directories' times say.
snapshot() {
    (cd "$1" && find . -type d -printf '%p %m %u %g\n' -o -printf '%p %y %m %u %g %l %T@\n' | sort &&
        find . -type f -print0 | sort -z | xargs -0 -r sha256sum)
}

# on TREE OPTION...: the script on the tree, quietly; what it says goes to $work/said.
# Whoever runs the tests may ignore signals, which no shell that it starts can take back.
on() { env --default-signal=HUP,INT,TERM scripts/install --root "$1" "${@:2}" >"$work/said" 2>&1; }
with_image() { on "$1" --image "$image" "${@:2}"; }

# refuses WHAT WORDS COMMAND...: status 2, one line with the words, and nothing changed in $tree.
refuses() {
    local status=0 before
    before=$(snapshot "$tree")
    "${@:3}" || status=$?
    ok "refuses: $1" refused "$status" "$2" "$before"
}
refused() {
    if [[ $1 == 2 && $(wc -l <"$work/said") == 1 && $(snapshot "$tree") == "$3" ]]; then
        if grep -qF -- "$2" "$work/said"; then return 0; fi
    fi
    cat "$work/said"
    return 1
}

unchanged() { [[ $(snapshot "$tree") == "$1" ]]; }
# reads NAME VALUE: what the host will find when it reads its settings.
reads() { [[ $(bash -c ". '$tree$settings'; printf %s \"\${$1-}\"") == "$2" ]]; }
settings_end() { [[ $(bash -c ". '$tree$settings'; printf %s \"\${$1-}\"") == *"$2" ]]; }
edit() { sed -i "$1" "$tree$settings"; }

# tree_of NAME: a fresh copy of a layout; sets tree.
tree_of() {
    tree=$work/tree
    rm -rf "$tree"
    cp -a "$work/$1" "$tree"
}

# Debian's host of one Xen version: $PACKAGES unpacked, and the settings that ucf puts in place.
debian() {
    local to=$work/debian-$XEN archive=$work/apt-$XEN deb
    choose_release
    write_apt_conf "$archive"
    apt-get -c "$archive/apt.conf" -q=2 --error-on=any update >/dev/null
    (cd "$archive/archives" &&
        apt-get -c "$archive/apt.conf" -q=2 download "xen-utils-$XEN" xen-utils-common >/dev/null)
    mkdir -p "$to/var/lib" "$to/usr/local/lib"
    for deb in "$archive"/archives/*.deb; do dpkg -x "$deb" "$to"; done
    cp "$to/usr/share/xen-utils-common/default.xen" "$to/etc/default/xen"
    # What the tests need no copy of.
    rm -r "${to:?}/usr/share" "$to"/usr/lib/xen-*/boot
}

# layout NAME STARTER SETTINGS LIBEXEC: a host whose STARTER, a unit or an init script, runs upstream's launch-xenstore; in
# words of our own.
layout() {
    local to=$work/$1 starter=$2 settings=$3 libexec=$4
    mkdir -p "$to"/{etc/xen/scripts,usr/local/lib,var/lib} "$to${starter%/*}" "$to${settings%/*}" "$to$libexec/xen/bin"
    case $starter in
        *.service) printf '%s\n' '[Service]' 'Type=notify' 'ExecStart=/etc/xen/scripts/launch-xenstore' ;;
        *) printf '%s\n' '#!/bin/sh' 'case $1 in start) /etc/xen/scripts/launch-xenstore || exit 1 ;; esac' ;;
    esac >"$to$starter"
    printf '%s\n' '. /etc/xen/scripts/hotplugpath.sh' "test -f $settings && . $settings" \
        "exec \${LIBEXEC_BIN}/init-xenstore-domain --kernel \$XENSTORE_DOMAIN_KERNEL" >"$to/etc/xen/scripts/launch-xenstore"
    echo "LIBEXEC_BIN=\"$libexec/xen/bin\"" >"$to/etc/xen/scripts/hotplugpath.sh"
    : >"$to$libexec/xen/bin/init-xenstore-domain"
    # No newline at the end, a mode and a time of its own: all of it has to come back.
    printf '%s\n%s' 'XENSTORETYPE=daemon' 'XENSTORE_DOMAIN_ARGS=--verbose' >"$to$settings"
    chmod 640 "$to$settings"
    touch -d '2001-02-03 04:05:06' "$to$settings"
}
upstream() { layout upstream /usr/lib/systemd/system/xenstored.service /etc/default/xencommons /usr/lib; }

# The distributions of docs/install.md that start the store in upstream's way: where each has what.
LAYOUTS='
Fedora          /usr/lib/systemd/system/xenstored.service       /etc/sysconfig/xencommons  /usr/libexec
Qubes-OS        /usr/lib/systemd/system/xenstored.service       /etc/sysconfig/xencommons  /usr/libexec
XCP-ng          /usr/lib/systemd/system/xenstored.service       /etc/sysconfig/xencommons  /usr/libexec
openSUSE        /usr/lib/systemd/system/xenstored.service       /etc/sysconfig/xencommons  /usr/libexec
openSUSE-Leap   /usr/lib/systemd/system/xenstored.service       /etc/sysconfig/xencommons  /usr/lib
Yocto-systemd   /lib/systemd/system/xenstored.service           /etc/default/xencommons    /usr/lib
Yocto-sysvinit  /etc/init.d/xencommons                          /etc/default/xencommons    /usr/lib
make-install    /usr/local/lib/systemd/system/xenstored.service /etc/default/xencommons    /usr/local/lib
'
distributions() {
    local name starter libexec before lib=/usr/local/lib/xenstore-stubdom
    while read -r name starter settings libexec; do
        layout "$name" "$starter" "$settings" "$libexec"
        tree_of "$name"
        before=$(snapshot "$tree")
        ok "$name: it installs" with_image "$tree"
        ok "$name: the store is a domain" reads XENSTORETYPE domain
        ok "$name: of the image" reads XENSTORE_DOMAIN_KERNEL "$lib/xenstore-stubdom"
        ok "$name: which is there" cmp "$image" "$tree$lib/xenstore-stubdom"
        ok "$name: what the operator gave it stays" reads XENSTORE_DOMAIN_ARGS --verbose
        ok "$name: it goes back" on "$tree" --uninstall
        ok "$name: to the byte" unchanged "$before"
        ok "docs/install.md: tells of $name" grep -q "^| .*${name%%-*}" docs/install.md
    done < <(grep . <<<"$LAYOUTS")

    tree_of upstream
    settings=/etc/default/xencommons
    mkdir -p "$tree/etc/init.d"
    printf '%s\n' '#!/sbin/openrc-run' 'start() { start-stop-daemon --start --exec /usr/sbin/xenstored; }' >"$tree/etc/init.d/xenstored"
    refuses 'Alpine, where OpenRC starts a daemon' 'no setting of its changes that' with_image "$tree"
    tree_of upstream
    touch "$tree/etc/NIXOS"
    before=$(snapshot "$tree")
    ok 'NixOS: is refused' fails with_image "$tree" --memory 64 --maxmem 128
    ok 'NixOS: why' says "NixOS makes this host's files from its own configuration"
    ok 'NixOS: with the lines for that' says "XENSTORE_DOMAIN_KERNEL=\${./xenstore-stubdom}"
    ok 'NixOS: with what puts the image there' says "cp $PWD/$image /etc/nixos/xenstore-stubdom"
    ok 'NixOS: and their memory' says 'XENSTORE_DOMAIN_SIZE=64'
    ok 'NixOS: and up to which it may grow' says 'XENSTORE_MAX_DOMAIN_SIZE=128'
    ok 'NixOS: without layers' fails grep -E 'layers|ARGS' "$work/said"
    printf 'layer site\n/site = "1"   (n0)\nend\n' >"$work/site.layer"
    ok 'NixOS: with layers' fails with_image "$tree" --layers "$work/site.layer"
    ok 'NixOS: they are given to the store' says "XENSTORE_DOMAIN_ARGS=\"--ramdisk \${./xenstore-stubdom.layers}\""
    ok 'NixOS: with what puts them there' says "cp $work/site.layer /etc/nixos/xenstore-stubdom.layers"
    ok 'NixOS: --check' wrong_files 1 "'scripts/install' prints the lines for that"
    ok 'NixOS: nothing is changed' unchanged "$before"
}

# What --check tells of a root file system that is not this machine's: of its files only.
checks_files() {
    local before
    tree_of upstream
    before=$(snapshot "$tree")
    ok '--check --root: files that are right' with_image "$tree" --check
    ok '--check --root: says what was not looked at' says 'were not looked at'
    ok '--check --root: layers that are wrong' wrong_files 1 'no such file' --layers "$work/none"
    printf 'layer site\n/site = "1"   (n0)\nend\n' >"$work/site.layer"
    ok '--check --root: layers that are right' with_image "$tree" --check --layers "$work/site.layer"
    ok '--check --root: tells of them' says "ok: the layers $work/site.layer"
    ok '--check --root: no layers' with_image "$tree" --check --layers none
    ok '--check --root: growth' with_image "$tree" --check --maxmem 64
    ok '--check --root: tells of it' says 'ok: it may grow from 8 to 64 MiB'
    ok '--check --root: growth that is none' wrong_files 1 'wrong: --maxmem 15, with 8 MiB' --maxmem 15
    ok '--check --root: no growth' with_image "$tree" --check --maxmem none
    rm "$tree/usr/lib/xen/bin/init-xenstore-domain"
    ok '--check --root: tools without init-xenstore-domain' wrong_files 1 'wrong: no init-xenstore-domain'
    ok '--check --root: and no image' wrong_files 2 'wrong: '"$work"'/none: no such file' --image "$work/none"
    cp -a "$work/upstream/usr/lib/xen/bin/init-xenstore-domain" "$tree/usr/lib/xen/bin/"
    ok '--check --root: changes nothing' unchanged "$before"
    large_layer >"$work/large.layer"
    ok 'layers that want much memory' with_image "$tree" --layers "$work/large.layer" --memory 64
    ok '--check --root: they are looked at, too' with_image "$tree" --check
    ok '--check --root: which it tells' says 'ok: the layers that are set already'
    ok '--check --root: with too little memory for them' wrong_files 1 'with 8 MiB: ' --memory 8
    refuses 'too little memory for the layers that are set' 'there is no room for it in the store' with_image "$tree" --memory 8
    ok 'too little memory for the layers, without them' with_image "$tree" --memory 8 --layers none
}
large_layer() { seq 60000 | sed 's|.*|/large/& = ""|'; }
# wrong_files LINES WORDS OPTION...
wrong_files() {
    local status=0
    with_image "$tree" --check "${@:3}" || status=$?
    [[ $status == 1 && $(grep -c '^wrong: ' "$work/said") == "$1" ]] && says "$2"
}

# What holds on every layout; sets settings and tells $1 in each name.
common() {
    local name=$1 lib=/usr/local/lib/xenstore-stubdom before installed
    settings=$2
    tree_of "$name"
    before=$(snapshot "$tree")
    ok "$name: a dry run succeeds" with_image "$tree" --dry-run
    ok "$name: and changes nothing" unchanged "$before"
    ok "$name: it installs" with_image "$tree"
    ok "$name: the image is there" cmp "$image" "$tree$lib/xenstore-stubdom"
    ok "$name: the settings name it" reads XENSTORE_DOMAIN_KERNEL "$lib/xenstore-stubdom"
    ok "$name: and its memory" reads XENSTORE_DOMAIN_SIZE 8
    installed=$(snapshot "$tree")
    ok "$name: it installs again" with_image "$tree"
    ok "$name: which changes nothing" unchanged "$installed"
    ok "$name: with other memory" with_image "$tree" --memory 64
    ok "$name: the memory is set" reads XENSTORE_DOMAIN_SIZE 64
    ok "$name: without a word of memory" with_image "$tree"
    ok "$name: what was set stays" reads XENSTORE_DOMAIN_SIZE 64
    ok "$name: it may grow" with_image "$tree" --maxmem 128
    ok "$name: up to which is set" reads XENSTORE_MAX_DOMAIN_SIZE 128
    ok "$name: and stays, without a word of it" with_image "$tree" --memory 64
    ok "$name: as it was" reads XENSTORE_MAX_DOMAIN_SIZE 128
    ok "$name: with more memory than that" fails with_image "$tree" --memory 121
    ok "$name: is refused" says '--maxmem 128, with 121 MiB: allowed is 129 at least, or none'
    ok "$name: it may not grow any more" with_image "$tree" --maxmem none
    ok "$name: nothing is set" reads XENSTORE_MAX_DOMAIN_SIZE ''
    printf 'layer site\n/site = "1"   (n0)\nend\n' >"$work/site.layer"
    ok "$name: with layers" with_image "$tree" --layers "$work/site.layer"
    ok "$name: they are there" cmp "$work/site.layer" "$tree$lib/layers"
    ok "$name: and are given to the store beside what was" settings_end XENSTORE_DOMAIN_ARGS " --ramdisk $lib/layers"
    ok "$name: without a word of layers" with_image "$tree"
    ok "$name: they stay" settings_end XENSTORE_DOMAIN_ARGS " --ramdisk $lib/layers"
    ok "$name: without layers" with_image "$tree" --layers none
    ok "$name: they are gone" test ! -e "$tree$lib/layers"
    ok "$name: with them once more" with_image "$tree" --layers "$work/site.layer"
    installed=$(snapshot "$tree")
    ok "$name: a dry run of going back" on "$tree" --uninstall --dry-run
    ok "$name: changes nothing" unchanged "$installed"
    ok "$name: it goes back" on "$tree" --uninstall
    ok "$name: to the byte" unchanged "$before"
    ok "$name: it goes back again" on "$tree" --uninstall
    ok "$name: which changes nothing" unchanged "$before"

    ok "$name: installed for changes by hand" with_image "$tree"
    echo 'MINE=1' >>"$tree$settings"
    ok "$name: it goes back" on "$tree" --uninstall
    ok "$name: what was added by hand stays" reads MINE 1
    ok "$name: and nothing of ours" reads XENSTORE_DOMAIN_KERNEL ''

    tree_of "$name"
    rm "$tree$settings"
    before=$(snapshot "$tree")
    ok "$name: it installs where there are no settings" with_image "$tree"
    ok "$name: it goes back" on "$tree" --uninstall
    ok "$name: to none" unchanged "$before"
}

refusals() {
    tree_of upstream
    settings=/etc/default/xencommons
    refuses 'an unknown option' "no option '--frob'; allowed: --check --dry-run" on "$tree" --frob
    refuses 'an option without value' '--memory wants a value' on "$tree" --memory
    refuses 'too little memory' 'from 8 to 2048' with_image "$tree" --memory 7
    refuses 'memory with a unit' 'from 8 to 2048' with_image "$tree" --memory 8M
    refuses 'growth with a unit' 'allowed is none, or a number of MiB from 16 to 2048' with_image "$tree" --maxmem 64M
    refuses 'growth that is none' '--maxmem 15, with 8 MiB: allowed is 16 at least' with_image "$tree" --maxmem 15
    refuses 'a root that is not there' 'is no directory' on "$tree/none"
    refuses 'an image that is not there' 'no such file' on "$tree" --image "$work/none"
    refuses 'a program of Linux as image' 'no image of xenstore-stubdom' on "$tree" --image /bin/sh
    refuses 'another PVH guest as image' 'no image of xenstore-stubdom' on "$tree" --image target/xs-guest
    head -c -1 "$image" >"$work/cut"
    refuses 'an image that is cut off' "$work/cut: cut off, its end is missing" on "$tree" --image "$work/cut"
    head -c 30 "$image" >"$work/cut"
    refuses 'the beginning of an image' 'no image of xenstore-stubdom' on "$tree" --image "$work/cut"
    refuses 'a text as image' 'no image of xenstore-stubdom' on "$tree" --image README.md
    refuses '--uninstall with an image' 'takes only' with_image "$tree" --uninstall
    refuses '--check with --dry-run' 'goes neither with' with_image "$tree" --check --dry-run
    refuses 'layers that are not there' 'no such file' with_image "$tree" --layers "$work/none"
    refuses 'a folder as layers' "--layers $work: no ordinary file" with_image "$tree" --layers "$work"
    : >"$work/empty.layer"
    refuses 'an empty file as layers' 'an empty file, with which' with_image "$tree" --layers "$work/empty.layer"
    refuses 'a folder as image' "$work: no ordinary file" on "$tree" --image "$work"
    printf '/a = "1"\n/b.c = "2"\n' >"$work/bad.layer"
    printf 'xenstore\0\0\0\2\0\0\0\0' >"$work/records.layer"
    refuses 'layers that are half a record' 'record 1: the records end too early' with_image "$tree" --layers "$work/records.layer"
    refuses 'layers that are wrong' "bad.layer:2:1: unnamed: the path is none" with_image "$tree" --layers "$work/bad.layer"
    mkdir -p "$tree/usr/local/lib/xenstore-stubdom" && touch "$tree/usr/local/lib/xenstore-stubdom/xenstore-stubdom"
    refuses 'a file of somebody else in the place of the image' 'was not put there' with_image "$tree" --dry-run

    tree_of upstream
    rm "$tree/usr/lib/xen/bin/init-xenstore-domain"
    refuses 'tools without init-xenstore-domain' 'no init-xenstore-domain' with_image "$tree"
    tree_of upstream
    echo 'exec oxenstored' >"$tree/etc/xen/scripts/launch-xenstore"
    refuses 'another launch-xenstore' "is not upstream's" with_image "$tree"
    rm "$tree/etc/xen/scripts/launch-xenstore"
    refuses 'no launch-xenstore' 'which is not there' with_image "$tree"
    echo 'ExecStart=/usr/sbin/oxenstored' >"$tree/usr/lib/systemd/system/xenstored.service"
    refuses 'a unit that starts a daemon itself' 'does not start the store by launch-xenstore' with_image "$tree"
    rm "$tree/usr/lib/systemd/system/xenstored.service"
    refuses 'no Xen host' 'no Xen host' with_image "$tree"

    tree_of upstream
    edit '1i if true; then'
    refuses 'settings that are no shell script' 'no sound shell script' with_image "$tree"
    tree_of upstream
    edit '1i return 0'
    refuses 'settings that end early' 'in line 1' with_image "$tree"
    tree_of upstream
    mv "$tree$settings" "$tree$settings.real" && ln -s xencommons.real "$tree$settings"
    refuses 'settings that are a link' 'not an ordinary file' with_image "$tree"
    tree_of upstream
    with_image "$tree" && edit '/^# xenstore-stubdom ends/d'
    refuses 'a block without its end' 'were changed by hand' on "$tree" --uninstall

    tree_of debian-4.17
    settings=/etc/default/xen
    edit 1p
    sed -i 's/xenstore-read -s/xenstore-exists/' "$tree/etc/init.d/xen"
    refuses 'another init script than Debian'"'"'s' 'is not that of Debian' with_image "$tree"
    cp -a "$work/upstream/." "$tree"
    refuses 'two that start a store' 'starts a store twice' with_image "$tree"
}

# Where the system fails it, it says what it could not do, not which line of its own, and leaves nothing half done.
failures() {
    settings=/etc/default/xencommons
    tree_of upstream
    rmdir "$tree/var/lib" "$tree/usr/local/lib"
    ok 'without /var/lib: it installs' with_image "$tree"
    ok 'without /var/lib: it goes back' on "$tree" --uninstall
    ok 'without /var/lib: to the same settings' cmp "$work/upstream$settings" "$tree$settings"
    let_down "/var is no directory" "keep $settings as it is" rm -r "$tree/var" -- touch "$tree/var"
    let_down "/usr/local is no directory" 'copy target/xenstore-stubdom to' rm -r "$tree/usr/local" -- touch "$tree/usr/local"
}
# let_down WHAT WORDS COMMAND... -- COMMAND...: after these commands, it says that it could not do what the words say.
let_down() {
    local what=$1 words=$2 status=0 before command=()
    shift 2
    tree_of upstream
    for word; do
        if [[ $word == -- ]]; then "${command[@]}" && command=(); else command+=("$word"); fi
    done
    "${command[@]}"
    before=$(sha256sum "$tree$settings")
    with_image "$tree" || status=$?
    ok "$what: status 1" test "$status" = 1
    ok "$what: it says what it could not do" says "install: could not $words"
    ok "$what: and none of its own lines" fails grep -E '\$|line [0-9]' "$work/said"
    ok "$what: the settings are untouched" test "$(sha256sum "$tree$settings")" = "$before"
    ok "$what: no unfinished file" test -z "$(find "$tree" -name '.*.new-*')"
}

# The package on Debian 12: its own command finds its own image, and nobody removes it from under the host.
package() {
    local deb=("$PWD"/target/xenstore-stubdom_*_amd64.deb) library=/usr/lib/xenstore-stubdom before file
    settings=/etc/default/xen
    tree_of debian-4.17
    mkdir -p "$tree/var/lib/dpkg/"{info,updates}
    : >"$tree/var/lib/dpkg/status"
    before=$(<"$tree$settings")
    ok 'package: it unpacks and configures' dpkg_in --install "${deb[0]}"
    ok 'package: its configuration for a trial names its image' \
        grep -qx "kernel = \"$library/xenstore-stubdom\"" "$tree$library/xenstore-stubdom.cfg"
    ok 'package: and no file that it does not have' names_no_checkout "$tree$library/xenstore-stubdom.cfg"
    ok 'package: its command calls itself by its name' calls_itself "$tree/usr/sbin/xenstore-stubdom-install"
    for file in $library/{xenstore-stubdom,start,check.sh,xenstore-stubdom.te} /usr/bin/xs-trace /usr/bin/xs-state /usr/bin/xs-layers /usr/share/doc/xenstore-stubdom/docs/install.md; do
        ok "package: it brings $file" test -s "$tree$file"
    done
    ok 'package: the image is untouched' cmp "$image" "$tree$library/xenstore-stubdom"
    ok 'package: so are the settings' cmp <(echo "$before") "$tree$settings"
    ok 'package: its command sets the host' quietly "$tree/usr/sbin/xenstore-stubdom-install" --root "$tree"
    ok "package: to the package's image" reads XENSTORE_DOMAIN_KERNEL $library/xenstore-stubdom
    ok 'package: and start' reads XENSTORED $library/start
    ok 'package: without a copy' test ! -e "$tree/usr/local/lib/xenstore-stubdom"
    cp -a "$work/upstream" "$work/other"
    ok 'package: its command sets another host' quietly "$tree/usr/sbin/xenstore-stubdom-install" --root "$work/other"
    ok 'package: to a copy of its image' cmp "$image" "$work/other/usr/local/lib/xenstore-stubdom/xenstore-stubdom"
    edit '/^# xenstore-stubdom ends/d'
    ok 'package: it stays if the host cannot be set back' fails dpkg_in --remove xenstore-stubdom
    ok 'package: with its image' test -e "$tree$library/xenstore-stubdom"
    sed -i '/^# xenstore-stubdom begins/,$d' "$tree$settings"
    ok 'package: its command sets the host again' quietly "$tree/usr/sbin/xenstore-stubdom-install" --root "$tree"
    ok 'package: it is removed' dpkg_in --remove xenstore-stubdom
    ok 'package: the settings are what they were' cmp <(echo "$before") "$tree$settings"
    ok 'package: and nothing is left' test ! -e "$tree$library"
    ok 'package: it unpacks again' dpkg_in --install "${deb[0]}"
    ok 'package: it is removed, never having been set up' dpkg_in --remove xenstore-stubdom
}
# names_no_checkout FILE: it names no path that only a checkout has.
names_no_checkout() { ! grep -E '(^|[^/a-z])(scripts|target|docs|tests)/' "$1"; }
# calls_itself COMMAND: in its usage and its mistakes, which send nobody to a checkout either.
calls_itself() {
    "$1" --help >"$work/said"
    if "$1" --root "$tree/none" 2>>"$work/said" || "$1" --root "$tree" --image "$work/none" 2>>"$work/said"; then return 1; fi
    names_no_checkout "$work/said" && [[ $(grep -c '^xenstore-stubdom-install: ' "$work/said") == 2 ]] && says 'usage: xenstore-stubdom-install '
}
dpkg_in() {
    quietly dpkg --root="$tree" --force-not-root --force-script-chrootless --log=/dev/null "$@"
}
fails() { ! "$@" >/dev/null; }
quietly() { "$@" >"$work/said" 2>&1 || { cat "$work/said" && return 1; }; }

# ---- a whole Debian, in which a reader of docs/install.md sits

# whole: Debian as its own installer leaves it, with Xen's tools, and this checkout with what is built; sets tree.
whole() {
    choose_release
    prepare_tree "$SUITE" "xen-utils-$XEN" xenstore-utils sudo
    tree=$work/whole
    settings=/etc/default/xen
    as_root rm -rf --one-file-system "$tree"
    as_root cp -a "$TREE" "$tree"
    as_root mkdir -p "$tree/srv/checkout/target"
    as_root cp -a scripts "$tree/srv/checkout/"
    as_root cp "$image" target/xenstore-stubdom_*_amd64.deb "$tree/srv/checkout/target/"
}

# types COMMAND: it is typed at the top of the checkout. Nothing is mounted there, as in many a rescue system.
types() {
    as_root chroot "$tree" env -i HOME=/root TERM=linux PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -c "cd /srv/checkout && $1" \
        >"$work/said" 2>&1 </dev/null || { cat "$work/said" && return 1; }
}
says() { grep -qF -- "$1" "$work/said" || { cat "$work/said" && return 1; }; }

# starts_with WORDS: what the host's init script starts hands them to init-xenstore-domain.
starts_with() {
    local bin=/srv/started/bin
    as_root mkdir -p "$tree$bin"
    printf '#!/bin/sh\necho "$@"\n' | as_root tee "$tree$bin/init-xenstore-domain" >/dev/null
    printf '#!/bin/sh\n' | as_root tee "$tree$bin/xenstore-read" >/dev/null
    as_root chmod +x "$tree$bin"/*
    types "sed 's|^bin=.*|bin=$bin|' $own/start >/srv/start; PATH=$bin:\$PATH sh /srv/start" && says "$1"
}

# What can differ between before and after, if all is taken back.
of_host() {
    (cd "$tree" && { find etc usr/local usr/local/lib var/lib usr/lib usr/bin usr/sbin -maxdepth 1 | sort; } && snapshot etc/default)
}
as_before() { diff <(echo "$1") <(of_host); }

# in_debian: all that docs/install.md has the reader type, with the paths of this host and no option that names another.
in_debian() {
    local name="Debian with $XEN" own=/usr/local/lib/xenstore-stubdom library=/usr/lib/xenstore-stubdom before command
    whole
    before=$(of_host)
    checks_a_host ./scripts/install
    ok "$name: ./scripts/install --check: changes nothing" as_before "$before"
    ok "$name: ./scripts/install --dry-run" types './scripts/install --dry-run'
    ok "$name: changes nothing" as_before "$before"
    ok "$name: it is for root only" types \
        '! setpriv --reuid 65534 --clear-groups ./scripts/install && setpriv --reuid 65534 --clear-groups ./scripts/install --dry-run'
    ok "$name: sudo ./scripts/install" types 'sudo ./scripts/install'
    ok "$name: names the way back" says './scripts/install --uninstall'
    ok "$name: the settings name the image" reads XENSTORE_DOMAIN_KERNEL $own/xenstore-stubdom
    ok "$name: which is there" cmp "$image" "$tree$own/xenstore-stubdom"
    ok "$name: and the program that starts it" reads XENSTORED $own/start
    ok "$name: ./scripts/install --memory 64" types './scripts/install --memory 64'
    ok "$name: sets the memory" reads XENSTORE_DOMAIN_SIZE 64
    ok "$name: ./scripts/install --maxmem 128" types './scripts/install --maxmem 128'
    ok "$name: start gives it to the store" starts_with '--memory 64 --maxmem 128'
    ok "$name: sudo ./scripts/install --uninstall" types 'sudo ./scripts/install --uninstall'
    ok "$name: leaves the host as it was" as_before "$before"

    ok "$name: the package" types 'sudo apt-get install ./target/xenstore-stubdom_*.deb'
    ok "$name: changes no settings" reads XENSTORED ''
    checks_a_host xenstore-stubdom-install
    ok "$name: sudo xenstore-stubdom-install --dry-run" types 'sudo xenstore-stubdom-install --dry-run'
    ok "$name: sudo xenstore-stubdom-install" types 'sudo xenstore-stubdom-install'
    ok "$name: names the way back" says 'xenstore-stubdom-install --uninstall'
    ok "$name: the settings name the package's image" reads XENSTORE_DOMAIN_KERNEL $library/xenstore-stubdom
    ok "$name: xenstore-stubdom-install --memory 32" types 'xenstore-stubdom-install --memory 32'
    ok "$name: sets the memory" reads XENSTORE_DOMAIN_SIZE 32
    ok "$name: xenstore-stubdom-install --uninstall" types 'xenstore-stubdom-install --uninstall'
    ok "$name: takes all of it back" reads XENSTORED ''
    ok "$name: sudo xenstore-stubdom-install, again" types 'sudo xenstore-stubdom-install'
    ok "$name: removing the package" types 'apt-get -y remove xenstore-stubdom'
    ok "$name: leaves the host as it was" as_before "$before"

    # All of it in the page's own words and order; what is slow or ends the machine is for others to try.
    while read -r command; do
        case $command in
            ./scripts/build-image | ./scripts/package | 'sudo reboot' | XENSTORE_DOMAIN_ARGS=*) ;;
            # On a host of another making than this one; checks_a_host has them.
            *--check) ;;
            # For a Xen that enforces Flask, with its source.
            *xenstore-stubdom.te* | *modules.conf | 'make -C tools/flask/policy' | xl\ *) ;;
            *) ok "$name: docs/install.md: $command" types "$command" ;;
        esac
    done < <(typed docs/install.md)
    ok "$name: after which the settings are as before" reads XENSTORED ''
}

upstream
for XEN in $XEN_VERSIONS; do debian; done
package
common upstream /etc/default/xencommons
tree_of upstream
with_image "$tree"
ok 'upstream: the store is a domain' reads XENSTORETYPE domain
ok 'upstream: what the operator gave it stays' reads XENSTORE_DOMAIN_ARGS --verbose
for XEN in $XEN_VERSIONS; do
    common "debian-$XEN" /etc/default/xen
    with_image "$tree"
    start=/usr/local/lib/xenstore-stubdom/start
    ok "debian-$XEN: the init script is told what to start" reads XENSTORED "$start"
    ok "debian-$XEN: which is there" test -x "$tree$start"
done
refusals
distributions
checks_files
links
blanks
neighbours
dashes
named_outside
starts
at_once
on_disk
killed
unheard
private
failures
for XEN in $XEN_VERSIONS; do in_debian; done
exit "$failed"
