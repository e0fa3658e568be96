# What README.md and docs/ tell their reader to type.
# shellcheck shell=bash

# typed FILE...: the commands of the code blocks in pages, one a line, without their comments. Not those of blocks that
# show what is printed, and of blocks fenced as `console` only what stands behind the prompt.
typed() {
    awk '
        FNR == 1 { fence = ""; before = "" }
        /^ *```/ { fence = (fence == "" ? $0 : ""); before = ""; next }
        fence ~ /^ *```console/ && /^\$ / { print substr($0, 3) }
        # An indented block begins after an empty line or goes on; in a list its text is two blanks further.
        fence == "" && /^    / && before ~ /^ *$|^    / { print }
        { before = $0 }' "$@" |
        sed -E 's/^ +//; s/ +# .*$//; /^(#.*)?$/d'
}
