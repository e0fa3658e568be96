# Tiny guests (target/xs-guest) in dom0: their configurations, and what they say. Needs a run with
# `--add target/xs-guest`.

# The roles that attack.
# shellcheck disable=SC2034  # for those who source this
ATTACKS="indexes torn endless deaf rebind kick watch-flood event-storm transaction-flood deep wide quotas open-reads idle-start large-values many-lists long-watches commits long-paths prepared deep-removal losing unread deaths half strangers crowd mix"

# tiny NAME ROLE [OPTION...]: a configuration NAME.cfg of a guest that does what ROLE says.
tiny() {
    local name=$1
    shift
    cat >"$name.cfg" <<CONFIG
name = "$name"
type = "pvh"
kernel = "/nested/xs-guest"
extra = "$*"
memory = 2
vcpus = 1
on_poweroff = "destroy"
on_crash = "preserve"
CONFIG
}

# console NAME: what it has said, line ends as here.
console() { tr -d '\r' <"/var/log/xen/console/guest-$1.log"; }

# says_hello NAME: it has found its store.
says_hello() { xenstore-read "/local/domain/$(xl domid "$1")/data/hello" | grep -q " from domain $(xl domid "$1")\$"; }

# gone DOMID
gone() { ! xenstore-exists "/local/domain/$1"; }

# only_these DOMIDS: the store has homes for no others.
only_these() { [ "$(xenstore-list /local/domain)" = "$1" ]; }

# levels: how much the store has in use of each of its arenas, charges dom0 with, and has of Xen.
levels() {
    xenstore-control stats | sed -n '/^memory$/,$p' | awk 'NF > 3 { used = $(NF - 2); NF -= 3; print $0, used }'
    xenstore-control quota 0 | awk '$2 == ":" { print "dom0:", $1, $3 }'
    echo "event channels $(lsevtchn "$(xenstore-read /tool/xenstored/domid)" | wc -l)"
    xl info | awk '$1 == "free_memory" { print "free MiB", $3 }'
}

# same_levels FILE: they are as they were.
same_levels() { levels | cmp -s "$1" -; }

# has_ended NAME: its rounds are done.
has_ended() { console "$1" | grep -q '^[a-z-]*: ended'; }

# events_seen NAME, events_due NAME: of its last report.
events_seen() { console "$1" | sed -n 's/.*: ended.* \([0-9]*\) events of [0-9]*$/\1/p'; }
events_due() { console "$1" | sed -n 's/.*: ended.* events of \([0-9]*\)$/\1/p'; }
