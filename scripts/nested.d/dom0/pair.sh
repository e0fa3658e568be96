# What both of two hosts use, in a run with --second and --dom0 full: `. /nested/pair.sh`, after network.sh. The first
# has the address 1 of the network, the second the address 2.

# Where a host takes commands, and where it takes guests.
COMMAND_PORT=7001 MIGRATION_PORT=7002

# listen PORT COMMAND...: answers each connection with the command. It may wait for children, which nc does not.
listen() {
    local port=$1
    shift
    nc -ll -p "$port" -e /usr/bin/env --default-signal=CHLD "$@"
}

# join_cable NUMBER: a bridge with this host's address, with the cable on it; from here on the host takes guests.
join_cable() {
    modprobe -a virtio_pci virtio_net && wait_for 30 test -e /sys/class/net/eth0 || return 1
    make_bridge "$1" && ip link set eth0 master xenbr0 && ip link set eth0 up || return 1
    listen $MIGRATION_PORT xl migrate-receive 2>/dev/console &
}

# take_commands: carries out what the other host sends, each command on a connection of its own.
take_commands() { listen $COMMAND_PORT sh /nested/command.sh; }

# on_second COMMAND...: what the command says on the second host; its status. The command may use all the functions
# that jobs use.
on_second() {
    local said
    said=$(echo "$*" | nc "$NETWORK.2" $COMMAND_PORT)
    case $said in
        *'status '[0-9]*) ;;
        *) echo 'the second host does not answer' && return 1 ;;
    esac
    printf '%s' "${said%status *}"
    return "${said##*status }"
}

# to_host: the path of a program that is called as ssh and takes a guest to the host of that address.
to_host() {
    cat >/tmp/to-host <<SCRIPT
#!/bin/sh
exec nc "\$1" $MIGRATION_PORT
SCRIPT
    chmod +x /tmp/to-host
    echo /tmp/to-host
}
