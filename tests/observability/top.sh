#!/usr/bin/env bash
# Drives `xs-trace top` in a terminal, as a user does: tmux has the keyboard and the screen.
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }
trap 'echo "not ok - unexpected failure at line $LINENO: $BASH_COMMAND"' ERR

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../.."
# shellcheck source=../../scripts/nested.d/messages.sh
. scripts/nested.d/messages.sh
need_cargo
cargo build --quiet -p xs-trace -p unix_server -p load
programs=$(cargo metadata --format-version 1 --no-deps |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug

work=$(mktemp -d "${TMPDIR:-/tmp}/top.XXXXXX")
export XENSTORED_PATH=$work/socket
terminal() { tmux -S "$work/tmux" -f /dev/null "$@"; }
trap 'terminal kill-server || :; jobs -p | xargs -r kill 2>/dev/null || :; rm -rf "$work"' EXIT

failed=0
# sees WHAT PATTERN: until a line of the screen matches; 10 s are long enough for any machine.
sees() {
    local try
    for ((try = 0; try < 100; try++)); do
        if terminal capture-pane -p | grep -Eq -- "$2"; then
            echo "ok - $1"
            return 0
        fi
        sleep 0.1
    done
    echo "not ok - $1; nothing on the screen matches '$2':"
    terminal capture-pane -p
    failed=1
}
keys() { terminal send-keys "$@"; }

"$programs/unix_server" --memory 8 "$XENSTORED_PATH" >/dev/null &
server=$!
"$programs/load" day
"$programs/load" busy 120 &
# Of the columns in a row: number, name, requests, latency, events, watches.
busy='^ +0 Domain-0 +[1-9][0-9.k]* +[0-9.k]+ +[1-9][0-9.k]* +1 '

terminal new-session -d -x 90 -y 24 "PS1='ready> ' exec bash --norc --noprofile"
sees 'a shell is ready' '^ready>'
keys "$programs/xs-trace top --delay 0.3" Enter
sees 'the row of a busy domain' "$busy"
sees 'requests and events in all' '^[1-9][0-9.k]* requests/s, 0 errors/s, [1-9][0-9.k]* events/s'
sees 'fill levels' 'watches 1/'
keys M && sees 'M sorts by memory' 'by MEM$'
keys '<' && sees '< moves to the left' 'by NODES$'
keys R && sees 'R reverses' 'by NODES, reversed$'
keys ' ' && sees 'space pauses' 'reversed, paused$'
keys ' ' && sees 'and goes on' 'reversed$'
keys x && sees 'an unknown key is told' "^no key 'x'"
keys d 0.2 Enter && sees 'd changes the delay' 'every 0\.2 s'
keys h && sees 'h helps' 'sort by requests, latency, watches, memory, domid'
keys h
keys Enter && sees 'Enter looks into a domain' '^d0 Domain-0 - Esc: back'
sees 'what it has asked in all' '^requests [1-9][0-9]*, events [1-9][0-9]*, dropped 0,'
sees 'what it holds' '^holds: nodes [1-9][0-9]* \(most [0-9]+, quota 1000\)'
sees 'its requests by type' '^  WRITE +[1-9][0-9]* +0 +[0-9.]+ [µm]s$'
sees 'and one by one' '^ +[0-9.]+  READ +ok +[0-9.]+ [µm]s  /busy/node$'
keys End && sees 'End scrolls there, too' '^ +[0-9.]+  READ +ok'
keys Escape && sees 'Esc goes back' "$busy"
keys / nobody && sees '/ asks for a name' '^only names with: nobody_'
keys Enter && sees 'of which there is none' '^only names with: nobody; Esc: all'
keys / BSpace BSpace BSpace BSpace BSpace BSpace main Enter && sees 'or one, by a part of it' "$busy"
keys Escape
terminal resize-window -x 120 -y 10
sees 'a wide screen has room for names' '^ +0 Domain-0 {30,}[1-9]'
terminal resize-window -x 40 -y 4
sees 'a small screen shows what fits' '^xs-trace top - up'
terminal resize-window -x 50 -y 12
sees 'a small one still has rows' '^ +0 Dom'
sees 'and fill levels' '/[0-9.k]+ \([0-9.]+%\)'
terminal resize-window -x 90 -y 24
sees 'the row again' "$busy"
# A conflict between two looks makes a row stand out.
"$programs/load" conflicts 120 &
colored() { terminal capture-pane -ep | grep -Eq $'\e\\[([0-9]+;)*(3[0-7]|38;5;[0-9]+)m'; }
standing_out() { terminal capture-pane -ep | grep -Eq $'\e\\[(0;)?1[;m].* 0 Domain-0'; }
# within COMMAND: it succeeds once in 10 s.
within() {
    local try
    for ((try = 0; try < 100; try++)); do "$@" && return; sleep 0.1; done
    return 1
}
ok() { if "${@:2}"; then echo "ok - $1"; else echo "not ok - $1"; terminal capture-pane -ep && failed=1; fi; }
ok 'trouble has a color' within colored
keys q
sees 'q ends it' '^ready> *$'
keys "clear; NO_COLOR=1 $programs/xs-trace top --delay 0.3" Enter
ok 'with NO_COLOR it stands out, too' within standing_out
no_color() { ! colored; }
ok 'without any color' no_color
keys q
sees 'q gives the terminal back' '^ready> *$'
keys 'stty -a' Enter
sees 'with echo and lines as before' '( |^)icanon.* echo '
keys "clear; timeout --foreground 5 $programs/xs-trace top --delay 0.3" Enter
sees 'it starts for a while' "$busy"
sees 'SIGTERM gives the terminal back, too' '^ready> *$'
keys 'clear; stty -a' Enter
sees 'also with echo and lines' '( |^)icanon.* echo '
keys "clear; $programs/xs-trace top" Enter
sees 'it starts again' "$busy"
kill "$server"
sees 'a store that goes away is one line' '^xs-trace: lost the store at '
keys 'stty -a' Enter
sees 'and the terminal is given back' '( |^)icanon.* echo '
# A terminal on a serial line has no size.
"$programs/unix_server" --memory 8 "$work/again" >/dev/null &
until [[ -S $work/again ]]; do sleep 0.1; done
XENSTORED_PATH=$work/again "$programs/load" busy 60 &
keys "clear; stty rows 0 cols 0; XENSTORED_PATH=$work/again $programs/xs-trace top" Enter
sees 'one without a size is of the usual one' '^ +0 +[1-9][0-9.k]* '
keys q
sees 'and ends as the others do' '^ready> *$'
keys 'stty -a' Enter
sees 'whose terminal it gives back, too' '( |^)icanon.* echo '
exit "$failed"
