//! Which metrics there are. Names and units are by Prometheus' conventions: base units, `_total` for what only grows.

use super::text::{Family, Kind, Labels};
use crate::stats::Stats;
use crate::top::Counts;

/// All of a store; of one that does not answer, only that.
pub fn families(stats: Option<&Stats>) -> Vec<Family> {
    let up = if stats.is_some() { 1.0 } else { 0.0 };
    let mut all = vec![gauge("xenstore_up", "Whether the store answers.").alone(up)];
    if let Some(stats) = stats {
        let labels = stats.about.members().into_iter().collect();
        let info = Metric { kind: Kind::Info, ..gauge("xenstore_build", "Which store this is, and where.") };
        all.push(info.family(vec![(labels, 1.0)]));
        all.extend(TOTALS.map(|(member, metric)| metric.alone(stats.total(member) as f64)));
        all.extend(of_types(stats).map(|(column, metric)| of_rows(stats, ("types", "type", column), metric)));
        all.extend(SLOTS.map(|(column, metric)| of_rows(stats, ("memory", "kind", column), metric)));
        all.extend(of_domains(stats).map(|(metric, count)| {
            let samples = stats.sample.domains.iter();
            let samples = samples.map(|(domid, counts)| (labels_of(stats, *domid), count(counts) as f64));
            metric.family(samples.collect())
        }));
        all.push(refusals(stats));
    }
    all
}

/// A metric before it has samples.
#[derive(Clone, Copy)]
struct Metric {
    name: &'static str,
    help: &'static str,
    unit: &'static str,
    kind: Kind,
    /// By which what the store counts is multiplied.
    factor: f64,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { name, help, unit: "", kind: Kind::Counter, factor: 1.0 }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { kind: Kind::Gauge, ..counter(name, help) }
}

impl Metric {
    /// What is counted has this unit, multiplied by `factor`.
    const fn of(self, unit: &'static str, factor: f64) -> Metric {
        Metric { unit, factor, ..self }
    }

    fn family(self, mut samples: Vec<(Labels, f64)>) -> Family {
        samples.iter_mut().for_each(|(_, value)| *value *= self.factor);
        let Metric { name, help, unit, kind, .. } = self;
        Family { name, help, unit, kind, samples }
    }

    /// With one sample that has no labels.
    fn alone(self, value: f64) -> Family {
        self.family(vec![(Vec::new(), value)])
    }
}

/// By members of `stats`.
const TOTALS: [(&str, Metric); 15] = [
    (
        "running-ms",
        gauge("xenstore_uptime_seconds", "Time since the store was started.").of("seconds", 0.001),
    ),
    ("events", counter("xenstore_watch_events", "Watch events, those included that were dropped.")),
    ("missed-events", counter("xenstore_missed_events", "Requests that no event has told of.")),
    ("restarts", counter("xenstore_faults", "Faults of the store after which it went on.")),
    ("updates", counter("xenstore_updates", "Images that have taken over while the store served.")),
    ("polls", counter("xenstore_wakeups", "Times that the store woke up and found work.")),
    ("notify", counter("xenstore_notifications", "Notifications of domains.")),
    ("other-hypercalls", counter("xenstore_other_hypercalls", "Calls of Xen that neither notify nor sleep.")),
    ("ram-kib", gauge("xenstore_memory_bytes", "Memory that the store has.").of("bytes", 1024.0)),
    (
        "ram-limit-kib",
        gauge("xenstore_memory_limit_bytes", "Memory up to which it may grow.").of("bytes", 1024.0),
    ),
    ("growths", counter("xenstore_growths", "Times that the store grew.")),
    ("growth-refused", counter("xenstore_growth_refusals", "Times that there was no memory to grow.")),
    ("trace-on", gauge("xenstore_trace_enabled", "Whether the flight recorder records.")),
    ("trace-records", counter("xenstore_trace_records", "Records of the flight recorder.")),
    (
        "trace-overwritten",
        counter("xenstore_trace_overwritten_records", "Records that newer ones have overwritten."),
    ),
];

