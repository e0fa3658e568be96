//! What one domain does: its sums, what it holds, and its latest requests as the flight recorder has them.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;
use xenstore::abi::DomId;
use xenstore::platform::Cycles;
use xenstore::trace::{Kind, Record};
use xenstore::wire::{MessageType, XsError};

use super::sample::{number, parse};
use crate::dump::{Dump, Notes};
use crate::fetch::{Paths, page};
use crate::report::{Cell, Table, table_text};
use store_client::{Problem, Store};

/// Records that are looked through at first, and at most at each look.
const RECORDS: u64 = 2000;

/// Requests that are listed.
const LISTED: usize = 100;

/// A domain that is looked into again and again.
pub struct Domain {
    pub domid: u16,
    /// The number of the next record; none before the first look.
    next: Option<u64>,
    khz: u64,
    started: u64,
    now: Cycles,
    paths: Paths,
    /// The newest first.
    latest: VecDeque<Record>,
    /// How many requests of a type, how many failed, and their cycles.
    types: BTreeMap<&'static str, (usize, usize, u64)>,
    /// Transactions that have been begun lately and not ended, with the time of their begin.
    open: BTreeMap<u32, Cycles>,
    /// Watches by the hash of their path, set less taken back.
    watches: BTreeMap<u64, i64>,
}

impl Domain {
    pub fn new(domid: u16) -> Domain {
        Domain {
            domid,
            next: None,
            khz: 1,
            started: 0,
            now: Cycles(0),
            paths: Paths::default(),
            latest: VecDeque::new(),
            types: BTreeMap::new(),
            open: BTreeMap::new(),
            watches: BTreeMap::new(),
        }
    }

    /// Asks the store, and says all in lines.
    ///
    /// # Errors
    /// If the store is lost, or answers as none of this version does.
    pub fn look(&mut self, store: &mut Store) -> Result<Vec<String>, Problem> {
        let stats = match store.control(&["stats", "json", &self.domid.to_string()]) {
            Ok(text) => parse(&text)?,
            // It is gone; what it did can still be seen.
            Err(Problem::Refused { .. }) => Value::Null,
            Err(problem) => return Err(problem),
        };
        self.follow(store)?;
        let mut lines = if stats.is_null() { vec!["it is gone".to_owned()] } else { sums(&stats)? };
        lines.extend(self.lines());
        Ok(lines)
    }

