//! What `export --perfetto` writes, against Chrome's trace-event format.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use serde_json::Value;
use xenstore::wire::MessageType;

use crate::{Client, Server, XS_TRACE, run, text};

fn exported(file: &Path) -> Vec<Value> {
    let json = run(&["export", "--perfetto", text(file)]).expect("JSON");
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let store = json["otherData"]["store"].as_str().expect("it says what wrote it");
    assert!(store.starts_with("xenstore-stubdom ") && store.contains("; Xen "), "{store}");
    json["traceEvents"].as_array().expect("an array").clone()
}

/// Nanoseconds as viewers have them, rounded down.
fn nanos(event: &Value, field: &str) -> u64 {
    let micros = event[field].as_f64().unwrap_or_else(|| panic!("{field} is missing in {event}"));
    assert!(micros >= 0.0);
    (micros * 1e3) as u64
}

/// Each event has what its phase wants, and the times rise.
fn check_fields(events: &[Value]) {
    let mut last = 0.0;
    for event in events {
        let phase = event["ph"].as_str().expect("a phase");
        assert!(event["name"].is_string() && event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
        if phase == "M" {
            assert!(event["args"].is_object());
            continue;
        }
        assert!(event["cat"].is_string(), "{event}");
        let at = event["ts"].as_f64().expect("a time");
        assert!(at >= last, "{event} after {last}");
        last = at;
        let complete = match phase {
            "X" => event["dur"].as_f64().is_some_and(|length| length >= 0.0),
            "i" => matches!(event["s"].as_str(), Some("t" | "g")),
            "s" | "b" | "e" => event["id"].is_u64(),
            "f" => event["id"].is_u64() && event["bp"] == "e",
            other => panic!("phase {other}"),
        };
        assert!(complete, "{event}");
    }
}

/// Slices of a track by their begin and end.
type Slices = BTreeMap<u64, Vec<(u64, u64)>>;

/// On each track a slice is in another or beside it.
fn check_slices(events: &[Value]) -> Slices {
    let mut slices = Slices::new();
    let mut open: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let track = event["tid"].as_u64().expect("a track");
        let begin = nanos(event, "ts");
        let end = begin + nanos(event, "dur");
        let open = open.entry(track).or_default();
        while open.last().is_some_and(|outer| *outer <= begin) {
            open.pop();
        }
        assert!(open.last().is_none_or(|outer| *outer >= end), "{event} reaches beyond {open:?}");
        open.push(end);
        slices.entry(track).or_default().push((begin, end));
    }
    slices
}

/// Each flow begins once and ends once, later, in slices. How many there are.
fn check_flows(events: &[Value], slices: &Slices) -> usize {
    let mut flows: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "s" || event["ph"] == "f") {
        flows.entry(event["id"].as_u64().expect("an id")).or_default().push(event);
        let (track, at) = (event["tid"].as_u64().expect("a track"), nanos(event, "ts"));
        let inside = slices[&track].iter().any(|(begin, end)| *begin <= at && at <= *end);
        assert!(inside, "{event} is in no slice");
    }
    for ends in flows.values() {
        assert_eq!(ends.iter().map(|event| event["ph"].as_str()).collect::<Vec<_>>(), [Some("s"), Some("f")]);
        assert!(ends.iter().all(|event| event["cat"] == "watch" && event["name"] == "watch"));
    }
    flows.len()
}

/// Each span begins once and ends once, not before. How many there are.
fn check_spans(events: &[Value]) -> usize {
    let mut spans: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["ph"] == "b" || event["ph"] == "e") {
        spans.entry(event["id"].as_u64().expect("an id")).or_default().push(event);
    }
    for ends in spans.values() {
        assert_eq!(ends.iter().map(|event| event["ph"].as_str()).collect::<Vec<_>>(), [Some("b"), Some("e")]);
        assert!(["name", "cat", "tid"].iter().all(|field| ends[0][field] == ends[1][field]));
    }
    spans.len()
}

/// Watches what another does, and is in conflict with it.
fn be_busy(client: &mut Client, rounds: u32) {
    client.ask(MessageType::Watch, 0, "/a\0token\0");
    client.ask(MessageType::Watch, 0, "/a/b\0another\0");
    for _ in 0..rounds {
        let tx = client.begin();
        client.ask(MessageType::Read, tx, "/a\0");
        client.write(tx, "/a/b");
        client.write(0, "/a");
        client.commit(tx);
        client.ask(MessageType::Read, 0, "/none\0");
    }
}

#[test]
fn a_known_session_has_its_slices_flows_and_spans() {
    let server = Server::start(256);
    let mut client = server.connect();
    client.write(0, "/local/domain/0/name");
    be_busy(&mut client, 2);
    // This one stays open.
    client.begin();
    client.ask(MessageType::Control, 0, "trace\0mark\0end\0");
    let events = exported(&server.dump());
    check_fields(&events);
    let slices = check_slices(&events);
    let named = |name: &str| events.iter().filter(|event| event["name"] == name).count();
    assert_eq!(["WRITE", "READ", "TRANSACTION_END"].map(named), [5, 4, 2]);
    // Two first events, and for each write outside the transactions one.
    assert_eq!((check_flows(&events, &slices), named("event")), (4, 4));
    assert_eq!(check_spans(&events), 3);
    assert_eq!((named("tx-conflict"), named("mark: end"), named("started")), (2, 1, 1));
    let tracks: Vec<&Value> = events
        .iter()
        .filter(|event| event["name"] == "thread_name")
        .map(|event| &event["args"]["name"])
        .collect();
    assert_eq!(tracks, ["d0 value", "server"]);
    let read = events.iter().find(|event| event["args"]["path"] == "/none").expect("it is there");
    assert_eq!((read["name"].as_str(), read["args"]["error"].as_str()), (Some("READ"), Some("ENOENT")));
}

#[test]
fn who_reads_it_may_stop_early() {
    let server = Server::start(64);
    be_busy(&mut server.connect(), 10);
    let file = server.dump();
    let mut command = Command::new(XS_TRACE);
    command.args(["export", "--perfetto", text(&file)]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn what_begins_and_ends_anywhere_is_well_formed() {
    for trace in [4, 5, 6, 7, 1024] {
        let server = Server::start(trace);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| be_busy(&mut server.connect(), 100));
            }
        });
        let events = exported(&server.dump());
        check_fields(&events);
        let slices = check_slices(&events);
        check_flows(&events, &slices);
        assert!(check_spans(&events) > 0);
    }
}
