//! What happened between two looks at the store: one row a domain, and the sums.

use std::collections::BTreeMap;

use super::sample::{Counts, Level, Ram, Refused, Sample};

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
    /// It had a conflict or a refusal between the two looks, or waited beyond its budget. Stalls do not count: each answer
    /// that is larger than a ring makes one, as ours are.
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
    pub recording: bool,
    pub ram: Ram,
    pub levels: Vec<Level>,
    /// The cases in which something was refused between the two looks.
    pub refused: Vec<Refused>,
    pub rows: Vec<Row>,
}

/// How much one of the server's 32-bit counters has grown. It wraps; but what would be more than half of all it can
/// count has begun anew, and then it counts as one that stands still.
fn growth(before: u64, after: u64) -> u64 {
    let grown = after.wrapping_sub(before) & u64::from(u32::MAX);
    if grown <= u64::from(u32::MAX / 2) { grown } else { 0 }
}

impl Table {
    /// A domain's name, if it is there and has one.
    pub fn name(&self, domid: u16) -> Option<&str> {
        let row = self.rows.iter().find(|row| row.domid == domid);
        row.map(|row| row.name.as_str()).filter(|name| !name.is_empty())
    }

    /// A domain whose cycles have fallen has got a new life: it counts as if it had not been there.
    pub fn between(before: &Sample, after: &Sample, names: &BTreeMap<u16, String>) -> Table {
        let cycles_per_ms = after.khz.max(1) as f64;
        let seconds = (after.clock.saturating_sub(before.clock).max(1)) as f64 / cycles_per_ms / 1000.0;
        let rate = |grown: u64| grown as f64 / seconds;
        let rows = after.domains.iter().map(|(domid, total)| {
            let same = before.domains.get(domid).filter(|was| was.cycles <= total.cycles);
            let was = same.copied().unwrap_or_default();
            let grown = |count: fn(&Counts) -> u64| growth(count(&was), count(total));
            let requests = grown(|counts| counts.requests);
            let cycles = (total.cycles - was.cycles) as f64;
            Row {
                domid: *domid,
                name: names.get(domid).cloned().unwrap_or_default(),
                requests: rate(requests),
                events: rate(grown(|counts| counts.events)),
                latency: (requests > 0).then(|| cycles / requests as f64 / cycles_per_ms * 1000.0),
                total: *total,
                trouble: grown(|counts| counts.conflicts)
                    + grown(|counts| counts.refused)
                    + grown(|counts| counts.throttled)
                    > 0,
            }
        });
        Table {
            requests: rate(after.requests.saturating_sub(before.requests)),
            errors: rate(growth(before.failed, after.failed)),
            events: rate(after.events.saturating_sub(before.events)),
            running_ms: after.running_ms,
            recording: after.recording,
            ram: after.ram,
            levels: after.levels.clone(),
            refused: after.refused.iter().filter(|case| !before.refused.contains(case)).cloned().collect(),
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
    fn who_is_throttled_is_in_trouble() {
        let before = sample(0, &[(1, 10, 100)]);
        let mut after = sample(1_000_000, &[(1, 10, 100)]);
        after.domains.get_mut(&1).expect("there").throttled = 2500;
        let [row] = &Table::between(&before, &after, &BTreeMap::new()).rows[..] else { panic!("one row") };
        assert_eq!((row.total.throttled, row.trouble), (2500, true));
    }

    #[test]
    fn domains_come_go_and_begin_anew() {
        let before = sample(0, &[(1, 10, 100), (2, 50, 500)]);
        let mut after = sample(1_000_000, &[(2, 5, 50), (3, 7, 70)]);
        after.domains.get_mut(&3).expect("there").conflicts = 1;
        let rows = Table::between(&before, &after, &BTreeMap::new()).rows;
        let seen: Vec<_> =
            rows.iter().map(|row| (row.domid, row.requests, row.latency, row.trouble)).collect();
        assert_eq!(seen, [(2, 5.0, Some(10.0), false), (3, 7.0, Some(10.0), true)]);
    }

    #[test]
    fn counters_wrap() {
        let last = u64::from(u32::MAX);
        let mut before = Sample { failed: 3 * last + 2, ..sample(0, &[(1, last - 4, 100), (2, 9, 100)]) };
        let mut after = Sample { failed: 2 * last + 5, ..sample(1_000_000, &[(1, 5, 200), (2, 7, 200)]) };
        for (sample, conflicts) in [(&mut before, last), (&mut after, 0)] {
            sample.domains.get_mut(&1).expect("there").conflicts = conflicts;
        }
        let table = Table::between(&before, &after, &BTreeMap::new());
        // One of the sums that make up `failed` has wrapped.
        assert_eq!(table.errors, 4.0);
        let seen: Vec<_> = table.rows.iter().map(|row| (row.requests, row.latency, row.trouble)).collect();
        // The other one's connection is another.
        assert_eq!(seen, [(10.0, Some(10.0), true), (0.0, None, false)]);
    }
}
