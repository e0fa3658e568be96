# nested: --dom0 debian --server daemon --guests --add target/xenstore-stubdom.deb
# A Debian host's years with this store, from its own C daemon there and back, as docs/install.md types it: the package
# comes, sets the host up, is upgraded and goes, and the host boots after each.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/debian.sh

settings=/etc/default/xen

# guest_lives WHEN: a guest comes, is known on both sides, and goes without a trace.
guest_lives() {
    local id
    make_guest alpha
    quietly "$1: xl create" xl create -q alpha.cfg
    id=$(xl domid alpha)
    boots 300 "$1: the guest is up" alpha
    says "$1: it has found its name" 'from alpha' xenstore-read "/local/domain/$id/data/hello"
    xenstore-write "/local/domain/$id/data/ask" "$1"
    becomes 60 "$1: it answers" xenstore-exists "/local/domain/$id/data/answer"
    says "$1: with what it was asked" "alpha, domain $id, heard $1" xenstore-read "/local/domain/$id/data/answer"
    matches "$1: xenconsoled logs what it says" 'guest: alpha said hello' "$(cat /var/log/xen/console/guest-alpha.log)"
    matches "$1: xl shutdown" "Domain $id has been shut down, reason code 0" "$(xl shutdown -w alpha 2>&1)"
    quietly "$1: another of that name" xl create -q alpha.cfg
    boots 300 "$1: is up" alpha
    quietly "$1: xl destroy" xl destroy alpha
    becomes 60 "$1: nothing of them stays" traceless "$id" "$((id + 1))"
    refuses "$1: nobody has the name" xl domid alpha
}

# host_works WHEN SERVER: it has booted as it should, and its guests live.
host_works() {
    host_started "$1: the host has started all its services"
    says "$1: xen.service is active" active systemctl is-active xen.service
    equal "$1: it is served by" "$2" "$(server_kind)"
    matches "$1: xl lists dom0" '^Domain-0 +0 ' "$(xl list)"
    says "$1: the store knows dom0" Domain-0 xenstore-read /local/domain/0/name
    guest_lives "$1"
}

# version_serving: as the image says on Xen's console.
version_serving() { xl dmesg | sed -n 's/.*xenstore-stubdom \([0-9.]*\): domain .*/\1/p'; }

# Ours, and one that is newer, with as many characters, so that it fits into the image.
ours=$(dpkg-deb -f /nested/xenstore-stubdom.deb Version)
ours=${ours%-*}
newer=$(echo "$ours" | tr 0-8 9)

# make_newer: a package like ours, but of that version, as its image says, too.
make_newer() {
    dpkg-deb -R /nested/xenstore-stubdom.deb /tmp/newer &&
        sed -i "s/^Version: .*/Version: $newer-1/" /tmp/newer/DEBIAN/control &&
        sed -i "s/xenstore-stubdom $ours/xenstore-stubdom $newer/g" /tmp/newer/usr/lib/xenstore-stubdom/xenstore-stubdom &&
        (cd /tmp/newer && find usr -type f -exec md5sum {} + >DEBIAN/md5sums) &&
        dpkg-deb -b /tmp/newer /tmp/xenstore-stubdom.deb
}

# is_version VERSION: of our package, and where dpkg finds all its files to be as they were.
is_version() {
    # shellcheck disable=SC2016  # dpkg's own variable
    equal "package: its version" "$1" "$(dpkg-query -W -f '${Version}' xenstore-stubdom)"
    says 'package: its files are whole' '' dpkg --verify xenstore-stubdom
}

# of_ours: what a host still has of our package, its tools' own records aside.
of_ours() {
    find / -xdev -name '*xenstore-stubdom*' ! -path '/nested/*' ! -path '/var/cache/*' ! -path '/var/log/*' ! -path '/tmp/*'
    dpkg-query -W xenstore-stubdom 2>/dev/null
}

case $PHASE in
    1)
        host_works 'on the C daemon' daemon
        cp -a "$settings" /root/settings-before
        serving=$(pidof xenstored)
        cd /nested || exit
        quietly 'install: apt-get install' apt-get -qq install ./xenstore-stubdom.deb
        says 'install: the host is as before' '' cmp "$settings" /root/settings-before
        is_version "$ours-1"
        matches 'install: the dry run says what would be done' '^xenstore-stubdom-install: would set /etc/default/xen' \
            "$(xenstore-stubdom-install --dry-run --memory 16)"
        says 'install: and changes nothing' '' cmp "$settings" /root/settings-before
        quietly 'install: xenstore-stubdom-install' xenstore-stubdom-install --memory 16
        matches 'install: the settings name the image' \
            '^XENSTORE_DOMAIN_KERNEL=/usr/lib/xenstore-stubdom/xenstore-stubdom$' "$(cat "$settings")"
        equal 'install: the store that runs is not touched' "$serving" "$(pidof xenstored)"
        matches 'install: and serves' '^Domain-0 +0 ' "$(xl list)"
        reboot_host
        ;;
    2)
        host_works 'on our image' stubdom
        matches 'on our image: it has its memory' '^Xenstore +1 +16 ' "$(xl list)"
        says 'on our image: the store is sound' OK xenstore-control check
        equal "on our image: it is of the package's version" "$ours" "$(version_serving)"
        matches 'on our image: xs-trace top shows dom0' '^ *0 ' "$(xs-trace top --once 2>&1)"
        quietly 'on our image: xs-trace dump' xs-trace dump /tmp/trace
        matches "on our image: xs-trace has the guest's first words" 'WRITE.*/data/hello' \
            "$(xs-trace show --type WRITE /tmp/trace | grep /data/)"
        quietly 'upgrade: a newer package is made' make_newer
        quietly 'upgrade: apt-get install' apt-get -qq install /tmp/xenstore-stubdom.deb
        is_version "$newer-1"
        equal 'upgrade: the store that runs is not touched' "$ours" "$(version_serving)"
        says 'upgrade: and serves' OK xenstore-control check
        reboot_host
        ;;
    3)
        host_works 'upgraded' stubdom
        equal 'upgraded: the newer image serves' "$newer" "$(version_serving)"
        matches 'upgraded: it has its memory as before' '^Xenstore +1 +16 ' "$(xl list)"
        quietly 'remove: apt-get remove' apt-get -qq -y remove xenstore-stubdom
        says 'remove: the settings are as before' '' cmp "$settings" /root/settings-before
        equal 'remove: nothing of ours is left' '' "$(of_ours)"
        matches 'remove: the store that runs still serves' '^Domain-0 +0 ' "$(xl list)"
        reboot_host
        ;;
    4)
        host_works 'back on the C daemon' daemon
        equal 'back on the C daemon: nothing of ours is left' '' "$(of_ours)"
        checks_done
        ;;
esac
