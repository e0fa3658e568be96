# nested: --no-start
# The tools every Xen host runs at boot find their store and can use it: init-xenstore-domain,
# xen-init-dom0, xl and each of the xenstore-* commands.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

# The moment when init-xenstore-domain has handed dom0's ring over shows as its open file: no client may
# ask before, and the first question after it is answered as soon as the stub domain serves.
handed_over() {
    for file in "/proc/$1/fd"/*; do
        [ "$(readlink "$file")" != /dev/xen/xenbus ] || return 0
    done
    return 1
}

begin=$(now)
case $SERVER in
    stubdom)
        start_stubdom >/tmp/start 2>&1 &
        starter=$!
        until handed_over "$(pidof init-xenstore-domain)" || ! kill -0 "$starter" 2>/dev/null; do usleep 5000; done
        ;;
    *) start_server >/tmp/start 2>&1 & starter=$! ;;
esac
wait_for 30 xenstore-exists /
first=$(($(now) - begin))
status=0
wait "$starter" || status=$?
equal "$SERVER starts, without complaint" 0 "$status$(cat /tmp/start)"
echo "# $SERVER on Xen $XEN: first answer after $first ms, started after $(($(now) - begin)) ms"

says 'xen-init-dom0 sets dom0 up' 'Done setting up Dom0' xen-init-dom0
says 'dom0 has its domid' 0 xenstore-read /local/domain/0/domid
says 'dom0 has its name' Domain-0 xenstore-read /local/domain/0/name

domains=$(xl list 2>&1)
matches 'xl list shows dom0' '^Domain-0 +0 +[0-9]+ +1 ' "$domains"
if [ "$SERVER" = stubdom ]; then
    domid=$(xenstore-read /tool/xenstored/domid)
    matches 'xl list shows the stub domain' "^Xenstore +$domid +[0-9]+ +1 " "$domains"
    says 'the stub domain is in the store' "/local/domain/$domid" sh -c "xenstore-exists /local/domain/$domid/domid && echo /local/domain/$domid"
fi

says 'write, then read' 'a value' sh -c 'xenstore-write /t/a/b "a value" && xenstore-read /t/a/b'
says 'write makes the parents' '' xenstore-read /t/a
says 'several in one command' 'one
two' sh -c 'xenstore-write /t/1 one /t/2 two && xenstore-read /t/1 /t/2'
says 'an empty value' '' sh -c 'xenstore-write /t/empty "" && xenstore-read /t/empty'
long=$(printf '%01900d' 7)
says 'a long value' "$long" sh -c "xenstore-write /t/long $long && xenstore-read /t/long"
says 'list' '1 2 a empty long ' sh -c "xenstore-list /t | sort | tr '\n' ' '"
says 'list of full paths' '/t/a/b' xenstore-list -p /t/a
says 'exists: a node that is there' '' xenstore-exists /t/a/b
xenstore-exists /t/none
equal 'exists: a node that is not there' 1 $?
refuses 'read of a node that is not there' xenstore-read /t/none
says 'ls' 'b = "a value"' xenstore-ls /t/a
says 'ls with full paths' '/t/a/b = "a value"' xenstore-ls -f /t/a
matches 'ls of everything has dom0' '^ +name = "Domain-0"$' "$(xenstore-ls)"

# The tool fills the space before the permissions with dots.
perms() { xenstore-ls -p "$1" | sed 's/[ .]*  (/ (/'; }
xenstore-chmod /t/a/b n0 r7
equal 'chmod' 'b = "a value" (n0,r7)' "$(perms /t/a)"
xenstore-chmod -r /t/a n0 b9
equal 'chmod of a subtree' 'a = "" (n0,b9)
 b = "a value" (n0,b9)' "$(perms /t | sed -n '/^a = /,/^ b/p')"

says 'rm of a subtree' '1' sh -c 'xenstore-rm /t/a; xenstore-exists /t/a/b; echo $?'
refuses 'rm of a node whose parent is not there' xenstore-rm /t/none/deeper
says 'rm -t takes the empty parents too' '1' sh -c 'xenstore-write /u/v/w x; xenstore-rm -t /u/v/w; xenstore-exists /u; echo $?'

# A watch fires once when it is set, and then for each change at or below its path.
xenstore-watch -n 4 /t/watched >/tmp/watched 2>&1 &
watcher=$!
becomes 10 'watch: tells that it is set' grep -qx /t/watched /tmp/watched
xenstore-write /t/watched 1
xenstore-write /t/watched/below/deep 2
xenstore-write /t/beside 3
xenstore-rm /t/watched
becomes 10 'watch: ends after the events it waited for' sh -c "! kill -0 $watcher"
equal 'watch: names what changed, in order' '/t/watched
/t/watched
/t/watched/below/deep
/t/watched' "$(cat /tmp/watched)"

xenstore-rm /t
checks_done
