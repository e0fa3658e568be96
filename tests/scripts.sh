#!/usr/bin/env bash
# Every script of scripts/ tells what it takes, and a mistake in one line: what is wrong and what is allowed.
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
failed=0

# ok WHAT COMMAND...: the command succeeds.
ok() {
    if "${@:2}"; then echo "ok - $1"; else echo "not ok - $1" && failed=1; fi
}

helps() { [[ $("$1" --help) == usage:* ]]; }

# refuses SCRIPT: an argument that none of them knows.
refuses() {
    local said status=0
    said=$("$1" --frob 2>&1 >/dev/null) || status=$?
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
exit "$failed"
