#!/usr/bin/env bash
# scripts/test's own books: which runs on Xen are to be made, which have passed already, and the table of them.
# shellcheck source-path=SCRIPTDIR/../scripts
# shellcheck disable=SC2016  # names in quotes of the text
# shellcheck disable=SC2034  # read by the files sourced here
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }
trap 'echo "not ok - unexpected failure at line $LINENO: $BASH_COMMAND"' ERR

scripts=$(realpath "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../scripts")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
NESTED_CACHE=$work logs=$work part=long versions="4.17 4.20" XEN_VERSIONS="4.17 4.20" failed=0
# shellcheck source=nested.d/messages.sh
. "$scripts/nested.d/messages.sh"
# shellcheck source=test.d/jobs.sh
. "$scripts/test.d/jobs.sh"
# shellcheck source=test.d/table.sh
. "$scripts/test.d/table.sh"

# is WHAT WANTED GOT
is() {
    if [[ $2 == "$3" ]]; then echo "ok - $1"; else printf 'not ok - %s\n# wanted: %s\n# got: %s\n' "$@" && failed=1; fi
}

# queue JOB...: the runs to be made.
queue() { fill_queue "$@" 2>/dev/null && cat "$logs/queue"; }

# ended RUN JOB SERVER PASSED FAILED: that run has come to this.
ended() { echo "$(key_of "$2" "$3") $4 $5 60" >"$results/$1"; }

mkdir -p target scripts/nested.d scripts/install.d scripts/package.d "$results"
touch scripts/nested scripts/nested.d/lib.sh
echo image >target/xenstore-stubdom
echo guest >guest.sh
printf '%s\n' '# nested: --add guest.sh' '# servers: stubdom daemon' '# One thing. And' '# more of it.' >one.sh
printf '%s\n' '# nested: --guests' '# A thing whose' '# sentence goes on.' '. x' >two.sh

is 'servers: those of the line' 'stubdom daemon' "$(servers_of one.sh)"
is 'servers: the image without one' stubdom "$(servers_of two.sh)"
all=$'4.17 stubdom one.sh\n4.17 daemon one.sh\n4.20 stubdom one.sh\n4.20 daemon one.sh\n4.17 stubdom two.sh\n4.20 stubdom two.sh'
is 'a first call makes all runs' "$all" "$(queue one.sh two.sh)"

ended 'one 4.17 stubdom' one.sh stubdom 12 0
ended 'one 4.17 daemon' one.sh daemon 11 0
ended 'one 4.20 stubdom' one.sh stubdom 10 2
ended 'two 4.20 stubdom' two.sh stubdom 7 0
is 'the next one makes those that have not passed' \
    $'4.20 stubdom one.sh\n4.20 daemon one.sh\n4.17 stubdom two.sh' "$(queue one.sh two.sh)"
part=nested
is 'everyday jobs are always run, on the image' $'4.17 stubdom one.sh\n4.20 stubdom one.sh' "$(queue one.sh)"
printf '%s\n' '# nested: --guests' '# once: 4.20' '# A thing.' >three.sh
is 'on one version those for which that is enough' '4.20 stubdom three.sh' "$(queue three.sh)"
is 'on another one where it is left out' '4.17 stubdom three.sh' "$(versions=4.17 queue three.sh)"
printf '%s\n' '# nested: --limit 90' >soon.sh
printf '%s\n' '# nested: --guests --limit 600 --add x' >late.sh
is 'those come first that may take longest' 'late.sh soon.sh one.sh two.sh' "$(by_limit one.sh soon.sh two.sh late.sh | xargs)"
part=long
is 'and on all in the long part' $'4.17 stubdom three.sh\n4.20 stubdom three.sh' "$(queue three.sh)"

