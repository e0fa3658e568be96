# Requests in the wire's own bytes, in dom0 and in guests, because the tools do not show an error's name and have
# no command for most requests. The kernel hands every type of request on as it is, except WATCH and UNWATCH,
# whose tokens it replaces.

# The numbers are xs_wire.h's.
# shellcheck disable=SC2034  # for those who source this
CONTROL=0 DIRECTORY=1 READ=2 GET_PERMS=3 TRANSACTION_START=6 TRANSACTION_END=7 INTRODUCE=8 RELEASE=9 WRITE=11 \
    MKDIR=12 RM=13 SET_PERMS=14 ERROR=16 IS_DOMAIN_INTRODUCED=17 RESUME=18 SET_TARGET=19 DIRECTORY_PART=22

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

# begin: starts a transaction, and prints its number.
begin() { ask $TRANSACTION_START '|' | sed -n "s/^$TRANSACTION_START \\([0-9]*\\)|\$/\\1/p"; }
