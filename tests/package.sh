#!/usr/bin/env bash
# The Debian package that scripts/package has built: what lintian says, what is in it, and whether another build is the same.
# shellcheck source-path=SCRIPTDIR/../scripts
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
trap 'echo "not ok - unexpected failure at line $LINENO: $BASH_COMMAND"' ERR

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=nested.d/messages.sh
. scripts/nested.d/messages.sh
# shellcheck source=nested.d/machine.sh
. scripts/nested.d/machine.sh
need lintian=lintian man=man-db
package=target/xenstore-stubdom.deb
[[ -f $package ]] || die "no $package: scripts/package builds it"
work=$(mktemp -d "${TMPDIR:-/tmp}/package.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# ok WHAT COMMAND...: the command succeeds; what it says is shown if it does not.
ok() {
    if "${@:2}" >"$work/said" 2>&1; then echo "ok - $1"; else echo "not ok - $1" && sed 's/^/# /' "$work/said" && failed=1; fi
}

cp --dereference "$package" "$work/first.deb"
dpkg -x "$package" "$work/root"
doc=$work/root/usr/share/doc/xenstore-stubdom

silent() { lintian --fail-on error,warning "$work/first.deb" && ! lintian "$work/first.deb" 2>/dev/null | grep '^[EW]:'; }
ok 'lintian: no error and no warning' silent
# Each override stands below a comment that says why.
reasoned() { awk '/^#/ { reason = 1; next } /^$/ { reason = 0; next } !reason { print; bad = 1 } END { exit bad }' "$1"; }
ok 'lintian: each override has its reason' reasoned scripts/package.d/lintian-overrides

for page in xs-trace.1 xs-trace-metrics.1 xs-state.1 xs-layers.1 xenstore-stubdom-install.1; do
    ok "man: $page" man --warnings -l "$work/root/usr/share/man/man1/$page.gz"
done
# The options that a page tells are those that its program tells.
options() { grep -oE -- '--[a-z]+[a-z-]*' | sort -u; }
same_options() {
    diff <("$1" --help | options) <(zcat "$work/root/usr/share/man/man1/$2" | sed 's/\\-/-/g; s/\\f[A-Z]//g' | options)
}
ok 'xenstore-stubdom-install.1: its options' same_options scripts/install xenstore-stubdom-install.1.gz
ok 'completions: of bash' bash -n "$work/root/usr/share/bash-completion/completions/xs-trace"

# What is not for readers names nothing of a checkout.
foreign() { ! grep -rnE '(^|[^a-z/])(scripts|target|docs|examples)/' "$work/root/usr/lib/xenstore-stubdom" --include='*.cfg' --include=start; }
ok 'nothing names files that the package has not' foreign
ok 'its version is that of the tools' test "$(cat "$work/root/usr/lib/xenstore-stubdom/version")" = "$("$work/root/usr/bin/xs-trace" --version | cut -d ' ' -f 2)"
says_version() { [[ $("$work/root/usr/sbin/xenstore-stubdom-install" --version) == "xenstore-stubdom-install $(cat "$work/root/usr/lib/xenstore-stubdom/version")" ]]; }
ok 'xenstore-stubdom-install: --version' says_version
ok 'the licence is there' grep -q 'MIT or Apache-2.0' "$doc/copyright"
ok 'alerts and dashboard are there' test -s "$doc/docs/monitoring/alerts.yml" -a -s "$doc/docs/monitoring/dashboard.json"

# Files with other times, in a build at another time, are the same package.
again() {
    find docs scripts/package.d -type f -exec touch {} +
    scripts/package && cmp "$work/first.deb" "$package"
}
ok 'built again it has the same bytes' again
exit "$failed"
