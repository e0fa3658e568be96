//! What `compare` finds between two dumps, or reports of them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use xenstore::abi::DomId;
use xenstore::platform::Cycles;
use xenstore::trace::{Kind, Record};
use xenstore::wire::{MessageType, XsError};

use crate::crafted::{dump, dump_naming};
use crate::{run, text, words};

/// A dump of ten seconds: so many READs of so many microseconds each, and refused WRITEs.
fn made(folder: &Path, name: &str, (reads, micros): (u64, u32), refused: u64) -> PathBuf {
    let at = |n: u64, kind| Record { time: Cycles((n + 1) * 1_000_000), ..Record::new(kind, DomId(1)) };
    let ended =
        |n, msg_type: MessageType, amount| Record { msg_type: msg_type as u8, amount, ..at(n, Kind::Ended) };
    let mut records = vec![at(0, Kind::Started)];
    records.extend((0..reads).map(|n| ended(n, MessageType::Read, micros * 1000)));
    for n in 0..refused {
        let error = Some(XsError::ENOSPC);
        records.push(Record {
            error,
            detail: 1,
            amount: 1000,
            msg_type: MessageType::Write as u8,
            ..at(n, Kind::Refused)
        });
        records.push(Record { error, ..ended(n, MessageType::Write, 5000) });
    }
    records.push(at(10_000, Kind::Mark));
    let file = folder.join(name);
    let notes = r#""khz":1000000,"started":0,"first":0,"gaps":[]"#;
    std::fs::write(&file, dump(notes, &records)).expect("written");
    file
}

#[test]
fn what_is_slower_more_often_and_refused_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = made(folder.path(), "old", (100, 2), 0);
    let new = made(folder.path(), "new", (200, 3), 50);
    let told = run(&["compare", text(&old), text(&new)]).expect("compared");
    let words = words(&told);
    for expected in [
        "READ 2.0 µs 3.0 µs +50 % 2.0 µs 3.0 µs 2.0 µs 3.0 µs",
        "READ 10.0 20.0 +100 %",
        "WRITE 0.0 5.0 new",
        "d1 10.0 25.0 +150 %",
        "ENOSPC WRITE 0.0 5.0 new",
        "d1 nodes, 1000 WRITE 0.0 5.0 new",
        "Much the same: conflicts a second, stalls a second, watch events a second.",
    ] {
        assert!(words.iter().any(|line| line == expected), "{expected}\n{told}");
    }
    // The other way round it is the other way round; and what has changed by less is left out.
    let told = run(&["compare", "--percent", "49", text(&new), text(&old)]).expect("compared");
    assert!(told.contains("-50 %") && told.contains("gone") && !told.contains("-33 %"), "{told}");
    assert!(told.contains("Much the same: time by type, "), "{told}");
    let told = run(&["compare", text(&new), text(&new)]).expect("compared");
    assert!(told.contains("\nMuch the same: time by type, requests a second by type, "), "{told}");
}

#[test]
fn reports_are_compared_as_dumps_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let old = made(folder.path(), "old", (100, 2), 10);
    let new = made(folder.path(), "new", (200, 3), 0);
    let report = folder.path().join("report");
    let printed = run(&["report", "--json", text(&old)]).expect("a report");
    std::fs::write(&report, printed).expect("written");
    let compared = |old: &Path| -> Value {
        let told = run(&["compare", "--json", text(old), text(&new)]).expect("compared");
        serde_json::from_str(&told).expect("JSON")
    };
    let tables = compared(&old);
    assert_eq!(tables, compared(&report));
    assert_eq!(tables["after"]["requests"], "200, 0 of them failed; 20/s");
    let table = |title: &str| {
        let tables = tables["tables"].as_array().expect("tables");
        tables.iter().find(|table| table["title"] == title).expect(title)["rows"].clone()
    };
    assert_eq!(
        table("Requests a second by type"),
        json!([
            { "type": "READ", "before": 10.0, "after": 20.0, "change %": 100.0 },
            { "type": "WRITE", "before": 1.0, "after": 0.0, "change %": -100.0 },
        ])
    );
    assert_eq!(table("Time by type")[0]["mean after µs"], 3.0);
    // What a report has left out may have been there, so it is not called new.
    let short = run(&["report", "--json", "--top", "1", "--type", "READ", text(&old)]).expect("a report");
    let mut short: Value = serde_json::from_str(&short).expect("JSON");
    short["tables"][4]["rows left out"] = 1.into();
    std::fs::write(&report, short.to_string()).expect("written");
    let told = run(&["compare", text(&report), text(&old)]).expect("compared");
    assert!(!told.contains("ENOSPC  WRITE") && told.contains("nodes, 1000"), "{told}");
}

