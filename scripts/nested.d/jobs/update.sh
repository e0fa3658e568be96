# How long a live update has clients wait: the store of this run updates itself with 10 guests, and then with more and more
# nodes. For scripts/bench, which makes a table of what it says: rows, columns and nanoseconds.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/tiny.sh

# updated ROW: the middle one of three.
updated() { echo "# $1|$name|$(for _ in 1 2 3; do /nested/pause "$step" "$image"; done | sort -n | sed -n 2p)"; }

case $SERVER in
    stubdom) name='this server' step=update image=/nested/image thousands='1 5 28' ;;
    # Its pause grows with the square of the nodes.
    daemon) name='C xenstored' step=replace image=$(command -v xenstored) thousands='1 5' ;;
esac
# What dom0 starts after its store is still at work for a moment.
sleep 4
for number in 1 2 3 4 5 6 7 8 9 10; do
    tiny "guest$number" hello
    xl create -q "guest$number.cfg" || exit 1
done
wait_for 60 says_hello guest10 || exit 1
# Both are asked by the same way.
export XENSTORED_PATH=/dev/xen/xenbus
/nested/pause fill 1
updated '1 node'
for thousand in $thousands; do
    /nested/pause fill "${thousand}000" || exit 1
    updated "$thousand,000 nodes"
done
