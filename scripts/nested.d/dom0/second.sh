# What the second of two hosts runs in the place of a job: it joins the cable and does what the first asks of it.

# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/network.sh
# shellcheck source=/dev/null
. /nested/pair.sh

join_cable 2 && take_commands
