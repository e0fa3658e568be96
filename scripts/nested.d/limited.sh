#!/usr/bin/env bash
# limited.sh SECONDS COMMAND...: runs the command as `timeout -k 5` does, and ends it with status 124 when it has had so many
# seconds. Those in which it could run and this machine's processors had other work do not count: on a busy machine all that a job
# does takes longer. PROC is where the kernel's files are, /proc.
set -u
limit=$1
shift

# Seconds that the command's thread that has waited longest has waited for a processor: the second figure of its schedstat, in
# nanoseconds (Linux, scheduler/sched-stats).
waited() {
    local file nanoseconds longest=0
    for file in "${PROC:-/proc}/$command"/task/*/schedstat; do
        read -r _ nanoseconds _ <"$file" || continue
        if ((nanoseconds > longest)); then longest=$nanoseconds; fi
    done
    echo $((longest / 1000000000))
}

# Tells this script when the time is over.
watch() {
    while ((SECONDS < limit + $(waited))); do
        sleep 1
        kill -0 $$ || exit
    done
    kill -USR1 $$
}

ended=
"$@" &
command=$!
trap 'kill "$command"' TERM INT
trap 'ended=124; kill "$command"; { sleep 5; kill -9 "$command"; } >/dev/null 2>&1 &' USR1
# Whoever reads what the command says does not wait for this.
watch >/dev/null 2>&1 &
watcher=$!
while :; do
    # A signal ends the wait, too.
    wait "$command"
    status=$?
    kill -0 "$command" 2>/dev/null || break
done
kill "$watcher" 2>/dev/null
exit "${ended:-$status}"
