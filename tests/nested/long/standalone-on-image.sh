# nested: --add target/xenstore-stubdom:nested/store --add scripts/xenstore-stubdom.cfg --add target/xs-trace:usr/bin/xs-trace --add tests/nested/standalone.sh
# The image under plain `xl create` on a host whose store is the image, too.
# shellcheck source=/dev/null
. /nested/standalone.sh
