# Runs in a guest, to its end: a shell on its console, for who types there. Not in the background, where a shell has
# Ctrl-C ignored.
while :; do setsid -c sh -i </dev/hvc0 >/dev/hvc0 2>&1; done
