# What the scripts say to their user: always on stderr, so that stdout is the job's alone.
# shellcheck shell=bash

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# A folder in the cache that is not complete yet, and that nobody has a use for if it does not become so.
UNFINISHED=

# An operator's mistake or a missing part: one line, status 2, so that it differs from a failed job (1).
die() {
    say "$*"
    if [[ $UNFINISHED ]]; then rm -rf "$UNFINISHED"; fi
    exit 2
}

# no_option WORD: a mistake in the call. What is allowed is what `usage` names, in its first lines or before others.
no_option() {
    local allowed
    allowed=$(usage | awk '
        /^usage:|^ +scripts\// {
            while (match($0, /--[a-z-]+/)) {
                print substr($0, RSTART, RLENGTH)
                $0 = substr($0, RSTART + RLENGTH)
            }
        }
        /^  --/ { print $1 }
        END { print "--help" }' | sort -u | paste -sd ' ')
    die "no option '$1'; allowed: $allowed"
}
