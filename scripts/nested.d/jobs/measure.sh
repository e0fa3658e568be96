# Upstream's timing program on the server of this run; scripts/bench makes tables of what it says.
# shellcheck source=/dev/null
. /nested/lib.sh

# measured COLUMN: the lines that follow belong to this column of the table.
measured() {
    echo "column: $1"
    test-xenstore -i 200
}

# What dom0 starts after its store is still at work for a moment.
sleep 4
case $SERVER in
    stubdom) name='this server' ;;
    daemon) name='C xenstored' ;;
    *) name=$SERVER ;;
esac
if [ "$SERVER" != stubdom ]; then
    # Clients of a daemon normally use its socket. By the kernel's device they go the way that clients of a
    # stub domain go, so that the servers and not the ways are compared.
    measured "$name, socket" || exit 1
    export XENSTORED_PATH=/dev/xen/xenbus
    name="$name, xenbus"
fi
measured "$name"
