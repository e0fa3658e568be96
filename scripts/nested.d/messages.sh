# What the scripts say to their user: always on stderr, so that stdout is the job's alone.
# shellcheck shell=bash

# The cache folder is found by it. Where nobody has set it, as in a service, bash knows the user's own all the same.
if [[ ! ${HOME:-} ]]; then
    unset HOME
    export HOME=~
fi

# A cd goes where it says.
unset CDPATH

# Where all lies that is fetched or built once for every checkout. From wherever a script goes it is the same.
CACHE=$(realpath -ms -- "${NESTED_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xenstore-stubdom}")

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

# no_words WORD...: of a script that takes none, but tells its usage.
no_words() {
    if (($# == 0)); then return; fi
    case $1 in
        -h | --help) usage && exit 0 || exit ;;
        *) no_option "$1" ;;
    esac
}

# need_target: what is built here has a place.
need_target() {
    local target
    target=$(realpath "${BASH_SOURCE[0]%/*}/../..")/target
    mkdir -p "$target" 2>/dev/null && [[ -w $target ]] || die "cannot write to $target, where all goes that is built: work in a checkout that you can write to"
}

# need_cache: what is fetched has a place.
need_cache() {
    mkdir -p "$CACHE" 2>/dev/null && [[ -w $CACHE ]] || die "cannot write to $CACHE, where all goes that is fetched: NESTED_CACHE chooses another folder"
}

# can_write NAME FILE: what is to be written at the end has a place. FILE is absolute.
can_write() {
    [[ ! -d $2 && -w $(dirname "$2") && (! -e $2 || -w $2) ]] || die "$1: cannot write the file $2"
}

# can_fill NAME FOLDER: the same for files in a folder, which is made if it is missing.
can_fill() {
    local folder=$2
    while [[ ! -e $folder ]]; do folder=$(dirname "$folder"); done
    [[ -d $folder && -w $folder ]] || die "$1: cannot write to the folder $2"
}

# need_cargo: what is here can be built.
need_cargo() {
    command -v cargo >/dev/null || die "cargo is missing: install Rust with rustup (see rustup.rs)"
    need_target
}
