# nested: --guests --limit 300
# Linux guests live and die by this store: xl builds them on it, they find themselves in it and write to
# it from inside, and nothing of them stays behind for the next guest with their domid.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

console() { cat "/var/log/xen/console/guest-$1.log"; }
gone() { ! xenstore-exists "/local/domain/$1"; }
count() { [ "$(grep -c "^$2\$" "$1")" -ge "$3" ]; }
says_answer() { [ "$(xenstore-read "/local/domain/$1/data/answer")" = "$2" ]; }

# tells_of NAME: that it has written to the store from inside. If not, what can be seen of it from outside.
tells_of() {
    becomes 90 "$1: wrote to the store from inside" xenstore-exists "/local/domain/$2/data/hello"
    if ! xenstore-exists "/local/domain/$2/data/hello"; then
        xl debug-keys e
        xl debug-keys q
        { console "$1"; xl vcpu-list; xenstore-control stats "$2"; xenstore-control trace show | tail -n 60; xl dmesg | tail -n 120; } 2>&1 | sed 's/^/# /'
    fi
}

# Sets domid. A guest's first words come from its own reading of its own name.
start_guest() {
    contains "$1: xl create" "Parsing config from $1.cfg" "$(xl create "$1.cfg" 2>&1 || echo failed)"
    domid=$(xl domid "$1")
    matches "$1: has a domid" '^[0-9]+$' "$domid"
}

# A watcher gets one event for the watch itself; each death must come on top of that.
xenstore-watch @releaseDomain >/tmp/released 2>&1 &
becomes 10 'a watcher waits for domains to go' count /tmp/released @releaseDomain 1
xenstore-watch @introduceDomain >/tmp/introduced 2>&1 &
becomes 10 'another waits for domains to come' count /tmp/introduced @introduceDomain 1

for name in one two three; do make_guest $name; done
start_guest one
one=$domid
start_guest two
two=$domid
tells_of one "$one"
tells_of two "$two"
says 'one: read its own name' 'from one' xenstore-read "/local/domain/$one/data/hello"
says 'two: read its own name' 'from two' xenstore-read "/local/domain/$two/data/hello"
matches 'one: owns what it wrote' "^hello .*\\(n$one\\)\$" "$(xenstore-ls -p "/local/domain/$one/data")"
matches 'two: owns what it wrote' "^hello .*\\(n$two\\)\$" "$(xenstore-ls -p "/local/domain/$two/data")"
becomes 10 'both were introduced' count /tmp/introduced @introduceDomain 3

# Something the tools do not know of, so that nobody but the store itself takes it away.
xenstore-write "/kept/by-one" x "/kept/by-two" x
xenstore-chmod /kept/by-one "n$one"
xenstore-chmod /kept/by-two "n$two"

seen=$(grep -c @releaseDomain /tmp/released)
matches 'one: xl shutdown' "Domain $one has been shut down, reason code 0" "$(xl shutdown -w one 2>&1)"
matches 'one: was told by the store' 'guest: told to power off' "$(console one)"
becomes 30 'one: its subtree goes' gone "$one"
becomes 10 'one: the watcher sees it go' count /tmp/released @releaseDomain $((seen + 1))
becomes 10 'one: what it owned elsewhere goes' sh -c '! xenstore-exists /kept/by-one'
says 'two: is not touched' 'from two' xenstore-read "/local/domain/$two/data/hello"
says 'two: keeps what it owned elsewhere' x xenstore-read /kept/by-two

seen=$(grep -c @releaseDomain /tmp/released)
says 'two: xl destroy' '' xl destroy two
becomes 30 'two: its subtree goes' gone "$two"
becomes 10 'two: the watcher sees it go' count /tmp/released @releaseDomain $((seen + 1))
becomes 10 'two: what it owned elsewhere goes' sh -c '! xenstore-exists /kept/by-two'
equal 'nothing of theirs stays' '' "$(xenstore-ls -fp | grep -E "(/($one|$two)(/| )|[(,][nrwb]($one|$two)[,)])")"
equal 'xl lists no guest' '' "$(xl list | grep -E '^(one|two|three) ')"

# Xen hands out domids in turn, so a guest that has the first one's again is made by moving a third there:
# saved with its domid, that number changed in the file, and restored. It also has to find its store again.
start_guest three
tells_of three "$domid"
xenstore-write "/local/domain/$domid/data/ask" before
becomes 20 'three: answers' says_answer "$domid" "three, domain $domid, heard before"
xl save -D three /tmp/three >/tmp/save 2>&1
equal 'three: xl save' 0 $?
# Tools differ in the blanks that they write. The file says how long this part is, so a shorter number is filled up
# with blanks, which JSON allows; a longer one never comes up, since domids rise.
place=$(head -c 65536 /tmp/three | strings -t d | awk '{
    offset = $1
    sub(/^ *[0-9]+ /, "")
    if (match($0, /"domid" *: */)) {
        print offset + RSTART + RLENGTH - 1
        exit
    }
}')
equal 'three: its file names its domid' "$domid" "$(dd if=/tmp/three bs=1 skip="$place" count="${#domid}" 2>/dev/null)"
printf "%${#domid}s" "$one" | dd of=/tmp/three bs=1 seek="$place" conv=notrunc 2>/dev/null
becomes 30 'three: its subtree goes' gone "$domid"

seen=$(grep -c @introduceDomain /tmp/introduced)
LIBXL_DOMID_REUSE_TIMEOUT=0 xl restore /tmp/three >/tmp/restore 2>&1
equal 'three: xl restore' 0 $?
says "three: has the first guest's domid" "$one" xl domid three
becomes 10 'three: was introduced' count /tmp/introduced @introduceDomain $((seen + 1))
says 'three: finds nothing of the first guest' '' xenstore-list "/local/domain/$one/data"
says 'three: its name is its own' three xenstore-read "/local/domain/$one/name"
xenstore-write "/local/domain/$one/data/ask" after
becomes 20 'three: its watch came with it' says_answer "$one" "three, domain $one, heard after"
says 'three: xl destroy' '' xl destroy three
becomes 30 'three: its subtree goes again' gone "$one"
checks_done
