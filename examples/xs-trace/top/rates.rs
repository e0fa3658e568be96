//! What happened between two looks at the store: one row a domain, and the sums.

use std::collections::BTreeMap;

use super::sample::{Counts, Level, Sample};

/// A domain's row.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub domid: u16,
    /// Empty if it has none that is known.
    pub name: String,
    /// Requests and events in a second.
    pub requests: f64,
    pub events: f64,
    /// Microseconds that a request took the server, on the average; none where there was none.
    pub latency: Option<f64>,
    /// What the domain has had in all, and what it holds.
    pub total: Counts,
    /// It had a conflict or a refusal between the two looks. Stalls do not count: each answer that is larger than a
    /// ring makes one, as ours are.
    pub trouble: bool,
}

/// All that is shown of the time between two looks.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// In a second, of all domains.
    pub requests: f64,
    pub errors: f64,
    pub events: f64,
    pub running_ms: u64,
    pub levels: Vec<Level>,
    pub rows: Vec<Row>,
}

impl Table {
    /// A counter that has fallen, because a connection has ended or a domid has got a new life, counts as one
    /// that stands still.
    pub fn between(before: &Sample, after: &Sample, names: &BTreeMap<u16, String>) -> Table {
        let cycles_per_ms = after.khz.max(1) as f64;
        let seconds = (after.clock.saturating_sub(before.clock).max(1)) as f64 / cycles_per_ms / 1000.0;
        let rate = |before: u64, after: u64| after.saturating_sub(before) as f64 / seconds;
        let rows = after.domains.iter().map(|(domid, total)| {
            let was = before.domains.get(domid).copied().unwrap_or_default();
            let requests = total.requests.saturating_sub(was.requests);
            let cycles = total.cycles.saturating_sub(was.cycles) as f64;
            let grows = |count: fn(&Counts) -> u64| count(total) > count(&was);
            Row {
                domid: *domid,
                name: names.get(domid).cloned().unwrap_or_default(),
                requests: requests as f64 / seconds,
                events: rate(was.events, total.events),
                latency: (requests > 0).then(|| cycles / requests as f64 / cycles_per_ms * 1000.0),
                total: *total,
                trouble: grows(|counts| counts.conflicts) || grows(|counts| counts.refused),
            }
        });
        Table {
            requests: rate(before.requests, after.requests),
            errors: rate(before.failed, after.failed),
            events: rate(before.events, after.events),
            running_ms: after.running_ms,
            levels: after.levels.clone(),
            rows: rows.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(clock: u64, domains: &[(u16, u64, u64)]) -> Sample {
        let counts = |(domid, requests, cycles): &(u16, u64, u64)| {
            (*domid, Counts { requests: *requests, cycles: *cycles, ..Counts::default() })
        };
        Sample { clock, khz: 1000, domains: domains.iter().map(counts).collect(), ..Sample::default() }
    }

    #[test]
    fn rates_are_of_the_servers_clock() {
        let before = Sample { requests: 10, failed: 1, events: 3, ..sample(1_000_000, &[(0, 10, 400)]) };
        let after = Sample { requests: 34, failed: 2, events: 9, ..sample(3_000_000, &[(0, 34, 4_000)]) };
        let names = BTreeMap::from([(0, "Domain-0".to_owned())]);
        let table = Table::between(&before, &after, &names);
        assert_eq!((table.requests, table.errors, table.events), (12.0, 0.5, 3.0));
        let [row] = &table.rows[..] else { panic!("{:?}", table.rows) };
        assert_eq!((row.name.as_str(), row.requests, row.latency), ("Domain-0", 12.0, Some(150.0)));
        assert!(!row.trouble);
    }

    #[test]
    fn domains_come_go_and_begin_anew() {
        let before = sample(0, &[(1, 10, 100), (2, 50, 500)]);
        let mut after = sample(1_000_000, &[(2, 5, 50), (3, 7, 70)]);
        after.domains.get_mut(&3).expect("there").conflicts = 1;
        let rows = Table::between(&before, &after, &BTreeMap::new()).rows;
        let seen: Vec<_> =
            rows.iter().map(|row| (row.domid, row.requests, row.latency, row.trouble)).collect();
        assert_eq!(seen, [(2, 0.0, None, false), (3, 7.0, Some(10.0), true)]);
    }
}
