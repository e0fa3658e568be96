//! Which metrics there are. Names and units are by Prometheus' conventions: base units, `_total` for what only grows.

use serde_json::{Map, Value};

use super::text::{Family, Kind, Labels};
use crate::stats::Stats;
use crate::top::Counts;

/// All of a store; of one that does not answer, only that.
pub fn families(stats: Option<&Stats>) -> Vec<Family> {
    let up = if stats.is_some() { 1.0 } else { 0.0 };
    let mut all = vec![single("xenstore_up", "", Kind::Gauge, "Whether the store answers.", up)];
    if let Some(stats) = stats {
        about(&mut all, stats);
        all.extend(TOTALS.map(|(member, name, unit, kind, help, factor)| {
            single(name, unit, kind, help, stats.total(member) as f64 * factor)
        }));
        requests(&mut all, stats);
        memory(&mut all, stats);
        domains(&mut all, stats);
        refusals(&mut all, stats);
    }
    all
}

fn single(name: &'static str, unit: &'static str, kind: Kind, help: &'static str, value: f64) -> Family {
    Family { name, help, unit, kind, samples: vec![(Vec::new(), value)] }
}

/// Member of `stats`, name, unit, kind, help, and by what the member is multiplied.
type Total = (&'static str, &'static str, &'static str, Kind, &'static str, f64);

const TOTALS: [Total; 11] = [
    (
        "running-ms",
        "xenstore_uptime_seconds",
        "seconds",
        Kind::Gauge,
        "Time since the store was started.",
        0.001,
    ),
    (
        "events",
        "xenstore_watch_events",
        "",
        Kind::Counter,
        "Watch events, those included that were dropped.",
        1.0,
    ),
    (
        "missed-events",
        "xenstore_missed_events",
        "",
        Kind::Counter,
        "Requests that no event has told of.",
        1.0,
    ),
    ("restarts", "xenstore_faults", "", Kind::Counter, "Faults of the store after which it went on.", 1.0),
    (
        "updates",
        "xenstore_updates",
        "",
        Kind::Counter,
        "Images that have taken over while the store served.",
        1.0,
    ),
    ("polls", "xenstore_wakeups", "", Kind::Counter, "Times that the store woke up and found work.", 1.0),
    ("notify", "xenstore_notifications", "", Kind::Counter, "Notifications of domains.", 1.0),
    (
        "other-hypercalls",
        "xenstore_other_hypercalls",
        "",
        Kind::Counter,
        "Calls of Xen that neither notify nor sleep.",
        1.0,
    ),
    ("trace-on", "xenstore_trace_enabled", "", Kind::Gauge, "Whether the flight recorder records.", 1.0),
    ("trace-records", "xenstore_trace_records", "", Kind::Counter, "Records of the flight recorder.", 1.0),
    (
        "trace-overwritten",
        "xenstore_trace_overwritten_records",
        "",
        Kind::Counter,
        "Records that newer ones have overwritten.",
        1.0,
    ),
];

fn about(all: &mut Vec<Family>, stats: &Stats) {
    let labels = stats.about.members().into_iter().collect();
    let help = "Which store this is, and where.";
    all.push(Family {
        name: "xenstore_build",
        help,
        unit: "",
        kind: Kind::Info,
        samples: vec![(labels, 1.0)],
    });
}

