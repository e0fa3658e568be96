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

"$programs/xs-trace" metrics --listen 127.0.0.1:0 2>"$work/listening" &
until grep -qs 'metrics at' "$work/listening"; do sleep 0.1; done
address=$(sed -n 's,.*http://\(.*\)/metrics,\1,p' "$work/listening")
cat >"$work/prometheus.yml" <<YAML
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [$PWD/docs/monitoring/alerts.yml]
scrape_configs:
  - job_name: xenstore
    static_configs: [{ targets: ["$address"] }]
YAML
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
"$programs/xs-trace" health >"$work/health"
ok 'health: is well' grep -q '^XENSTORE OK - ' "$work/health"
kill %1
becomes 'Prometheus: hears that the store is gone' 'xenstore_up' 0
becomes 'Prometheus: the alert waits for its minute' 'ALERTS{alertname="XenstoreDown"}' 1
exit "$failed"
