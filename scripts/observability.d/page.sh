# The page: a template whose commands are run, and their output put behind them.
# shellcheck shell=bash
# shellcheck disable=SC2154  # root, work, dump and programs are set by scripts/observability

# write_page TEMPLATE: in a block of ```console, each line that begins with "$ " is a command. A line
# <!-- kinds --> becomes the table of the records' kinds, from their documentation, and <!-- pictured --> tells
# what is in the pictures.
write_page() {
    local line inside=0
    while IFS= read -r line; do
        case $line in
            # The first line of the template is about itself.
            '<!-- template'*) continue ;;
            '<!-- kinds -->') kinds && continue ;;
            '<!-- pictured -->') pictured && continue ;;
        esac
        printf '%s\n' "$line"
        case $line in
            '```console') inside=1 ;;
            '```') inside=0 ;;
            '$ xs-trace top') screen_of_top ;;
            '$ '*) if ((inside)); then answer_of "${line#??}"; fi ;;
        esac
    done <"$1"
}

# answer_of COMMAND: what it prints, without blank lines at its end and blanks at ends of lines.
answer_of() {
    local out
    # The readers of a pipe may stop early.
    out=$(bash -c "$1" 2>&1) || die "'$1' fails: $out"
    if [[ $out ]]; then awk '{ sub(/ +$/, ""); print }' <<<"$out"; fi
}

screen_of_top() {
    tmux -S "$work/tmux" -f /dev/null new-session -d -x 90 -y 12 "$programs/xs-trace top --delay 1"
    sleep 4
    answer_of "tmux -S '$work/tmux' capture-pane -p"
    tmux -S "$work/tmux" send-keys q
}

pictured() {
    if [[ $dump ]]; then
        echo "The pictures show another dump, \`${dump##*/}\`; \`scripts/run\` leaves one of a boot of Xen."
    else
        echo 'The pictures show the same load.'
    fi
}

kinds() {
    echo '| kind | what it tells |'
    echo '|---|---|'
    awk '/^kinds! \{/ { on = 1; next }
         /^\}/ { on = 0 }
         on && /^ *\/\/\/ / { sub(/^ *\/\/\/ /, ""); text = text (text == "" ? "" : " ") $0 }
         on && /^ *[0-9]+ / { gsub(/[",]/, "", $3); gsub(/super::/, "", text); gsub(/\[`|`\]/, "`", text); print "| `" $3 "` | " text " |"; text = "" }' \
        "$root/src/trace/kind.rs"
}

# Of the dump that was asked for, or of the load without the second in which a client reads nothing.
take_pictures() {
    local of=${dump:-$work/day.trace}
    "$programs/xs-trace" report --html report.html "$of"
    picture "$work/observability-report.png" 1000,1450 "file://$PWD/report.html"
    picture "$work/observability-report-dark.png" 1000,900 "file://$PWD/report.html" --blink-settings=preferredColorScheme=0
    picture "$work/observability-report-phone.png" 500,1300 "file://$PWD/report.html"
    "$programs/xs-trace" export --perfetto -o perfetto.json "$of"
    fetch_viewer || die "without it there is no picture of it"
    viewer_of perfetto.json
    picture "$work/observability-viewer.png" 1200,220 "$viewer_url&view=left-heavy"
}
