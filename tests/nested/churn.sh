# nested: --guests --add target/xs-guest --add target/other/xenstore-stubdom:nested/other --stub-arg --param --stub-arg --allow-fault,--restarts=100000 --limit 900
# once: 4.17
# A store under load that updates itself to another build and back, time and again, and then has faults, time and again:
# nobody is told anything wrong, and all is as it was before.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh
# shellcheck source=/dev/null
. /nested/churn.sh

churn
updates 10 /nested/other /nested/image
faults 60
churned
checks_done
