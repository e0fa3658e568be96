#!/usr/bin/env bash
# The Flask module for the store's domain compiles, beside as much of Xen's policy as it builds on, and grants these rights
# and no others. Whether they are enough only a Xen that enforces them can tell: docs/install.md.
# shellcheck source-path=SCRIPTDIR/../scripts disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
# shellcheck source=nested.d/messages.sh
. scripts/nested.d/messages.sh
# shellcheck source=nested.d/machine.sh
. scripts/nested.d/machine.sh
need checkpolicy=checkpolicy

module=scripts/flask/xenstore-stubdom.te
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# ok WHAT COMMAND...: the command succeeds.
ok() {
    if "${@:2}" >"$work/said" 2>&1; then echo "ok - $1"; else echo "not ok - $1" && sed 's/^/    /' "$work/said" && failed=1; fi
}

# policy MODULE: a whole policy of little more than the module: the classes, types, roles that Xen's has for it.
policy() {
    cat <<-'BEFORE'
		class security
		class hvm
		class grant
		sid xen
		class security { check_context }
		class hvm { sethvmc gethvmc getparam setparam hvmctl cacheattr }
		class grant { map_read map_write unmap transfer setup copy query }
		type xen_t;
		type dom0_t;
		type xenstore_t;
	BEFORE
    cat "$1"
    cat <<-'AFTER'
		allow xen_t xen_t:security check_context;
		role system_r;
		role system_r types { xen_t dom0_t xenstore_t };
		user system_u roles system_r;
		sid xen system_u:system_r:xen_t
	AFTER
}

# compiles MODULE: as Xen's own makefile compiles a policy, for the oldest Xen that we run on.
compiles() { policy "$1" >"$work/policy.conf" && checkpolicy -t Xen -c 30 -o "$work/policy" "$work/policy.conf"; }
refused() { ! compiles "$1"; }
# grants RULE...: all that the compiled policy allows, beside the one rule of its frame.
grants() {
    checkpolicy -t Xen -b -F -o "$work/rules" "$work/policy" && diff <(printf '%s\n' "$@") <(grep '^allow' "$work/rules" | grep -v '^allow xen_t ')
}

sed 's/gethvmc/gethvmcs/' "$module" >"$work/wrong.te"
ok 'a right that Xen does not know is refused' refused "$work/wrong.te"
ok 'the module compiles' compiles "$module"
ok 'it grants what docs/install.md says' grants \
    'allow dom0_t xenstore_t:grant { map_read map_write unmap };' \
    'allow dom0_t xenstore_t:hvm { gethvmc };'
exit "$failed"
