#!/usr/bin/env bash
# The packages that scripts/package has built: what lintian and rpm say, what is in them, and whether another build is the same.
# shellcheck source-path=SCRIPTDIR/../scripts
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }
trap 'echo "not ok - unexpected failure at line $LINENO: $BASH_COMMAND"' ERR

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
# shellcheck source=nested.d/messages.sh
. scripts/nested.d/messages.sh
# shellcheck source=nested.d/machine.sh
. scripts/nested.d/machine.sh
need_target
package=target/xenstore-stubdom.deb rpm=target/xenstore-stubdom.rpm
for file in "$package" "$rpm"; do [[ -f $file ]] || die "no $file: scripts/package builds it"; done
need lintian=lintian man=man-db rpm=rpm rpmlint=rpmlint jq=jq
work=$(mktemp -d "${TMPDIR:-/tmp}/package.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# ok WHAT COMMAND...: the command succeeds; what it says is shown if it does not.
ok() {
    if "${@:2}" >"$work/said" 2>&1; then echo "ok - $1"; else echo "not ok - $1" && sed 's/^/# /' "$work/said" && failed=1; fi
}

cp --dereference "$package" "$work/first.deb"
first=$work/$(basename "$(find target -maxdepth 1 -name 'xenstore-stubdom-*.rpm')")
cp --dereference "$rpm" "$first"
dpkg -x "$package" "$work/root"
doc=$work/root/usr/share/doc/xenstore-stubdom

silent() { lintian --fail-on error,warning "$work/first.deb" && ! lintian "$work/first.deb" 2>/dev/null | grep '^[EW]:'; }
ok 'lintian: no error and no warning' silent
# Each override stands below a comment that says why.
reasoned() { awk '/^ *#/ { reason = 1; next } /^$/ { reason = 0; next } /^\]$/ { next } !reason { print; bad = 1 } END { exit bad }' "$1"; }
ok 'lintian: each override has its reason' reasoned scripts/package.d/lintian-overrides

man=$work/root/usr/share/man/man1
for page in xs-trace xs-trace-metrics xs-state xs-state-save xs-layers xs-layers-pack xenstore-stubdom-install; do
    ok "man: $page.1" man --warnings -l "$man/$page.1.gz"
done
# in_blanks: the same page is made in a checkout whose name has blanks.
in_blanks() {
    local here="$work/my checkout"
    mkdir -p "$here/target/package/man"
    cp target/package/xenstore-stubdom-install "$here/target/package/"
    # shellcheck disable=SC2034  # of the function
    (version=$(<target/package/version) && eval "$(sed -n '/^write_install_page() {/,/^}/p' scripts/package)" && cd "$here" && write_install_page) &&
        diff <(tail -n +3 "$here/target/package/man/xenstore-stubdom-install.1") <(tail -n +3 target/package/man/xenstore-stubdom-install.1)
}
ok 'man: in a checkout whose name has blanks' in_blanks
# The options that a page tells are those that its program tells.
options() { grep -oE -- '--[a-z]+[a-z-]*' | sort -u; }
same_options() {
    diff <(zcat "$man/$1.1.gz" | sed 's/\\-/-/g; s/\\f[A-Z]//g' | options) <("${@:2}" --help | options)
}
ok 'xenstore-stubdom-install.1: its options' same_options xenstore-stubdom-install scripts/install
pages_of_here() { zcat "$man"/*.gz | sed 's/\\//g' | grep -F "$PWD"; }
ok 'man: the pages name nothing of this machine' eval '! pages_of_here'
# Each task has a page of its own.
for tool in xs-trace xs-state xs-layers; do
    ok "$tool.1: its options" same_options "$tool" "$work/root/usr/bin/$tool"
    tasks=$("$work/root/usr/bin/$tool" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\) .*/\1/p')
    ok "$tool: has tasks" test "$tasks"
    for task in $tasks; do ok "$tool-$task.1: its options" same_options "$tool-$task" "$work/root/usr/bin/$tool" "$task"; done
    ok "completions: $tool in bash" bash -n "$work/root/usr/share/bash-completion/completions/$tool"
    ok "completions: $tool in zsh" test -s "$work/root/usr/share/zsh/vendor-completions/_$tool"
    ok "completions: $tool in fish" test -s "$work/root/usr/share/fish/vendor_completions.d/$tool.fish"
done

# no_checkout FOLDER: no file of text there names what only a source tree has, unless it says that it is there.
no_checkout() {
    ! grep -rnIE '(^|[^a-z./-])(\./)?(scripts|target|tests|examples|benches|src|fuzz|boot)/' "$1" --exclude-dir=sbom |
        sed -E 's/`[^`]*`[^`]{0,2} of the source//g; s/"purl".*//' |
        grep -E '(^|[^a-z./-])(\./)?(scripts|target|tests|examples|benches|src|fuzz|boot)/'
}
ok 'no file names what only the source has' no_checkout "$work/root"
# The pages that pages name are there, or said to be of the source.
pages_named() {
    local page
    grep -rhoE '`docs/[a-z-]+\.(md|log)`( of the source)?' "$doc" | sort -u | while read -r page; do
        if [[ $page != *' of the source' ]]; then
            page=${page//\`/}
            test -s "$doc/$page" || echo "no $page"
        fi
    done | { ! grep .; }
}
ok 'the pages that pages name are there' pages_named
# So is what they link to.
links_lead() {
    local page link
    find "$doc" -name '*.md' | while read -r page; do
        grep -ohE '\]\([^):]+\)' "$page" | sed 's/^](//; s/)$//; s/#.*//' | while read -r link; do
            test -e "$(dirname "$page")/$link" || echo "${page#"$doc/"}: no $link"
        done || : # Most pages have no link.
    done | { ! grep .; }
}
ok 'what pages link to is there' links_lead
# What programs have printed stands there as they print it.
printed() { awk '/^ *```/ { fenced = !fenced } fenced' "$1"; }
as_printed() { diff <(printed docs/observability.md) <(zcat -f "$doc"/docs/observability.md* | printed /dev/stdin); }
ok 'what programs have printed is whole' as_printed
# So are files of ours that are named by their place on a host.
places_named() {
    local place
    grep -rhoIE '/usr/(local/lib/xenstore-stubdom/x|(lib|sbin|bin|share/doc)/xenstore-stubdom)[A-Za-z0-9./-]*' "$work/root" | sed 's/[.-]*$//' | sort -u | while read -r place; do
        test -e "$work/root$place" || echo "no $place"
    done | { ! grep .; }
}
ok 'the places that are named are there' places_named

# listed PROGRAM: the crates in its list. built OPTION...: those that cargo builds it of.
listed() {
    zcat -f "$doc/sbom/$1.cdx.json"* | jq -r '.components[] | select(.purl | test("file:") | not) | "\(.name) v\(.version)"' | sort -u
}
built() {
    cargo tree --quiet "$@" --edges normal --prefix none --target x86_64-unknown-linux-gnu --format '{p}' |
        grep -vF "($PWD" | sed 's/ (.*//' | sort -u
}
image_listed() { diff <(listed xenstore-stubdom) <(built --package xenstore --features image); }
ok 'sbom: the crates of the image' image_listed
# What makes the lists counts some that no feature in use asks for; none may be left out.
all_listed() { [[ $(built --package "$1" | wc -l) -gt 5 ]] && ! comm -13 <(listed "$1") <(built --package "$1") | grep .; }
for tool in xs-trace xs-state xs-layers; do ok "sbom: the crates of $tool" all_listed $tool; done
of_this_machine() { zcat -f "$doc"/sbom/* | grep -F "$PWD"; }
ok 'sbom: names nothing of this machine' eval '! of_this_machine'
licensed() { zcat -f "$doc"/sbom/*.cdx.json* | jq -e 'all(.components[]; .licenses | length > 0)' | { ! grep -v true; }; }
ok 'sbom: each crate has its licence' licensed

ok 'its version is that of the tools' test "$(cat "$work/root/usr/lib/xenstore-stubdom/version")" = "$("$work/root/usr/bin/xs-trace" --version | cut -d ' ' -f 2)"
says_version() { [[ $("$work/root/usr/sbin/xenstore-stubdom-install" --version) == "xenstore-stubdom-install $(cat "$work/root/usr/lib/xenstore-stubdom/version")" ]]; }
ok 'xenstore-stubdom-install: --version' says_version
ok 'the licence is there' grep -q 'MIT or Apache-2.0' "$doc/copyright"
# ---- the RPM

# In a root of its own, where nothing else is and no script of it is run.
mkdir "$work/rpm"
rpm_in() { rpm --root "$work/rpm" --dbpath /var/lib/rpm --nodeps --noscripts "$@"; }
ok 'rpm: it is whole' rpm -K "$first"
ok 'rpm: it installs' rpm_in --force-debian --install "$first"
ok 'rpm: and is then as it says' rpm_in --verify xenstore-stubdom
field() { [[ $(rpm -qp --qf "%{$1}" "$first") == "$2" ]]; }
ok 'rpm: its name' field NAME xenstore-stubdom
ok 'rpm: its version' field VERSION "$(cat "$work/root/usr/lib/xenstore-stubdom/version")"
ok 'rpm: its licence' field LICENSE 'MIT OR Apache-2.0'
# What each has in a place of its own, by the customs of its distribution.
files_of() {
    (cd "$1" && find . -path ./var -prune -o -type f -print | sed -E 's/\.gz$//; /lintian|copyright|changelog|CHANGELOG|LICENSE|completions?\//d; /site-functions/d' | sort)
}
same_files() { diff <(files_of "$work/root") <(files_of "$work/rpm"); }
ok 'rpm: the files of the Debian package' same_files
same_programs() { for file in usr/{lib/xenstore-stubdom/xenstore-stubdom,sbin/xenstore-stubdom-install,bin/xs-trace,bin/xs-state,bin/xs-layers}; do cmp "$work/root/$file" "$work/rpm/$file" || return 1; done; }
ok 'rpm: the same programs' same_programs
ok 'rpm: the licence and the changes' test -s "$work/rpm/usr/share/licenses/xenstore-stubdom/LICENSE.md" -a -s "$work/rpm/usr/share/doc/xenstore-stubdom/CHANGELOG.md"
told_before() { rpm -qp --scripts "$first" | grep 'xenstore-stubdom-install --uninstall'; }
ok 'rpm: its removal sets the host back' told_before
in_rpm() { rpm -qpl "$first" | grep -x "$1"; }
for page in xs-trace xs-state xs-layers xenstore-stubdom-install; do ok "rpm: $page.1" in_rpm "/usr/share/man/man1/$page.1.gz"; done
clean() { rpmlint --config scripts/package.d/rpmlint.toml "$first" && ! rpmlint --config scripts/package.d/rpmlint.toml "$first" | grep -E ': [EW]: '; }
ok 'rpmlint: no error and no warning' clean
ok 'rpmlint: each filter has its reason' reasoned scripts/package.d/rpmlint.toml
ok 'alerts and dashboard are there' test -s "$doc/docs/monitoring/alerts.yml" -a -s "$doc/docs/monitoring/dashboard.json"

# Files with other times, older and newer than the commit, in a build at another time, are the same packages. So they are after a
# run that was cut off while it listed crates.
again() {
    echo '{}' >fuzz/xs-state_bin.cdx.json
    find docs scripts/package.d scripts/flask scripts/install.d -type f -exec touch -d "$1" {} +
    scripts/package && cmp "$work/first.deb" "$package" && cmp "$first" "$rpm"
}
ok 'built again of older files both have the same bytes' again 2001-01-01
ok 'built again of newer files both have the same bytes' again now
exit "$failed"
