# A page for a host that has the package and no source: commands are the package's, those that build are left out, and what only
# the source has is said to be there. `has` are the pages of the package, with a blank before and behind each.

function of_source(path) {
    if (path ~ /^(\.\/)?(scripts|target|tests|examples|benches|src|fuzz|boot|\.cargo)(\/|$)/) return 1
    return path ~ /^docs\/[a-z-]+\.(md|log)/ && !index(has, " " path " ")
}

# What is typed: nothing is built on such a host.
function typed(line) {
    gsub(/(\.\/)?scripts\/build-image && /, "", line)
    if (line ~ /(scripts\/(build-image|build-tool|package|run|test)|cargo (install|build|run)|target\/xenstore-stubdom_)/) return ""
    return line
}

/^## / { skipped = /^## (Try it|As a package)$/ }
/^### On a running host/ { skipped = 0 }
skipped || /`scripts\/docs`/ { next }

{
    gsub(/(\.\/)?scripts\/xenstore-stubdom\.cfg/, "/usr/lib/xenstore-stubdom/xenstore-stubdom.cfg")
    gsub(/\/usr\/local\/lib\/xenstore-stubdom\/xenstore-stubdom/, "/usr/lib/xenstore-stubdom/xenstore-stubdom")
    gsub(/(\.\/)?scripts\/install( |`|$)/, "xenstore-stubdom-install&")
    gsub(/xenstore-stubdom-install(\.\/)?scripts\/install/, "xenstore-stubdom-install")
}
/^ *```/ {
    fenced = !fenced
    print
    next
}
fenced || /^    / {
    line = typed($0)
    if (line != "" || $0 == "") print line
    next
}
# A span of code may go on in the next line.
{
    n = split($0, part, "`")
    line = ""
    for (i = 1; i <= n; i++) {
        line = line part[i]
        if (i == n) break
        line = line "`"
        if (spanned) {
            path = part[i]
            sub(/^[A-Z]+=[A-Z]+ /, "", path)
            sub(/[ ,:].*/, "", path)
            if (of_source(path)) line = line " of the source"
        }
        spanned = !spanned
    }
    print line
}
