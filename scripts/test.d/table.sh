# The table of what the jobs on Xen came to, for docs/compatibility.md.
# shellcheck shell=bash
# shellcheck disable=SC2154  # XEN_VERSIONS
# shellcheck disable=SC2016  # marks and names in the text's own quotes

TABLE_BEGIN='<!-- The table below is written by `scripts/test long --save`. -->'
TABLE_END='<!-- The table ends. -->'

# summary_of JOB: the first sentence of its comment.
summary_of() {
    awk '/^# (nested|servers|once|shellcheck)/ { next }
         /^# / { text = text " " substr($0, 3); next }
         { exit }
         END {
             sub(/^ /, "", text)
             if (match(text, /\. /)) text = substr(text, 1, RSTART)
             print text
         }' "$1"
}

# cell JOB XEN SERVER: what that run came to, with its day if it was made with other files.
cell() {
    local file key passed failed seconds text=''
    file="$results/$(basename "$1" .sh) $2 $3"
    if [[ " $(servers_of "$1" | xargs) " != *" $3 "* ]]; then
        echo
    elif [[ -e $file ]]; then
        read -r key passed failed seconds <"$file"
        if ((failed)); then text="$failed of $((passed + failed)) fail"; else text="$passed checks, $seconds s"; fi
        if [[ $key != "$(key_of "$1" "$3")" ]]; then text+=", $(date -u -r "$file" +%F)"; fi
        echo "$text"
    else
        echo 'not run'
    fi
}

# print_table JOB...: a row for each job.
print_table() {
    local job xen server row
    row='| job | what it shows |'
    for xen in $XEN_VERSIONS; do row+=" $xen, image | $xen, C |"; done
    printf '%s\n' "$row" "|---|---|$(for xen in $XEN_VERSIONS; do printf -- '---|---|'; done)"
    for job in "$@"; do
        row="| \`$(basename "$job" .sh)\` | $(summary_of "$job") |"
        for xen in $XEN_VERSIONS; do
            for server in stubdom daemon; do row+=" $(cell "$job" "$xen" "$server") |"; done
        done
        printf '%s\n' "$row"
    done
}

# save_table FILE JOB...: puts the table between the two marks of the file.
save_table() {
    local file=$1 new
    shift
    grep -qxF -- "$TABLE_BEGIN" "$file" && grep -qxF -- "$TABLE_END" "$file" || die "$file lacks the marks of the table"
    new=$(mktemp "$file.XXXXXX")
    TABLE=$(print_table "$@") awk -v begin="$TABLE_BEGIN" -v end="$TABLE_END" '
        $0 == end { inside = 0 }
        !inside { print }
        $0 == begin { inside = 1; print "\n" ENVIRON["TABLE"] "\n" }' "$file" >"$new"
    cat "$new" >"$file"
    rm "$new"
}
