# What scripts/run shows: the store as dom0 sees it, and a guest that finds itself in it.
# shellcheck source=/dev/null
. /nested/lib.sh

title() { printf '\n== %s\n' "$*"; }

title 'xl list'
xl list
title 'xenstore-ls'
xenstore-ls
title 'xl create guest.cfg: a Linux guest, about 10 seconds under emulation'
make_guest guest
xl create guest.cfg || exit 1
domid=$(xl domid guest) || exit 1
wait_for 120 xenstore-exists "/local/domain/$domid/data/hello" || {
    echo 'the guest did not come up; its console:'
    cat /var/log/xen/console/guest-guest.log
    exit 1
}
xl list
title "xenstore-read /local/domain/$domid/data/hello: what it wrote from inside"
xenstore-read "/local/domain/$domid/data/hello" || exit 1
title "xl shutdown guest, and its nodes are gone"
xl shutdown -w guest || exit 1
wait_for 30 sh -c "! xenstore-exists /local/domain/$domid" || exit 1
xenstore-list /local/domain | sed 's:^:/local/domain/:'

# For scripts/run, which reports on it.
said=$(xs-trace dump /tmp/boot.trace 2>&1) || { echo "$said" && exit 1; }
hand_out /tmp/boot.trace
