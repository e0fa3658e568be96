# What jobs use whose guests have a network: `. /nested/network.sh`, after guests.sh, in a run with --dom0 full.

# The network of dom0 and its guests.
NETWORK=192.0.2

# make_bridge NUMBER: the bridge that Debian's scripts put guests' interfaces on, with dom0's address of that number.
make_bridge() {
    ip link add xenbr0 type bridge && ip address add "$NETWORK.$1/24" dev xenbr0 && ip link set xenbr0 up
}

# ports: the interfaces on the bridge.
ports() { find /sys/class/net/xenbr0/brif -type l -exec basename {} \; | sort | xargs; }

# ports_are INTERFACES
ports_are() { [ "$(ports)" = "$1" ]; }

# mac NUMBER: of the interface that has this number on the network; 99 at most.
mac() { echo "00:16:3e:00:00:$1"; }

# add_vif NAME NUMBER: an interface for the guest of the configuration NAME.cfg.
add_vif() { echo "vif = [\"mac=$(mac "$2"),bridge=xenbr0\"]" >>"$1.cfg"; }

# take_address NAME INTERFACE ADDRESS: the guest waits for its interface and takes the address; says nothing if that
# went well.
take_address() {
    in_guest "$1" "[ -d /sys/module/xen_netfront ] || insmod /modules/devices/*-xen-netfront.ko;\
 until [ -e /sys/class/net/$2 ]; do usleep 200000; done; ip address add $3/24 dev $2 && ip link set $2 up"
}

# reaches ADDRESS: dom0 gets an answer from there.
reaches() { ping -c 1 -W 5 "$1"; }

# guest_reaches NAME ADDRESS: the guest gets one.
guest_reaches() { [ "$(in_guest "$1" "ping -c 1 -W 5 $2 >/dev/null && echo reached")" = reached ]; }

# vif_states BACKEND DOMID NUMBER: what the store says of both ends of a guest's interface; 4 is connected.
vif_states() {
    xenstore-read "/local/domain/$1/backend/vif/$2/$3/state" "/local/domain/$2/device/vif/$3/state" | xargs
}

# ssh_here: the path of a program that is called as ssh and runs the command on this very host.
ssh_here() {
    cat >/tmp/ssh-here <<'SCRIPT'
#!/bin/sh
shift
exec sh -c "$*"
SCRIPT
    chmod +x /tmp/ssh-here
    echo /tmp/ssh-here
}
