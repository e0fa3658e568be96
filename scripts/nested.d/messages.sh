# What the scripts say to their user: always on stderr, so that stdout is the job's alone.
# shellcheck shell=bash

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# An operator's mistake or a missing part: one line, status 2, so that it differs from a failed job (1).
die() { say "$*"; exit 2; }
