# Runs in a guest: carries out the commands that dom0 writes to data/run, as "ID COMMAND", and answers in data/ran
# with "ID OUTPUT".
xenstore-watch data/run | while read -r _; do
    # The first event only says that the watch is set, and a restored guest's watches all fire.
    asked=$(xenstore-read data/run 2>/dev/null) || continue
    id=${asked%% *}
    [ "$id" != "$(xenstore-read data/ran 2>/dev/null | cut -d' ' -f1)" ] || continue
    xenstore-write data/ran "$id $(sh -c "${asked#* }" 2>&1)"
done &
