# Runs in a guest: asks for what is not its own.
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/ask.sh

own=$(xenstore-read domid)
victim=$(xenstore-read data/victim)
theirs=/local/domain/$victim

refused() { equal "$1" "$ERROR EACCES|" "$(ask "$2" "$3" "${4:-0}")"; }

equal 'may read its own name' "$READ intruder" "$(ask "$READ" 'name|')"
equal 'may write its own data' "$WRITE OK|" "$(ask "$WRITE" 'data/mine|x')"
equal 'may change who reads its own data' "$SET_PERMS OK|" "$(ask "$SET_PERMS" "data/mine|n$own|r0|")"

refused 'READ of another domain' "$READ" "$theirs/name|"
refused 'READ of what another guest wrote' "$READ" "$theirs/data/hello|"
refused 'READ of what is not even there' "$READ" "$theirs/data/none|"
refused 'READ of what belongs to dom0' "$READ" '/tool/secret|'
refused 'DIRECTORY of another domain' "$DIRECTORY" "$theirs|"
refused 'DIRECTORY_PART of another domain' "$DIRECTORY_PART" "$theirs|0|"
refused 'GET_PERMS of another domain' "$GET_PERMS" "$theirs/name|"
refused 'WRITE to another domain' "$WRITE" "$theirs/data/hello|changed"
refused 'WRITE of a new node of another domain' "$WRITE" "$theirs/data/new|x"
refused 'MKDIR in another domain' "$MKDIR" "$theirs/data/new|"
refused 'RM in another domain' "$RM" "$theirs/data/hello|"
refused 'RM of another domain' "$RM" "$theirs|"
refused 'RM of everything' "$RM" '/|'
refused 'SET_PERMS in another domain' "$SET_PERMS" "$theirs/data/hello|n$own|"
refused 'WRITE in the root' "$WRITE" '/made-by-intruder|x'
refused 'WRITE of its own name, which is for reading' "$WRITE" 'name|other'
equal 'SET_PERMS that gives its own node away' "$ERROR EPERM|" "$(ask "$SET_PERMS" 'data/mine|n0|')"

transaction=$(begin)
matches 'may start a transaction' '^[1-9][0-9]*$' "$transaction"
refused 'READ of another domain in it' "$READ" "$theirs/name|" "$transaction"
refused 'WRITE to another domain in it' "$WRITE" "$theirs/data/hello|changed" "$transaction"

refused 'INTRODUCE' "$INTRODUCE" "$victim|1044476|1|"
refused 'INTRODUCE of a domain that is not there' "$INTRODUCE" '4711|1|1|'
refused 'RELEASE' "$RELEASE" "$victim|"
refused 'RESUME' "$RESUME" "$victim|"
refused 'SET_TARGET' "$SET_TARGET" "$own|$victim|"
refused 'IS_DOMAIN_INTRODUCED' "$IS_DOMAIN_INTRODUCED" "$victim|"
refused 'CONTROL' "$CONTROL" 'help|'
equal 'a type that does not exist' "$ERROR ENOSYS|" "$(ask 90 '|')"

refuses 'xenstore-read of another domain' xenstore-read "$theirs/name"
refuses 'xenstore-write to another domain' xenstore-write "$theirs/data/hello" changed
refuses 'xenstore-rm in another domain' xenstore-rm "$theirs/data"
refuses 'xenstore-ls of another domain' xenstore-ls "$theirs"

(xenstore-watch "$theirs" | while read -r path; do echo "watch: $path"; done) &
echo 'checks: done'
