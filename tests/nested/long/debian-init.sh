# nested: --no-start --add scripts/install.d/start:usr/local/lib/xenstore-stubdom/start --add /sbin/start-stop-daemon:usr/bin/daemon-starter --add /usr/bin/choom:usr/bin/choom
# Debian's own init script starts the store as scripts/install sets it to, and leaves it alone when it is run again.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh

# What the init script finds on a whole Debian, as far as it asks for it.
mkdir -p /lib/init /lib/lsb /etc/default
: >/lib/init/vars.sh
for word in daemon progress end warning failure; do
    name=log_${word}_msg
    if [ "$word" = end ]; then echo "$name() { echo \"end: \$1\"; }"; else echo "$name() { echo \"\$*\"; }"; fi
done >/lib/lsb/init-functions
# Busybox' shell takes its own start-stop-daemon, which does not know --test, for Debian's.
sed -i 's,start-stop-daemon --,/usr/bin/daemon-starter --,' /etc/init.d/xen
# As the script writes them.
cat >/etc/default/xen <<'SETTINGS'
XENSTORED=/usr/local/lib/xenstore-stubdom/start
XENSTORE_DOMAIN_KERNEL=/nested/image
XENSTORE_DOMAIN_SIZE=8
XENSTORE_DOMAIN_ARGS="--param loglevel=debug,--quota=nodes=2000"
SETTINGS

# Not straight into a pipe: daemons would keep its end.
init() { /etc/init.d/xen "$1" >/tmp/init 2>&1 && cat /tmp/init; }

matches 'init: the store starts' 'end: 0' "$(init start)"
matches 'init: it is a domain' '^Xenstore +1 +8 ' "$(xl list)"
matches 'init: its options arrived' '^nodes *[:=]? *2000' "$(xenstore-control quota)"
matches 'init: dom0 has its name' '^Domain-0 ' "$(xl list)"

# The share of files that init-xenstore-domain sets up since 4.19: neither end waits for the other.
frontend=/local/domain/1/device/9pfs/0
backend=/local/domain/0/backend/xen_9pfs/1/0
is_closed() { [ "$(xenstore-read "$1/state")" = 6 ]; }
# cpu_time PID: ticks that the process has used.
cpu_time() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
if [ "$XEN" = 4.17 ]; then
    equal 'share: there is none' '' "$(xenstore-ls -f | grep 9pfs)"
else
    becomes 30 "share: the store's end is closed" is_closed "$frontend"
    becomes 30 "share: so is dom0's" is_closed "$backend"
    matches 'share: its state is still the store'"'"'s own' '^state = "6"[ .]*\(n1,r0\)$' "$(xenstore-ls -p "$frontend")"
    pid=$(xenstore-read /local/domain/0/libxl/xen-9pfs/pid)
    equal 'share: xen-9pfsd is there for guests' xen-9pfsd "$(cat "/proc/$pid/comm")"
    before=$(cpu_time "$pid")
    sleep 3
    equal 'share: it has nothing to do' "$before" "$(cpu_time "$pid")"
fi

xenstore-write /kept yes
matches 'init: it starts again' 'end: 0' "$(init start)"
matches 'init: it restarts' 'end: 0' "$(init restart)"
says 'init: it is the same store' yes xenstore-read /kept
if [ "$XEN" != 4.17 ]; then becomes 30 'share: it stays closed' is_closed "$backend"; fi
equal 'init: there is one' 1 "$(xl list | grep -c '^Xenstore ')"
equal 'init: and no daemon' '' "$(pidof xenstored oxenstored)"
checks_done