/// A family with a sample for each row of a table.
fn of_rows(
    stats: &Stats,
    (table, label, column): (&str, &'static str, &str),
    (name, unit, kind, help): (&'static str, &'static str, Kind, &'static str),
    factor: f64,
) -> Family {
    let cell = |row: &Map<String, Value>| row.get(column).and_then(Value::as_u64);
    let samples = stats
        .table(table)
        .filter_map(|(name, row)| Some((vec![(label, name.replace(' ', "-"))], cell(&row)? as f64 * factor)));
    Family { name, help, unit, kind, samples: samples.collect() }
}

fn requests(all: &mut Vec<Family>, stats: &Stats) {
    let seconds = 0.001 / stats.total("khz").max(1) as f64;
    for (column, family, factor) in [
        ("requests", ("xenstore_requests", "", Kind::Counter, "Requests that were answered."), 1.0),
        (
            "failed",
            ("xenstore_failed_requests", "", Kind::Counter, "Requests that were answered with an error."),
            1.0,
        ),
        ("received", ("xenstore_received_bytes", "bytes", Kind::Counter, "Payloads of requests."), 1.0),
        ("sent", ("xenstore_sent_bytes", "bytes", Kind::Counter, "Payloads of answers."), 1.0),
        (
            "cycles",
            ("xenstore_request_seconds", "seconds", Kind::Counter, "Time that requests took the store."),
            seconds,
        ),
    ] {
        all.push(of_rows(stats, ("types", "type", column), family, factor));
    }
}

fn memory(all: &mut Vec<Family>, stats: &Stats) {
    for (column, name, help) in [
        ("used", "xenstore_slots_used", "Slots of the store's memory that are taken."),
        ("most", "xenstore_slots_peak", "The most of them that were taken at once."),
        ("room", "xenstore_slots_limit", "Slots that there are."),
    ] {
        all.push(of_rows(stats, ("memory", "kind", column), (name, "", Kind::Gauge, help), 1.0));
    }
}

fn labels(stats: &Stats, domid: u16) -> Labels {
    let name = stats.names.known.get(&domid).cloned().unwrap_or_default();
    vec![("domid", domid.to_string()), ("domain", name)]
}

type OfDomain = (&'static str, &'static str, Kind, &'static str, fn(&Counts) -> u64, f64);

fn domains(all: &mut Vec<Family>, stats: &Stats) {
    let seconds = 0.001 / stats.total("khz").max(1) as f64;
    let rows: [OfDomain; 13] = [
        ("xenstore_domain_requests", "", Kind::Counter, "Requests of the domain.", |of| of.requests, 1.0),
        ("xenstore_domain_failed_requests", "", Kind::Counter, "Those that failed.", |of| of.failed, 1.0),
        (
            "xenstore_domain_request_seconds",
            "seconds",
            Kind::Counter,
            "Time that they took.",
            |of| of.cycles,
            seconds,
        ),
        (
            "xenstore_domain_watch_events",
            "",
            Kind::Counter,
            "Watch events for the domain.",
            |of| of.events,
            1.0,
        ),
        (
            "xenstore_domain_dropped_events",
            "",
            Kind::Counter,
            "Those that it never gets.",
            |of| of.dropped,
            1.0,
        ),
        (
            "xenstore_domain_conflicts",
            "",
            Kind::Counter,
            "Transactions that ended in EAGAIN.",
            |of| of.conflicts,
            1.0,
        ),
        (
            "xenstore_domain_refused_requests",
            "",
            Kind::Counter,
            "Requests that a quota or lack of room refused.",
            |of| of.refused,
            1.0,
        ),
        (
            "xenstore_domain_stalls",
            "",
            Kind::Counter,
            "Times that the domain had to wait.",
            |of| of.stalls,
            1.0,
        ),
        (
            "xenstore_domain_throttled_seconds",
            "seconds",
            Kind::Counter,
            "Time that it waited beyond its budget.",
            |of| of.throttled,
            0.001,
        ),
        ("xenstore_domain_nodes", "", Kind::Gauge, "Nodes that it owns.", |of| of.nodes, 1.0),
        ("xenstore_domain_watches", "", Kind::Gauge, "Watches that it has registered.", |of| of.watches, 1.0),
        (
            "xenstore_domain_transactions",
            "",
            Kind::Gauge,
            "Transactions that it has open.",
            |of| of.transactions,
            1.0,
        ),
        (
            "xenstore_domain_memory_bytes",
            "bytes",
            Kind::Gauge,
            "Memory that is held for it.",
            |of| of.memory,
            1.0,
        ),
    ];
    for (name, unit, kind, help, count, factor) in rows {
        let samples = stats.sample.domains.iter();
        let samples = samples.map(|(domid, counts)| (labels(stats, *domid), count(counts) as f64 * factor));
        all.push(Family { name, help, unit, kind, samples: samples.collect() });
    }
}

/// The latest cases of refusals. A quota without a name is lack of room.
fn refusals(all: &mut Vec<Family>, stats: &Stats) {
    let samples = stats.sample.refused.iter().map(|case| {
        let mut labels = labels(stats, case.domid);
        labels.push(("quota", if case.quota.is_empty() { "no room".to_owned() } else { case.quota.clone() }));
        labels.push(("limit", case.limit.to_string()));
        labels.push(("request", case.request.clone()));
        (labels, case.times as f64)
    });
    let help = "The latest refusals: by which quota, what it allows, and the type of the last request.";
    let samples = samples.collect();
    all.push(Family { name: "xenstore_quota_refusals", help, unit: "", kind: Kind::Counter, samples });
}
