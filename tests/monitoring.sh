#!/usr/bin/env bash
# What xs-trace tells monitoring, as a real Prometheus takes it: promtool on metrics, alerts and the dashboard's
# expressions, and a scrape.
# shellcheck source-path=SCRIPTDIR/../scripts
# shellcheck disable=SC2317  # commands that are arguments of others
set -Eeuo pipefail
(($# == 0)) || { echo "${0##*/}: no argument '$1'; allowed: none" >&2 && exit 2; }
trap 'echo "not ok - unexpected failure at line $LINENO: $BASH_COMMAND"' ERR

cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
# shellcheck source=nested.d/messages.sh
. scripts/nested.d/messages.sh
# shellcheck source=nested.d/machine.sh
. scripts/nested.d/machine.sh
need_cargo
need promtool=prometheus prometheus=prometheus jq=jq curl=curl
cargo build --quiet -p xs-trace -p unix_server -p load
programs=$(cargo metadata --format-version 1 --no-deps |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')/debug

work=$(mktemp -d "${TMPDIR:-/tmp}/monitoring.XXXXXX")
trap 'jobs -p | xargs -r kill 2>/dev/null || :; wait; rm -rf "$work"' EXIT
export XENSTORED_PATH=$work/socket
failed=0

# ok WHAT COMMAND...: the command succeeds; what it says is shown if it does not.
ok() {
    if "${@:2}" >"$work/said" 2>&1; then echo "ok - $1"; else echo "not ok - $1" && sed 's/^/# /' "$work/said" && failed=1; fi
}
xs_trace() { "$programs/xs-trace" "$@"; }

"$programs/unix_server" --memory 8 "$XENSTORED_PATH" >"$work/serving" &
until grep -q serving "$work/serving"; do sleep 0.1; done
"$programs/load" day

accepted() { xs_trace metrics --textfile "$work/x.prom" && promtool check metrics <"$work/x.prom"; }
ok 'promtool: the metrics' accepted
ok 'promtool: the alerts' promtool check rules docs/monitoring/alerts.yml
ok 'promtool: each alert fires for its cause' promtool test rules docs/monitoring/alerts-test.yml

# The dashboard's expressions as recording rules, with what Grafana puts into them.
expressions() {
    jq -r '.panels[].targets[].expr' docs/monitoring/dashboard.json | sed 's/\$__rate_interval/5m/g; s/\$host/.*/g; s/\$domid/.*/g' |
        jq -R . | jq -s '{groups: [{name: "x", rules: to_entries | map({record: "x:\(.key)", expr: .value})}]}' >"$work/dashboard.json"
    [[ $(jq '.groups[0].rules | length' "$work/dashboard.json") -gt 15 ]] && promtool check rules "$work/dashboard.json"
}
ok "promtool: the dashboard's expressions" expressions
# Whatever they ask for, there is.
known() {
    local name
    xs_trace metrics --textfile "$work/x.prom"
    # Where nothing was refused there is no case.
    echo '# TYPE xenstore_quota_refusals_total counter' >>"$work/x.prom"
    for name in $(cat docs/monitoring/alerts.yml docs/monitoring/dashboard.json | grep -oE 'xenstore_[a-z_]+' | sort -u); do
        grep -q "^# TYPE $name " "$work/x.prom" || { echo "nothing tells $name" && return 1; }
    done
}
ok 'alerts and dashboard: of metrics that there are' known

# fenced LANGUAGE: the block of docs/monitoring.md.
fenced() {
    awk -v fence="\`\`\`$1" '
        $0 == "```" { inside = 0 }
        inside { print }
        $0 == fence { inside = 1 }' docs/monitoring.md
}

# The service and the settings of the page, on an address that nobody else has, and faster.
fenced ini >"$work/xenstore-metrics.service"
read -ra service < <(sed -n 's,^ExecStart=/usr/bin/,,p' "$work/xenstore-metrics.service" | sed 's/0\.0\.0\.0:[0-9]*$/127.0.0.1:0/')
"$programs/${service[0]}" "${service[@]:1}" 2>"$work/listening" &
until grep -qs 'metrics at' "$work/listening"; do sleep 0.1; done
address=$(sed -n 's,.*http://\(.*\)/metrics,\1,p' "$work/listening")
{
    echo 'global: { scrape_interval: 1s, evaluation_interval: 1s }'
    fenced yaml | sed "s/\"host1:.*\"/\"$address\"/"
} >"$work/prometheus.yml"
cp docs/monitoring/alerts.yml "$work/"
ok 'promtool: the settings' promtool check config "$work/prometheus.yml"
# A port that nobody has now.
port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
prometheus --config.file "$work/prometheus.yml" --storage.tsdb.path "$work/data" --web.listen-address "127.0.0.1:$port" \
    >"$work/prometheus.log" 2>&1 &

# query EXPRESSION: the values that Prometheus has for it.
query() { curl -fsS --get "http://127.0.0.1:$port/api/v1/query" --data-urlencode "query=$1" | jq -r '.data.result[].value[1]'; }
# becomes WHAT EXPRESSION PATTERN: within a minute.
becomes() {
    local try value=
    for ((try = 0; try < 600; try++)); do
        value=$(query "$2" 2>/dev/null) || :
        if [[ $value =~ ^($3)$ ]]; then echo "ok - $1" && return; fi
        sleep 0.1
    done
    echo "not ok - $1; $2 is '$value'"
    tail -n 5 "$work/prometheus.log" | sed 's/^/# /'
    failed=1
}
becomes 'Prometheus: scrapes it' 'xenstore_up' 1
becomes 'Prometheus: has its requests' 'xenstore_requests_total{type="WRITE"} > 10' '[0-9]+'
becomes 'Prometheus: has its domains' 'xenstore_domain_nodes{domid="0",domain="Domain-0"} > 10' '[0-9]+'
becomes 'Prometheus: knows the types by OpenMetrics' 'count(xenstore_build_info)' 1
# What has increased is known from the second answer on.
becomes 'Prometheus: has asked again' 'count_over_time(xenstore_up[1h]) > 2' '[0-9]+'

# drawn: what each panel asks for has an answer, with the labels that its legend names, and a table names each of its columns.
# "Only what is not 0" is left out, and of refusals there are none.
drawn() {
    local panel target answer label
    while IFS= read -r panel; do
        while IFS= read -r target; do
            answer=$(curl -fsS --get "http://127.0.0.1:$port/api/v1/query" --data-urlencode \
                "query=$(jq -r .expr <<<"$target" | sed 's/ > 0$//; s/\$__rate_interval/1m/g; s/\$host/.*/g; s/\$domid/.*/g')")
            jq -e '.data.result | length > 0' <<<"$answer" >/dev/null || { echo "no answer: $target" && return 1; }
            for label in $(jq -r '.legendFormat // "" | scan("{{(.*?)}}")[]' <<<"$target"); do
                jq -e --arg name "$label" '.data.result | all(.metric | has($name))' <<<"$answer" >/dev/null ||
                    { echo "no label $label: $target" && return 1; }
            done
            jq -c --argjson panel "$panel" --argjson target "$target" 'if $panel.type != "table" then [] else
                [.data.result[].metric | keys[]] - ($panel.transformations[-1].options | .renameByName + .excludeByName | keys) end' \
                <<<"$answer" | grep -qx '\[\]' || { echo "a column has no name: $target" && return 1; }
        done < <(jq -c '.targets[] | select(.expr | contains("quota_refusals") | not)' <<<"$panel")
    done < <(jq -c '.panels[]' docs/monitoring/dashboard.json)
}
ok 'dashboard: each panel has what it draws' drawn
# Grafana has 24 columns.
apart() {
    jq -e '[.panels[].gridPos] as $all | all($all[]; .x + .w <= 24) and
        all(range($all | length) as $a | range($a) as $b | [$all[$a], $all[$b]];
            .[0].x >= .[1].x + .[1].w or .[1].x >= .[0].x + .[0].w or .[0].y >= .[1].y + .[1].h or .[1].y >= .[0].y + .[0].h)' \
        docs/monitoring/dashboard.json
}
ok 'dashboard: no panel lies on another' apart
"$programs/xs-trace" health >"$work/health"
ok 'health: is well' grep -q '^XENSTORE OK - ' "$work/health"
kill %1
becomes 'Prometheus: hears that the store is gone' 'xenstore_up' 0
becomes 'Prometheus: the alert waits for its minute' 'ALERTS{alertname="XenstoreDown"}' 1
kill %2
becomes 'Prometheus: hears nothing any more' 'ALERTS{alertname="XenstoreSilent"}' 1
exit "$failed"
