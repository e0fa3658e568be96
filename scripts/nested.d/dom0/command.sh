# Answers one connection to the second host's take_commands: carries out what it says and adds the status.

# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/guests.sh
# shellcheck source=/dev/null
. /nested/network.sh
# shellcheck source=/dev/null
. /nested/pair.sh

(eval "$(cat)") 2>&1
echo "status $?"
