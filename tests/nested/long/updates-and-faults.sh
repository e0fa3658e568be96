# nested: --guests --add target/xs-guest --add target/other/xenstore-stubdom:nested/other --stub-arg --param --stub-arg --allow-fault,--restarts=100000 --limit 5400
# A hundred updates of a store under load, to another build and back, and a thousand faults: nobody is told anything
# wrong, and all is as it was before.
# shellcheck source=/dev/null
. /nested/lib.sh
# shellcheck source=/dev/null
. /nested/check.sh
# shellcheck source=/dev/null
. /nested/tiny.sh
# shellcheck source=/dev/null
. /nested/churn.sh

churn
updates 100 /nested/other /nested/image
faults 1000
churned
checks_done
