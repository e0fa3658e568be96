# Runs in a guest: asks for what is not its own, in the wire's own bytes, because the tools do not show
# the error's name and have no command for most of these requests. The kernel hands every type of
# request on as it is, except WATCH and UNWATCH, whose tokens it replaces.
# shellcheck source=/dev/null
. /nested/check.sh

exec 3<>/dev/xen/xenbus

# word NUMBER: below 65536, in the wire's order, as a printf format (always three digits, as others may follow).
word() { word=$word\\$(($1 / 64 & 3))$(($1 / 8 & 7))$(($1 & 7))\\$(($1 / 16384))$(($1 / 2048 & 7))$(($1 / 256 & 7))'\000\000'; }

# ask TYPE PAYLOAD [TRANSACTION]: PAYLOAD with | for NUL. Prints the answer's type and payload likewise.
# As few processes as can be: each costs an emulated guest much.
ask() {
    local word='' answer type
    word "$1"
    word 1
    word "${3:-0}"
    word "${#2}"
    # shellcheck disable=SC2059  # the request is a format, made for its octals
    printf "$word$(echo "$2" | sed 's/|/\\000/g')" >&3
    # The kernel gives a whole answer to one read: four words, then the payload.
    answer=$(dd bs=8192 count=1 <&3 2>/dev/null | tr '\0' '|')
    type=$(printf %d "'$answer")
    printf '%s %s\n' "$type" "$(printf %s "$answer" | cut -c 17-)"
}

own=$(xenstore-read domid)
victim=$(xenstore-read data/victim)
theirs=/local/domain/$victim

# The numbers are xs_wire.h's.
CONTROL=0 DIRECTORY=1 READ=2 GET_PERMS=3 TRANSACTION_START=6 INTRODUCE=8 RELEASE=9 WRITE=11 MKDIR=12 RM=13
SET_PERMS=14 ERROR=16 IS_DOMAIN_INTRODUCED=17 RESUME=18 SET_TARGET=19 DIRECTORY_PART=22

refused() { equal "$1" "$ERROR EACCES|" "$(ask "$2" "$3" "${4:-0}")"; }

equal 'may read its own name' "$READ intruder" "$(ask $READ 'name|')"
equal 'may write its own data' "$WRITE OK|" "$(ask $WRITE 'data/mine|x')"
equal 'may change who reads its own data' "$SET_PERMS OK|" "$(ask $SET_PERMS "data/mine|n$own|r0|")"

refused 'READ of another domain' $READ "$theirs/name|"
refused 'READ of what another guest wrote' $READ "$theirs/data/hello|"
refused 'READ of what is not even there' $READ "$theirs/data/none|"
refused 'READ of what belongs to dom0' $READ '/tool/secret|'
refused 'DIRECTORY of another domain' $DIRECTORY "$theirs|"
refused 'DIRECTORY_PART of another domain' $DIRECTORY_PART "$theirs|0|"
refused 'GET_PERMS of another domain' $GET_PERMS "$theirs/name|"
refused 'WRITE to another domain' $WRITE "$theirs/data/hello|changed"
refused 'WRITE of a new node of another domain' $WRITE "$theirs/data/new|x"
refused 'MKDIR in another domain' $MKDIR "$theirs/data/new|"
refused 'RM in another domain' $RM "$theirs/data/hello|"
refused 'RM of another domain' $RM "$theirs|"
refused 'RM of everything' $RM '/|'
refused 'SET_PERMS in another domain' $SET_PERMS "$theirs/data/hello|n$own|"
refused 'WRITE in the root' $WRITE '/made-by-intruder|x'
refused 'WRITE of its own name, which is for reading' $WRITE 'name|other'
equal 'SET_PERMS that gives its own node away' "$ERROR EPERM|" "$(ask $SET_PERMS 'data/mine|n0|')"

transaction=$(ask $TRANSACTION_START '|' | sed -n "s/^$TRANSACTION_START \\([0-9]*\\)|\$/\\1/p")
matches 'may start a transaction' '^[1-9][0-9]*$' "$transaction"
refused 'READ of another domain in it' $READ "$theirs/name|" "$transaction"
refused 'WRITE to another domain in it' $WRITE "$theirs/data/hello|changed" "$transaction"

refused 'INTRODUCE' $INTRODUCE "$victim|1044476|1|"
refused 'INTRODUCE of a domain that is not there' $INTRODUCE '4711|1|1|'
refused 'RELEASE' $RELEASE "$victim|"
refused 'RESUME' $RESUME "$victim|"
refused 'SET_TARGET' $SET_TARGET "$own|$victim|"
refused 'IS_DOMAIN_INTRODUCED' $IS_DOMAIN_INTRODUCED "$victim|"
refused 'CONTROL' $CONTROL 'help|'
equal 'a type that does not exist' "$ERROR ENOSYS|" "$(ask 90 '|')"

refuses 'xenstore-read of another domain' xenstore-read "$theirs/name"
refuses 'xenstore-write to another domain' xenstore-write "$theirs/data/hello" changed
refuses 'xenstore-rm in another domain' xenstore-rm "$theirs/data"
refuses 'xenstore-ls of another domain' xenstore-ls "$theirs"

(xenstore-watch "$theirs" | while read -r path; do echo "watch: $path"; done) &
echo 'checks: done'
