# What the interactive shell in dom0 begins with.

# shellcheck source=/dev/null
. /nested/lib.sh
PS1='dom0# '
if [ -e /nested/guest-kernel ]; then make_guest guest; fi
cat <<TEXT

A shell in dom0 of Xen $XEN. Try: xl list, xenstore-ls, xenstore-watch /local/domain,
xs-trace top, xl create guest.cfg, xl console guest (Ctrl-] leaves it).
"exit" or Ctrl-D ends the machine; Ctrl-A X ends it at once.
TEXT
