# What jobs use that live with guests: `. /nested/guests.sh`, after lib.sh and check.sh.

# up NAME: the guest of that name has written its first words to the store.
up() { xenstore-exists "/local/domain/$(xl domid "$1")/data/hello"; }

# in_guest NAME COMMAND: what the command says inside a guest whose script is tests/nested/guest/commands.sh.
in_guest() {
    local at id
    at=/local/domain/$(xl domid "$1")/data || return 1
    id=$(now)
    xenstore-write "$at/run" "$id $2"
    wait_for 40 sh -c "xenstore-read $at/ran | grep -q '^$id '" || { echo "$1 does not answer" && return 1; }
    xenstore-read "$at/ran" | cut -d' ' -f2-
}

# make_commands_guest NAME: as make_guest, for in_guest.
make_commands_guest() { make_guest "$1" /nested/commands.sh; }

# state NAME: the flags that xl list shows of it.
state() { xl list "$1" | awk 'NR == 2 { print $5 }'; }

# memory NAME: its MiB, as xl list shows them.
memory() { xl list "$1" | awk 'NR == 2 { print $3 }'; }

# traces DOMID...: what the store still holds of these domains.
traces() {
    local ids
    ids=$(echo "$*" | tr ' ' '|')
    xenstore-ls -fp | grep -E "(/($ids)(/| )|[(,][nrwb]($ids)[,)])"
}

# traceless DOMID...: xl takes the last traces away a moment after the domain is gone.
traceless() { [ -z "$(traces "$@")" ]; }