    fn follow(&mut self, store: &mut Store) -> Result<(), Problem> {
        let end = page(store, u64::MAX)?.0.end;
        // More than that since the last look is passed over, so that a busy store is asked no more for it.
        let mut next = self.next.unwrap_or(0).max(end.saturating_sub(RECORDS));
        while next < end {
            let (head, mut records) = page(store, next)?;
            self.pass_over(next.max(head.first));
            next = head.first.saturating_add(head.count);
            self.next = Some(next);
            (self.khz, self.started) = (head.khz, head.started);
            self.now = records.last().map_or(self.now, |record| record.time);
            records.retain(|record| record.domid == DomId(self.domid));
            self.paths.learn(store, &records)?;
            records.iter().for_each(|record| self.take(record));
            if head.count == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The next record to be seen is this one. What was open or set may have ended in those before it that are never seen.
    fn pass_over(&mut self, next: u64) {
        if self.next.is_some_and(|seen| seen < next) {
            self.open.clear();
            self.watches.clear();
        }
    }

    fn take(&mut self, record: &Record) {
        match record.kind {
            Kind::TransactionStarted => drop(self.open.insert(record.tx.0, record.time)),
            Kind::TransactionCommitted | Kind::TransactionAborted | Kind::TransactionConflict => {
                self.open.remove(&record.tx.0);
            }
            Kind::Restarted | Kind::Released => self.watches.clear(),
            Kind::Ended => {
                let (count, failed, cycles) = self.types.entry(record.type_name()).or_default();
                *count += 1;
                *failed += usize::from(record.error.is_some());
                *cycles += u64::from(record.amount);
                // One that is taken back may have been set before the first record here.
                let mut watch = |step: i64| {
                    let count = self.watches.entry(record.hash).or_default();
                    *count = (*count + step).max(0);
                };
                match MessageType::from_wire(record.msg_type.into()) {
                    _ if record.error.is_some() => {}
                    Some(MessageType::Watch) => watch(1),
                    Some(MessageType::Unwatch) => watch(-1),
                    Some(MessageType::ResetWatches) => self.watches.clear(),
                    _ => {}
                }
                // CONTROL is what operators ask with, this program among them.
                if u32::from(record.msg_type) != MessageType::Control as u32 {
                    self.latest.push_front(*record);
                    self.latest.truncate(LISTED);
                }
            }
            _ => {}
        }
    }

    /// What is known of the records, as a dump of them would say it.
    fn dump(&self) -> Dump {
        let (khz, started, paths) = (self.khz, self.started, self.paths.known.clone());
        let notes = Notes { khz, started, paths, ..Notes::default() };
        Dump { notes, records: Vec::new() }
    }

    fn lines(&self) -> Vec<String> {
        let dump = self.dump();
        let age = |began: &Cycles| Cell::Time(dump.nanos(self.now.0.saturating_sub(began.0)));
        let open = self.open.iter().map(|(tx, began)| format!("{tx} for {}", age(began)));
        let watches = self.watches.iter().filter(|(_, count)| **count > 0);
        let watches = watches.map(|(hash, count)| match count {
            1 => dump.path(*hash).to_owned(),
            count => format!("{} {count} times", dump.path(*hash)),
        });
        let types = self.types.iter().map(|(name, (count, failed, cycles))| {
            let mean = Cell::Time(dump.nanos(cycles / (*count).max(1) as u64));
            vec![Cell::text(*name), Cell::Count(*count), Cell::Count(*failed), mean]
        });
        let latest = self.latest.iter().map(|record| {
            let result = record.error.map_or("ok", XsError::name);
            let mut row = vec![Cell::At(dump.since_start(record.time)), Cell::text(record.type_name())];
            row.extend([Cell::text(result), Cell::Time(dump.nanos(record.amount.into()))]);
            row.push(Cell::text(dump.path(record.hash)));
            row
        });
        let table = |title, columns: &[&'static str], rows: Vec<Vec<Cell>>| {
            table_text(&Table::of(title, columns.to_vec(), rows, 0, ""))
        };
        let mut text = format!("transactions begun lately and open: {}\n", list(open));
        text += &format!("watches set lately: {}\n", list(watches));
        text += &table("Requests lately", &["type", "requests", "failed", "mean"], types.collect());
        text +=
            &table("The latest but CONTROL", &["at s", "type", "result", "time", "path"], latest.collect());
        text.lines().map(str::to_owned).collect()
    }
}

fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// What the store has counted since the domain was introduced, and what the domain holds.
fn sums(stats: &Value) -> Result<Vec<String>, Problem> {
    let mut counts = Vec::new();
    for name in ["requests", "events", "dropped", "conflicts", "refused", "stalls", "throttled"] {
        let unit = if name == "throttled" { " ms" } else { "" };
        counts.push(format!("{name} {}{unit}", number(stats, name)?));
    }
    let members = |name: &str| stats[name].as_object().into_iter().flatten();
    let errors = members("errors").map(|(name, count)| format!("{name} {count}"));
    let held = members("quotas").filter(|(name, _)| *name != "columns");
    let held = held.filter_map(|(name, row)| match (row[0].as_u64()?, row[1].as_u64()?, row[2].as_u64()?) {
        (0, 0, _) => None,
        (held, most, quota) => Some(format!("{name} {held} (most {most}, quota {quota})")),
    });
    Ok(vec![counts.join(", "), format!("errors: {}", list(errors)), format!("holds: {}", list(held))])
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use xenstore::wire::TxId;

    use super::*;

    fn ended(msg_type: MessageType, error: Option<XsError>, hash: u64) -> Record {
        Record {
            msg_type: msg_type as u8,
            amount: 2000,
            time: Cycles(9_000_000),
            error,
            hash,
            ..Record::new(Kind::Ended, DomId(5))
        }
    }

    #[test]
    fn records_become_what_is_open_watched_and_asked() {
        let mut domain = Domain { khz: 1_000_000, now: Cycles(10_000_000), ..Domain::new(5) };
        domain.paths.known.insert("0000000000000007".into(), "/a".into());
        let tx = |kind, number| Record {
            tx: TxId(number),
            time: Cycles(7_000_000),
            ..Record::new(kind, DomId(5))
        };
        for record in [
            tx(Kind::TransactionStarted, 1),
            tx(Kind::TransactionStarted, 2),
            tx(Kind::TransactionCommitted, 1),
            ended(MessageType::Watch, None, 7),
            ended(MessageType::Watch, None, 7),
            ended(MessageType::Watch, Some(XsError::EEXIST), 7),
            ended(MessageType::Unwatch, None, 7),
            ended(MessageType::Read, Some(XsError::ENOENT), 8),
            ended(MessageType::Control, None, 0),
        ] {
            domain.take(&record);
        }
        let lines = domain.lines();
        let words: Vec<String> =
            lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for line in [
            "transactions begun lately and open: 2 for 3.0 ms",
            "watches set lately: /a",
            "WATCH 3 1 2.0 µs",
            "0.009000 READ ENOENT 2.0 µs ?",
            "0.009000 UNWATCH ok 2.0 µs /a",
        ] {
            assert!(words.iter().any(|found| found == line), "{line}\n{lines:#?}");
        }
        let row = |text: &str| words.iter().position(|found| found.starts_with(text));
        assert!(words.iter().any(|line| line == "CONTROL 1 0 2.0 µs"), "{lines:#?}");
        assert!(
            row("0.009000 CONTROL").is_none() && row("0.009000 READ") < row("0.009000 UNWATCH"),
            "the newest first: {lines:#?}"
        );
    }

    #[test]
    fn what_is_passed_over_may_have_ended() {
        let mut domain = Domain { next: Some(10), ..Domain::new(5) };
        let mut look = |next: u64, records: &[Record]| {
            domain.pass_over(next);
            records.iter().for_each(|record| domain.take(record));
            domain.next = Some(next + records.len() as u64);
            (domain.open.len(), domain.watches.len())
        };
        let both = [
            Record { tx: TxId(1), ..Record::new(Kind::TransactionStarted, DomId(5)) },
            ended(MessageType::Watch, None, 7),
        ];
        assert_eq!(look(10, &both), (1, 1));
        assert_eq!(look(12, &[ended(MessageType::Read, None, 8)]), (1, 1));
        assert_eq!(look(14, &[]), (0, 0), "one was not seen");
        assert_eq!(look(14, &both), (1, 1));
        assert_eq!(look(16, &[ended(MessageType::ResetWatches, None, 0)]), (1, 0));
    }

    #[test]
    fn sums_tell_what_is_held() {
        let mut stats = json!({ "errors": { "ENOENT": 3 },
            "quotas": { "columns": ["held", "most", "quota"], "nodes": [4, 9, 1000], "watches": [0, 0, 128] } });
        assert!(sums(&stats).is_err());
        for name in ["requests", "events", "dropped", "conflicts", "refused", "stalls", "throttled"] {
            stats[name] = 7.into();
        }
        let lines = sums(&stats).ok().expect("sums");
        assert!(lines[0].starts_with("requests 7, events 7") && lines[0].ends_with("throttled 7 ms"));
        assert_eq!(lines[1..], ["errors: ENOENT 3", "holds: nodes 4 (most 9, quota 1000)"]);
    }
}
