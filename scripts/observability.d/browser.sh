# Pages in a browser without a screen.
# shellcheck shell=bash
# shellcheck disable=SC2154  # work and programs are set by scripts/observability

VIEWER=1.25.0

# browse OPTION... URL: with a profile of its own, offline but for local files; what pages log goes to stderr.
browse() {
    local profile
    profile=$(mktemp -d "$work/profile.XXXXXX")
    timeout 60 chromium --headless --no-sandbox --disable-gpu --enable-unsafe-swiftshader --disable-quic \
        --no-first-run --disable-background-networking --disable-component-update --disable-sync \
        --allow-file-access-from-files --hide-scrollbars --enable-logging=stderr \
        --virtual-time-budget=8000 "--user-data-dir=$profile" "$@"
}

# picture FILE SIZE URL OPTION...
picture() {
    browse "--screenshot=$1" "--window-size=$2" "${@:4}" "$3" >"$work/browser.log" 2>&1 || :
    [[ -s $1 ]] || die "no picture of $3: $(tail -n 3 "$work/browser.log")"
    (($(stat -c %s "$1") < 153600)) || say "${1##*/} is large: $(stat -c %s "$1") bytes"
}

# Unpacks speedscope, a static page that draws trace-event files; false if npm is not here or brings nothing.
fetch_viewer() {
    local cache=$CACHE
    viewer=$cache/speedscope-$VIEWER
    [[ -e $viewer ]] && return 0
    if ! command -v npm >/dev/null; then
        say "without npm there is no viewer for the exported trace"
        return 1
    fi
    mkdir "$work/viewer"
    (cd "$work/viewer" && npm pack --silent "speedscope@$VIEWER" >npm.out 2>npm.log && tar -xzf ./*.tgz) || {
        say "npm brings no viewer: $(tail -n 1 "$work/viewer/npm.log")"
        return 1
    }
    mkdir -p "$cache"
    mv -T "$work/viewer/package/dist/release" "$viewer"
}

# viewer_of FILE: sets viewer_url, where the viewer shows it. It reads a local file from a script's text.
viewer_of() {
    local script=$work/profile.js
    printf 'speedscope.loadFileFromBase64("%s", "%s")\n' "${1##*/}" "$(base64 -w 0 "$1")" >"$script"
    viewer_url="file://$viewer/index.html#localProfilePath=$script"
}

# check WHAT COMMAND...
check() {
    if "${@:2}"; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        failed=1
    fi
}

# logs_no_errors LOG
logs_no_errors() { ! grep -E 'CONSOLE.*(Uncaught|[Ee]rror|Failed)' "$1"; }

# at_least NUMBER PATTERN FILE: so many matches.
at_least() { (($(grep -oE -- "$2" "$3" | wc -l) >= $1)); }

# told NAME SCRIPT OPTION...: what a script finds in the page, which has run it when it is dumped.
told() {
    local name=$1 script=$2
    { cat report.html && echo "<script>document.title = $script</script>"; } >"$name.html"
    browse "${@:3}" --dump-dom "file://$PWD/$name.html" 2>"$name.log" | sed -n 's,.*<title>\(.*\)</title>.*,\1,p' | head -n 1
}

# is WANTED COMMAND...
is() { [[ $("${@:2}") == "$1" ]]; }

# The first cells of the table of types after a click on the heading of its column N.
sorted_by() {
    told sorted "(() => { const table = document.querySelector('#requests-by-type table')
        for (let n = 0; n < $2; n++) table.querySelectorAll('th button')[$1].click()
        return [...table.tBodies[0].rows].slice(0, 2).map((row) => row.cells[0].textContent).join(' ') })()"
}

# Sets failed to 1 if something is not as it should be.
check_in_browser() {
    failed=0
    "$programs/xs-trace" dump store.trace
    "$programs/xs-trace" report --html report.html store.trace >/dev/null
    browse --dump-dom "file://$PWD/report.html" >report.dom 2>report.log || die "chromium fails: $(tail -n 3 report.log)"
    check 'the report logs no errors' logs_no_errors report.log
    check 'it has two drawings at least' at_least 2 '<svg' report.dom
    check 'with lines or bars that are not empty' \
        at_least 4 '<(polyline[^>]* points="[0-9.,]+ [0-9]|path[^>]* d="M|rect[^>]* height="[1-9])' report.dom
    check 'its columns sort, numbers with the most first' is 'READ WRITE' sorted_by 1 1
    check 'and once more the other way round' is 'UNWATCH WATCH' sorted_by 1 2
    check 'names by the alphabet' is 'CONTROL DIRECTORY' sorted_by 0 1
    check 'it is dark where the reader wants that' is 'rgb(27, 29, 33)' \
        told dark 'getComputedStyle(document.body).backgroundColor' --blink-settings=preferredColorScheme=0
    check 'and else light' is 'rgb(255, 255, 255)' told light 'getComputedStyle(document.body).backgroundColor'
    check 'it fits a phone' is true told phone \
        'document.documentElement.scrollWidth <= innerWidth && innerWidth <= 500' --window-size=500,900
    check 'it asks for nothing elsewhere' not grep -E '(src|href)="(https?:)?//' report.html
    "$programs/xs-trace" export --perfetto -o perfetto.json store.trace
    check 'the export has the domain and its requests' at_least 10 '"name":"(READ|WRITE)"' perfetto.json
    if fetch_viewer; then
        viewer_of perfetto.json
        browse --dump-dom "$viewer_url" >viewer.dom 2>viewer.log || die "chromium fails: $(tail -n 3 viewer.log)"
        check 'the viewer logs no errors' logs_no_errors viewer.log
        check 'it shows the track of a domain' at_least 1 'd0 Domain-0 \(tid' viewer.dom
    fi
}

not() { ! "$@"; }
