//! Dumps that no server has made: whatever they contain, each task succeeds or says in one line what is wrong.

use std::path::Path;

use fastrand::Rng;
use serde_json::Value;
use xenstore::abi::DomId;
use xenstore::platform::Cycles;
use xenstore::trace::{Kind, Record};
use xenstore::wire::{MessageType, TxId, XsError};

use crate::{run, text};

const TASKS: [&[&str]; 5] =
    [&["show"], &["report"], &["report", "--html", "-"], &["report", "--json"], &["export", "--perfetto"]];

/// A dump of these records, with notes that begin with these members and name nothing.
pub fn dump(notes: &str, records: &[Record]) -> Vec<u8> {
    dump_naming(r#""paths":{},"names":{}"#, notes, records)
}

/// A dump of these records, with what names paths and domains, and other notes.
pub fn dump_naming(names: &str, notes: &str, records: &[Record]) -> Vec<u8> {
    let json = format!(r#"{{{notes},{names},"stats":{{}}}}"#);
    let head = format!("xenstore-trace-dump 1 json={} records={}\n{json}", json.len(), records.len());
    [head.into_bytes(), records.iter().flat_map(Record::to_bytes).collect()].concat()
}

/// Has each task look at a dump.
fn look(file: &Path, bytes: &[u8], what: &str) {
    std::fs::write(file, bytes).expect("written");
    for task in TASKS {
        let done = run(&[task, &[text(file)]].concat());
        assert!(done.is_ok(), "{what}: {task:?} says {done:?}");
    }
    let done = run(&["compare", text(file), text(file)]);
    assert!(done.is_ok_and(|told| told.contains("Much the same: time by type")), "{what}");
}

#[test]
fn the_last_records_may_be_lost() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump");
    let notes = r#""khz":1,"started":0,"first":0,"gaps":[{"before":1,"count":4}]"#;
    std::fs::write(&file, dump(notes, &[Record::new(Kind::WokeUp, DomId(1))])).expect("written");
    for (options, last) in [(&["show"][..], "4 records lost here"), (&["show", "--json"], r#"{"lost":4}"#)] {
        let shown = run(&[options, &[text(&file)]].concat()).expect("shown");
        assert_eq!((shown.lines().count(), shown.lines().last().map(str::trim)), (2, Some(last)), "{shown}");
    }
}

#[test]
fn absurd_times_are_no_trouble() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump");
    let at = |time: u64, kind: Kind| Record { time: Cycles(time), ..Record::new(kind, DomId(1)) };
    let ended = |time: u64| Record { amount: u32::MAX, ..at(time, Kind::Ended) };
    let (last, mut records) = (u64::MAX, Vec::new());
    for (begin, end) in [(0, last), (0, last), (last, 0), (last - 1, last), (1, last)] {
        let woke = Record { amount: u32::MAX, ..at(end, Kind::WokeUp) };
        records.extend([at(begin, Kind::Begun), at(end, Kind::Event), ended(end), woke]);
    }
    for khz in [0, 1, 1_000_000, last] {
        for (started, first, lost) in [(0, 0, last), (last, last, 0)] {
            let gaps = format!(r#"[{{"before":1,"count":{lost}}}]"#);
            let notes = format!(r#""khz":{khz},"started":{started},"first":{first},"gaps":{gaps}"#);
            look(&file, &dump(&notes, &records), &notes);
        }
    }
}

/// Any number, often a very small or a very large one.
fn number(random: &mut Rng) -> u64 {
    match random.u8(..4) {
        0 => random.u64(..4),
        1 => u64::MAX - random.u64(..4),
        2 => random.u64(..),
        _ => random.u64(..1 << 32),
    }
}

fn record(random: &mut Rng) -> Record {
    let error = random.bool().then(|| random.choice(XsError::ALL)).flatten();
    Record {
        time: Cycles(number(random)),
        hash: random.u64(..3),
        tx: TxId(random.u32(..3)),
        size: random.u16(..),
        error,
        detail: random.u8(..6),
        amount: number(random) as u32,
        domid: DomId(if random.bool() { random.u16(..20) } else { random.u16(..) }),
        kind: *random.choice(Kind::ALL).expect("there are some"),
        msg_type: random.u8(..),
    }
}

#[test]
fn random_records_are_no_trouble() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump");
    for seed in 0..10 {
        let mut random = Rng::with_seed(seed);
        let mut records: Vec<Record> = (0..random.usize(1..300)).map(|_| record(&mut random)).collect();
        if random.bool() {
            records.sort_by_key(|record| record.time);
        }
        let (khz, started, first) = (number(&mut random), number(&mut random), number(&mut random));
        let gap = random.usize(..records.len());
        let gaps = format!(r#"[{{"before":{gap},"count":{}}}]"#, u64::MAX - first);
        let notes = format!(r#""khz":{khz},"started":{started},"first":{first},"gaps":{gaps}"#);
        look(&file, &dump(&notes, &records), &format!("seed {seed}"));
    }
}

#[test]
fn an_end_is_not_that_of_a_begin_before_the_trace_was_off() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump");
    let records = [
        Record::new(Kind::Begun, DomId(0)),
        Record { time: Cycles(9_000_000), amount: 2000, ..Record::new(Kind::Ended, DomId(0)) },
    ];
    let notes = r#""khz":1000000,"started":0,"first":0,"gaps":[]"#;
    std::fs::write(&file, dump(notes, &records)).expect("written");
    let report = run(&["report", text(&file)]).expect("a report");
    assert!(report.contains("time in requests       2.0 µs"), "{report}");
}

/// A request that is set aside has its begin, its events and its time, whatever is served meanwhile.
#[test]
fn one_request_in_the_time_of_another() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump");
    let at = |millis: u64, domid: u16, msg_type: MessageType, kind: Kind| Record {
        time: Cycles(millis * 1_000_000),
        msg_type: msg_type as u8,
        size: 7 * domid,
        ..Record::new(kind, DomId(domid))
    };
    let ended = |record: Record, millis: u32| Record { amount: millis * 1_000_000, ..record };
    let records = [
        at(1, 1, MessageType::Rm, Kind::Begun),
        at(2, 3, MessageType::WatchEvent, Kind::Event),
        at(3, 2, MessageType::Write, Kind::Begun),
        at(4, 4, MessageType::WatchEvent, Kind::Event),
        ended(at(5, 2, MessageType::Write, Kind::Ended), 2),
        at(6, 5, MessageType::WatchEvent, Kind::Event),
        ended(at(9, 1, MessageType::Rm, Kind::Ended), 8),
        at(10, 6, MessageType::WatchEvent, Kind::Event),
    ];
    let notes = r#""khz":1000000,"started":0,"first":0,"gaps":[]"#;
    std::fs::write(&file, dump(notes, &records)).expect("written");
    let report = run(&["report", text(&file)]).expect("a report");
    assert!(report.contains("time in requests       8.0 ms"), "{report}");
    let json: Value =
        serde_json::from_str(&run(&["export", "--perfetto", text(&file)]).expect("an export")).expect("JSON");
    let events = json["traceEvents"].as_array().expect("a list");
    for (name, bytes) in [("RM", 7), ("WRITE", 14)] {
        let slice = events.iter().find(|event| event["name"] == name).expect("a slice");
        assert_eq!(slice["args"]["request bytes"], bytes, "{name}");
    }
    // An event is of the request that caused it.
    let causes = events.iter().filter(|event| event["name"] == "watch" && event["ph"] == "s");
    // A track has the number of its domain, from 1 on.
    let mut causes: Vec<u64> = causes.map(|event| event["tid"].as_u64().expect("a number") - 1).collect();
    causes.sort_unstable();
    assert_eq!(causes, [1, 1, 2]);
}

/// What went wrong with the store itself is among the marks and faults.
#[test]
fn faults_and_what_followed_are_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump");
    let records: Vec<Record> = Kind::ALL.iter().map(|kind| Record::new(*kind, DomId(1))).collect();
    let notes = r#""khz":1000000,"started":0,"first":0,"gaps":[]"#;
    std::fs::write(&file, dump(notes, &records)).expect("written");
    let report = run(&["report", "--json", text(&file)]).expect("a report");
    let json: Value = serde_json::from_str(&report).expect("JSON");
    let tables = json["tables"].as_array().expect("tables");
    let table = tables.iter().find(|table| table["title"] == "Marks and faults").expect("the table");
    let told: Vec<&str> = table["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| row["what"].as_str().expect("text"))
        .collect();
    let first: Vec<&str> = told.iter().filter_map(|text| text.split([' ', ':']).next()).collect();
    assert_eq!(
        first,
        ["ring-error", "mark", "panic", "missed-event", "fault", "recovered", "updated"],
        "{told:?}"
    );
}
