# The jobs in dom0 of a Xen in QEMU: a queue that two lanes take from, and what each run came to.
# shellcheck shell=bash
# shellcheck disable=SC2154  # logs, part, versions and the functions of scripts/test

# A run is one job on one version of Xen and one server; its name is `JOB XEN SERVER`. Each that has ended leaves a
# file of that name in the cache folder, where other checkouts find it, too: KEY PASSED FAILED SECONDS.
results=$CACHE/runs

# What the log of a run says whose machine stood still until its limit, and that was booted once more.
STOOD_STILL='the machine stood still until its limit, and is booted once more; it had said'

# servers_of JOB: the servers that the job is run on, by its line `# servers:`; the image if it has none.
servers_of() { sed -n 's/^# servers: *//p' "$1" | grep . || echo stubdom; }

# versions_of JOB: the versions of Xen that the job is run on. Its line `# once:` names one that is enough for every day; the others
# are for the part `long`.
versions_of() {
    local once
    once=$(sed -n 's/^# once: *//p' "$1")
    if [[ $part != long && " $versions " == *" ${once:-none} "* ]]; then echo "$once"; else echo "$versions"; fi
}

# options_of JOB: the options of its boot, by its first line.
options_of() { sed -n '1s/^# nested: *//p' "$1"; }

# by_limit JOB...: a line each, those first whose boot may take longest: so neither lane waits long for the other in the end.
by_limit() {
    local job
    for job in "$@"; do
        echo "$(options_of "$job" | sed -n 's/.*--limit \([0-9]*\).*/\1/p') $job"
    done | sort -s -k 1,1nr | cut -d ' ' -f 2-
}

# key_of JOB SERVER: what a result is about: the image, the job with the files that it names, and what boots it. Other
# ones have other results. A package differs each time it is built, so what it is made of stands for it.
key_of() {
    local word file files=("$1" scripts/nested)
    for word in $(options_of "$1"); do
        file=${word%%:*}
        case $file in
            *.deb) files+=(target/xenstore-stubdom target/xs-trace target/xs-state target/xs-layers scripts/install scripts/package Cargo.toml) ;;
            *) if [[ -f $file ]]; then files+=("$file"); fi ;;
        esac
    done
    if [[ $2 == stubdom ]]; then files+=(target/xenstore-stubdom); fi
    {
        cat "${files[@]}"
        find scripts/nested.d scripts/install.d scripts/package.d -type f ! -path '*/jobs/*' -print0 | sort -z | xargs -0 cat
    } | sha256sum | cut -c 1-16
}

# result_of JOB XEN SERVER: PASSED FAILED SECONDS of that run; status 1 if it has not been made with these very files.
result_of() {
    local file key rest
    file="$results/$(basename "$1" .sh) $2 $3"
    if [[ ! -e $file ]]; then return 1; fi
    read -r key rest <"$file"
    if [[ $key != "$(key_of "$1" "$3")" ]]; then return 1; fi
    echo "$rest"
}

# fill_queue JOB...: a line each, of version, server and file, for the runs to do. What has passed before counts as
# it did then, but only in the part `long`.
fill_queue() {
    local xen server job result passed failed seconds
    mkdir -p "$results"
    for job in "$@"; do
        for xen in $(versions_of "$job"); do
            for server in $(servers_of "$job"); do
                if [[ $part != long ]]; then
                    if [[ $server == stubdom ]]; then echo "$xen $server $job"; fi
                elif result=$(result_of "$job" "$xen" "$server") && [[ $result =~ ^[0-9]+\ 0\  ]]; then
                    read -r passed failed seconds <<<"$result"
                    say "ok before: $(basename "$job" .sh) on Xen $xen, $server ($passed passed, $seconds s)"
                    echo "$passed 0 0" >>"$logs/counts"
                else
                    echo "$xen $server $job"
                fi
            done
        done
    done >"$logs/queue"
}

# take_job: the first line of the queue, which is gone from it then; status 1 when there is none.
take_job() {
    (
        flock 9
        head -n 1 "$logs/queue" | grep . && sed -i 1d "$logs/queue"
    ) 9>"$logs/queue.lock"
}

# nested_lane: runs jobs until there are no more.
nested_lane() {
    local xen server job name
    while read -r xen server job < <(take_job); do
        name="$(basename "$job" .sh) on Xen $xen"
        if [[ $server != stubdom ]]; then name+=", $server"; fi
        step "$name" nested_job "$job" "$xen" "$server"
    done
}

# nested_job JOB XEN SERVER: runs it and keeps the result. A job that stops early may do so with status 0; only its
# last line says that it ran.
nested_job() {
    local job=$1 xen=$2 server=$3 key out passed failed status=0 begin=$SECONDS options
    key=$(key_of "$job" "$server")
    read -ra options < <(options_of "$job")
    # A job that chooses its server itself says so in its options, which come last.
    local command=(env "XEN=$xen" scripts/nested --server "$server" --image target/xenstore-stubdom "${options[@]}" "$job")
    out=$("${command[@]}") || status=$?
    # Of a machine that stands still, nothing says whether the store is at fault or TCG, which loses interrupts (XEN_TICK in
    # nested.d/boot.sh). One such boot is told of, and made once more. A second one in a row is a failure.
    if ((status == 124)) && ! grep -q '^not ok' <<<"$out"; then
        say "$STOOD_STILL:"
        # Lines that nobody counts: the second boot says them, too.
        sed 's/^/# /' <<<"$out"
        status=0
        out=$("${command[@]}") || status=$?
    fi
    printf '%s\n' "$out"
    if ((status == 0)) && ! grep -qx 'checks: done' <<<"$out"; then
        echo 'not ok - the job came to its end'
        out+=$'\nnot ok - the job came to its end'
        status=1
    fi
    read -r passed failed < <(count <(printf '%s\n' "$out"))
    if ((status && failed == 0)); then failed=1; fi
    echo "$key $passed $failed $((SECONDS - begin))" >"$results/$(basename "$job" .sh) $xen $server"
    return "$status"
}