#[test]
fn what_is_neither_dump_nor_report_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let new = made(folder.path(), "new", (1, 1), 0);
    let file = folder.path().join("file");
    for (bytes, expected) in [
        ("", "not a dump of xs-trace"),
        ("{}", "neither a dump nor what `report --json` of this version prints"),
        ("{\"seconds\":1", "neither a dump nor"),
        (r#"{"seconds":1,"facts":{"store":"\u001b[2J"},"tables":[]}"#, "neither a dump nor"),
    ] {
        std::fs::write(&file, bytes).expect("written");
        let told = run(&["compare", text(&file), text(&new)]).expect_err("no report");
        assert!(told.contains(expected), "{told}");
    }
    let told = run(&["compare", text(&new)]).expect_err("one file");
    assert!(told.contains("arguments were not provided: <NEW>"), "{told}");
    let told = run(&["compare", "--percent", "x", "a", "b"]).expect_err("no number");
    assert!(told.contains("'x' for '--percent <PERCENT>'"), "{told}");
}

/// A dump of ten seconds in which domains read and one's commit fails at a node.
fn of_domains(file: &Path, names: &str, reads: &[(u16, u64)], conflict: &str) {
    let at = |n: u64, kind, domid| Record {
        time: Cycles(n * 1_000_000),
        msg_type: MessageType::Read as u8,
        amount: 5000,
        ..Record::new(kind, DomId(domid))
    };
    let mut records = vec![at(0, Kind::Started, 0)];
    for (domid, count) in reads {
        records.extend((0..*count).map(|n| at(n + 1, Kind::Ended, *domid)));
    }
    records.push(Record { hash: 1, ..at(5000, Kind::TransactionConflict, 0) });
    records.push(at(10_000, Kind::Mark, 0));
    let names = format!(r#""paths":{{"{:016x}":"{conflict}"}},"names":{{{names}}}"#, 1);
    let notes = r#""khz":1000000,"started":0,"first":0,"gaps":[]"#;
    std::fs::write(file, dump_naming(&names, notes, &records)).expect("written");
}

/// A guest that was started anew has another number, and is compared with what it was before.
#[test]
fn guests_are_compared_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    let path = |domid: u16| format!("/local/domain/0/backend/vif/{domid}/0/state");
    // In the old one 9 is another guest, which is gone; 3 has a name in one of them only; web came twice in the new one.
    let (before, after) =
        (r#""5":"web","7":"db","9":"mail""#, r#""7":"db","9":"web","12":"web","13":"cache","3":"late""#);
    of_domains(&old, before, &[(5, 100), (7, 20), (9, 30), (3, 10)], &path(5));
    of_domains(&new, after, &[(9, 100), (12, 50), (7, 40), (13, 10), (3, 20)], &path(12));
    let told = run(&["compare", text(&old), text(&new)]).expect("compared");
    let words = words(&told);
    for expected in [
        "domains compared by name, as their numbers are others now: 1",
        "d5, now d9 d12 web 10.0 15.0 +50 %",
        "d7 db 2.0 4.0 +100 %",
        "d13 cache 0.0 1.0 new",
        "d3 late 1.0 2.0 +100 %",
        "d9 mail 3.0 0.0 gone",
        "Much the same: time by type, errors a second, refusals a second, conflicts a second, stalls a second, watch events a second.",
    ] {
        assert!(words.iter().any(|line| line == expected), "{expected}\n{told}");
    }
    let told = run(&["compare", "--json", text(&old), text(&new)]).expect("compared");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["compared by name"], json!(["web"]));
    let domains = told["tables"].as_array().and_then(|tables| tables[2]["rows"].as_array()).expect("rows");
    let cache = json!({ "domain": "d13 cache", "before": 0.0, "after": 1.0, "change %": null });
    assert!(domains.contains(&cache), "{domains:?}");
    // The node of another guest's device is another node; a number that the two share stays.
    of_domains(&new, after, &[(9, 100)], &path(13));
    let told = run(&["compare", text(&old), text(&new)]).expect("compared");
    assert!(told.contains("/local/domain/0/backend/vif/<web>/0/state "), "{told}");
    assert!(told.contains("/local/domain/0/backend/vif/13/0/state "), "{told}");
    let told = run(&["compare", text(&old), text(&old)]).expect("compared");
    assert!(!told.contains("by name"), "{told}");
}