/// By columns of the table of memory.
const SLOTS: [(&str, Metric); 3] = [
    ("used", gauge("xenstore_slots_used", "Slots of the store's memory that are taken.")),
    ("most", gauge("xenstore_slots_peak", "The most of them that were taken at once.")),
    ("room", gauge("xenstore_slots_limit", "Slots that there are.")),
];

/// Of a cycle.
fn seconds(stats: &Stats) -> f64 {
    0.001 / stats.total("khz").max(1) as f64
}

/// By columns of the table of types.
fn of_types(stats: &Stats) -> [(&'static str, Metric); 5] {
    let time = counter("xenstore_request_seconds", "Time that requests took the store.");
    [
        ("requests", counter("xenstore_requests", "Requests that were answered.")),
        ("failed", counter("xenstore_failed_requests", "Requests that were answered with an error.")),
        ("received", counter("xenstore_received_bytes", "Payloads of requests.").of("bytes", 1.0)),
        ("sent", counter("xenstore_sent_bytes", "Payloads of answers.").of("bytes", 1.0)),
        ("cycles", time.of("seconds", seconds(stats))),
    ]
}

type OfDomain = (Metric, fn(&Counts) -> u64);

fn of_domains(stats: &Stats) -> [OfDomain; 13] {
    let time = counter("xenstore_domain_request_seconds", "Time that they took.");
    let throttled = counter("xenstore_domain_throttled_seconds", "Time that it waited beyond its budget.");
    let refused = "Requests that a quota or lack of room refused.";
    let memory = gauge("xenstore_domain_memory_bytes", "Memory that is held for it.");
    [
        (counter("xenstore_domain_requests", "Requests of the domain."), |of| of.requests),
        (counter("xenstore_domain_failed_requests", "Those that failed."), |of| of.failed),
        (time.of("seconds", seconds(stats)), |of| of.cycles),
        (counter("xenstore_domain_watch_events", "Watch events for the domain."), |of| of.events),
        (counter("xenstore_domain_dropped_events", "Those that it never gets."), |of| of.dropped),
        (counter("xenstore_domain_conflicts", "Transactions that ended in EAGAIN."), |of| of.conflicts),
        (counter("xenstore_domain_refused_requests", refused), |of| of.refused),
        (counter("xenstore_domain_stalls", "Times that the domain had to wait."), |of| of.stalls),
        (throttled.of("seconds", 0.001), |of| of.throttled),
        (gauge("xenstore_domain_nodes", "Nodes that it owns."), |of| of.nodes),
        (gauge("xenstore_domain_watches", "Watches that it has registered."), |of| of.watches),
        (gauge("xenstore_domain_transactions", "Transactions that it has open."), |of| of.transactions),
        (memory.of("bytes", 1.0), |of| of.memory),
    ]
}

fn labels_of(stats: &Stats, domid: u16) -> Labels {
    let name = stats.names.known.get(&domid).cloned().unwrap_or_default();
    vec![("domid", domid.to_string()), ("domain", name)]
}

/// A sample for each row of a table of `stats`, from one of its columns.
fn of_rows(stats: &Stats, (table, label, column): (&str, &'static str, &str), metric: Metric) -> Family {
    let samples = stats.table(table).filter_map(|(name, row)| {
        Some((vec![(label, name.replace(' ', "-"))], row.get(column)?.as_u64()? as f64))
    });
    metric.family(samples.collect())
}

/// The latest cases of refusals.
fn refusals(stats: &Stats) -> Family {
    let samples = stats.sample.refused.iter().map(|case| {
        let mut labels = labels_of(stats, case.domid);
        labels.push(("quota", case.quota().to_owned()));
        labels.push(("limit", case.limit.to_string()));
        labels.push(("request", case.request.clone()));
        (labels, case.times as f64)
    });
    let help = "The latest refusals: by which quota, what it allows, and the type of the last request.";
    counter("xenstore_quota_refusals", help).family(samples.collect())
}
