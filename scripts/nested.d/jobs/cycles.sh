# Has the image's flight recorder take down what upstream's timing program asks, and hands the records out.
# shellcheck source=/dev/null
. /nested/lib.sh

# What dom0 starts after its store is still at work for a moment.
sleep 4
test-xenstore -i 200 || exit 1
said=$(xs-trace dump /tmp/load.trace 2>&1) || { echo "$said" && exit 1; }
hand_out /tmp/load.trace
