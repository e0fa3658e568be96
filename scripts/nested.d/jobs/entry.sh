# Hands out what the image's flight recorder has of its start.
# shellcheck source=/dev/null
. /nested/lib.sh

said=$(xs-trace dump /tmp/start.trace 2>&1) || { echo "$said" && exit 1; }
hand_out /tmp/start.trace
