# `--check` of scripts/install in a whole Debian, on hosts that are told by programs in the place of xl and its like.
# shellcheck shell=bash
# shellcheck disable=SC2154  # what tests/install.sh has set

# The command whose --check is looked at, and the folder with what it finds in the place of Xen's programs.
CHECKED='' STANDS_IN=/srv/stands-in

# a_host: one that nothing is wrong with; the files can be edited.
a_host() {
    local to=$tree$STANDS_IN program
    as_root rm -rf "$to" "$tree/dev/xen"
    as_root mkdir -p "$to" "$tree/dev/xen"
    as_root touch "$tree/dev/xen/xenbus"
    printf '%s\n' 'nr_cpus                : 4' 'virt_caps              : pv hvm hap shadow gnttab-v2' \
        'total_memory           : 8191' 'free_memory            : 3000' 'xen_major              : 4' \
        'xen_minor              : 17' 'xen_commandline        : placeholder dom0_mem=4G,max:4G' | as_root tee "$to/info" >/dev/null
    printf '%s\n' 'Name ID Mem VCPUs State Time(s)' 'Domain-0 0 4096 4 r----- 17.0' 'alpha 1 512 1 -b---- 3.0' |
        as_root tee "$to/list" >/dev/null
    echo '[ 0.1] xen:events: Using FIFO-based ABI' | as_root tee "$to/log" >/dev/null
    echo 0 | as_root tee "$to/domid" >/dev/null
    echo 1 | as_root tee "$to/daemons" >/dev/null
    as_root tee "$to/xl" >/dev/null <<'TEXT'
#!/bin/sh
exec cat "${0%/*}/$1"
TEXT
    for program in dmesg=log pgrep=daemons xenstore-read=domid xenstore-exists=daemons; do
        printf '#!/bin/sh\nexec cat "${0%%/*}/%s"\n' "${program#*=}" | as_root tee "$to/${program%=*}" >/dev/null
    done
    as_root chmod +x "$to"/{xl,dmesg,pgrep,xenstore-read,xenstore-exists}
}

# told STATUS WORDS: the command ends so, and a line of what it tells has the words. All its lines are of one kind or the other.
told() {
    types "PATH=$STANDS_IN:\$PATH $CHECKED --check; [ \$? = $1 ]" && says "$2" && ! grep -vE '^(ok|wrong): ' "$work/said" &&
        case $1 in
            0) ! grep '^wrong' "$work/said" ;;
            1) [[ $(grep -c '^wrong' "$work/said") == 1 ]] ;;
        esac
}

# looks WHAT STATUS WORDS [FILE SED]...: at a host of which these files are edited so. One that is wrong is so for one reason.
looks() {
    local what=$1 status=$2 words=$3
    shift 3
    a_host
    for (( ; $#; )); do as_root sed -i "$2" "$tree$STANDS_IN/$1" && shift 2; done
    ok "$name: $CHECKED --check: $what" told "$status" "$words"
}

# checks_a_host COMMAND
checks_a_host() {
    CHECKED=$1
    looks 'a host that is right' 0 'ok: Xen 4.17'
    looks 'an old Xen' 1 'wrong: Xen 4.16: the image needs 4.17 or later' info 's/: 17/: 16/'
    looks 'a Xen after 4' 0 'ok: Xen 5.0' info 's/: 17/: 0/; /xen_major/s/4/5/'
    looks 'a Xen that is not told' 1 'wrong: xl info does not say which Xen' info /xen_minor/d
    looks 'no xl that works' 1 'wrong: xl info: no permission: be root in dom0' xl '2s/.*/echo no permission; exit 1/'
    looks 'no paging by hardware' 1 'wrong: no hardware-assisted paging' info 's/ hap / /'
    looks 'no virtualization' 1 'wrong: no hardware virtualization: switch VT-x' info 's/ hvm hap / /'
    looks 'a dom0 that takes all memory' 1 'wrong: memory: dom0 gets nearly all' info s/dom0_mem/dom0_vcpus/
    looks 'memory that guests hold' 0 "ok: memory: 0 MiB are free and 512 MiB guests'" info 's/: 3000/: 0/'
    looks 'too little memory' 1 'and the store wants 12: give dom0 less' info 's/: 3000/: 11/' list /alpha/d
    looks 'just enough of it' 0 'ok: memory: 12 MiB are free' info 's/: 3000/: 12/' list /alpha/d
    looks 'two-level event channels' 0 'ok: event channels: two-level' log s/FIFO-based/2-level/
    looks 'channels that nobody tells' 0 "ok: event channels: dom0's kernel log no longer" log d
    looks 'a store that is a domain' 0 'ok: the store that runs is domain 3' domid s/0/3/ daemons s/1/0/
    looks 'two daemons' 1 'wrong: two stores run: 2 daemons' daemons s/1/2/
    looks 'a daemon and a domain' 1 'wrong: two stores run: 1 daemon and domain 3' domid s/0/3/
    looks 'a store that does not answer' 1 'wrong: the store that runs does not answer' xenstore-exists '2s/.*/exit 1/'
    a_host
    as_root rm "$tree/dev/xen/xenbus"
    ok "$name: $CHECKED --check: no device" told 1 'wrong: neither /dev/xen/xenbus nor /proc/xen/xenbus'
    a_host
    as_root cp -a "$tree$settings" "$tree/srv/settings"
    as_root sh -c "echo 'return 0' >>'$tree$settings'"
    ok "$name: $CHECKED --check: settings that end early" told 1 'ends early, in line'
    as_root mv "$tree/srv/settings" "$tree$settings"
    a_host
    as_root chmod 600 "$tree$settings"
    CHECKED="setpriv --reuid 65534 --clear-groups $1"
    ok "$name: $CHECKED --check: settings that only root can read" told 1 "$settings cannot be read: be root"
    as_root chmod 644 "$tree$settings"
    as_root rm -r "$tree/dev/xen" "$tree$STANDS_IN"
}