is 'the table: each run by what it came to' '| job | what it shows | 4.17, image | 4.17, C | 4.20, image | 4.20, C |
|---|---|---|---|---|---|
| `one` | One thing. | 12 checks, 60 s | 11 checks, 60 s | 2 of 12 fail | not run |
| `two` | A thing whose sentence goes on. | not run |  | 7 checks, 60 s |  |' "$(print_table one.sh two.sh)"
printf '%s\n' above "$TABLE_BEGIN" old "$TABLE_END" below >page.md
is 'the table: what a job shows, without the lines that say how it is run' '| `three` | A thing. |' "$(print_table three.sh | grep -o '.*A thing. |')"
save_table page.md two.sh
is 'the page: what stands around the table stays' 'above below' "$(sed -n '1p;$p' page.md | xargs)"
is 'the page: the old table goes' '' "$(grep old page.md || :)"
is 'the page: the new one is there' 1 "$(grep -c '^| `two`' page.md)"

echo other >target/xenstore-stubdom
is 'another image has all its runs made again' \
    $'4.17 stubdom one.sh\n4.20 stubdom one.sh\n4.20 daemon one.sh' "$(queue one.sh)"
touch -d 2026-11-28 "$results/one 4.20 stubdom"
is 'the table: a run of another image has its day' '| 2 of 12 fail, 2026-11-28 |' \
    "$(print_table one.sh | grep -o '| 2 of[^|]*|')"
ended 'one 4.17 daemon' one.sh daemon 11 0
echo other >guest.sh
is 'so has a file of the job, on each server' 4 "$(queue one.sh | wc -l)"
ended 'one 4.17 daemon' one.sh daemon 11 0
echo other >scripts/nested.d/lib.sh
is 'so has what all jobs use' 4 "$(queue one.sh | wc -l)"
# A machine that stands still, and one that does so after a failure.
count() { echo "$(grep -c '^ok' "$1") $(grep -c '^not ok' "$1")"; }
cat >scripts/nested <<'NESTED'
#!/bin/sh
echo boot >>boots
[ "$(wc -l <boots)" -gt "$(cat still)" ] || { cat says; exit 124; }
printf '%s\n' 'ok - a' 'checks: done'
NESTED
chmod +x scripts/nested
# boots_of STILL SAYS: how often a job is booted whose first STILL machines stand still after these words, and its status.
# What it has printed is in the file `printed`.
boots_of() {
    local status=0
    rm -f boots
    echo "$1" >still
    echo "$2" >says
    nested_job one.sh 4.17 stubdom >printed 2>&1 || status=$?
    echo "$(wc -l <boots) $status"
}
is 'one that ends is booted once' '1 0' "$(boots_of 0 '')"
is 'one that stands still is booted once more' '2 0' "$(boots_of 1 'ok - a')"
is 'and no more' '2 124' "$(boots_of 2 'ok - a')"
is 'one that has failed before is not' '1 124' "$(boots_of 1 'not ok - a')"
boots_of 1 $'ok - a\nok - b' >/dev/null
is 'what the first one said is told' '# ok - b' "$(grep 'ok - b' printed)"
is 'and not counted' 1 "$(grep -c '^ok' printed)"

# limited SECONDS COMMAND...: the status that the command comes to with that limit.
limited() {
    local status=0
    bash "$scripts/nested.d/limited.sh" "$@" >/dev/null 2>&1 || status=$?
    echo "$status"
}
# that_waits SECONDS END: a program that has waited for a processor so long, and ends by itself after END seconds.
that_waits() {
    printf '%s\n' 'mkdir -p "$PROC/$$/task/1"' "echo '0 ${1}000000000 1' >\"\$PROC/\$\$/task/1/schedstat\"" "exec sleep $2" >waits.sh
    echo waits.sh
}
export PROC=$work/proc
is 'limit: who ends in time has its own status' 7 "$(limited 60 sh -c 'exit 7')"
is 'limit: who does not has that of a limit' 124 "$(limited 1 sleep 60)"
is 'limit: also one that has waited for a processor, but not long' 124 "$(limited 1 sh "$(that_waits 1 60)")"
is 'limit: the time in which a command waits for a processor is not its own' 0 "$(limited 3 sh "$(that_waits 60 5)")"
bash "$scripts/nested.d/limited.sh" 60 sh -c 'echo $$ >started; exec sleep 60' &
until [[ -s started ]]; do sleep 0.1; done
kill $!
ended=0
wait $! || ended=$?
is 'limit: who is to end ends its command' '143 gone' "$ended $(kill -0 "$(<started)" 2>/dev/null || echo gone)"

exit "$failed"
