//! What `replay` asks a server, compared with what was asked when the dump was made.

use std::path::Path;

use serde_json::{Value, json};
use xenstore::abi::DomId;
use xenstore::platform::Cycles;
use xenstore::trace::{Kind, Record};
use xenstore::wire::MessageType::*;

use crate::crafted::dump_naming;
use crate::{Server, run, text, words};

/// What requests were, and how they ended, one after the other; without sizes of what is made up otherwise.
fn asked(file: &Path) -> Vec<String> {
    let shown =
        run(&["show", "--json", "--kind", "ended", "--not-type", "CONTROL", text(file)]).expect("shown");
    let line = |line: &str| {
        let record: Value = serde_json::from_str(line).expect("an object");
        ["type", "tx", "error", "path"].map(|name| record[name].to_string()).join(" ")
    };
    shown.lines().map(line).collect()
}

#[test]
fn a_replay_asks_for_the_same_with_the_same_results() {
    let server = Server::start(256);
    let (mut client, mut other) = (server.connect(), server.connect());
    // What is there before the first record.
    client.ask(Control, 0, "trace\0off\0");
    client.ask(Write, 0, "/there\x0012345");
    client.ask(Watch, 0, "/there\0token\0");
    client.ask(Control, 0, "trace\0on\0");
    for (request, payload, expected) in [
        (Read, "/there\0", "12345"),
        (Read, "/none\0", "ENOENT"),
        (Watch, "/there\0one\0", "OK"),
        (Watch, "/there\0two\0", "OK"),
        (Watch, "/there\0two\0", "EEXIST"),
        (Unwatch, "/there\0three\0", "ENOENT"),
        (Unwatch, "/there\0two\0", "OK"),
        (Unwatch, "/there\0one\0", "OK"),
        (Watch, "@releaseDomain\0token\0", "OK"),
        (Mkdir, "/dir/sub\0", "OK"),
        (SetPerms, "/dir\0n0\0r1\0", "OK"),
        (Directory, "/dir\0", "sub"),
        (Rm, "/dir\0", "OK"),
        (Directory, "/dir\0", "ENOENT"),
        (Unwatch, "/there\0token\0", "OK"),
        (GetDomainPath, "0\0", "/local/domain/0"),
    ] {
        assert_eq!(client.ask(request, 0, payload), expected, "{payload:?}");
    }
    for (writes, end, expected) in [(false, "T\0", "OK"), (true, "T\0", "EAGAIN"), (false, "F\0", "OK")] {
        let tx = client.begin();
        assert_eq!(client.ask(Read, tx, "/there\0"), "12345");
        client.write(tx, "/made");
        if writes {
            assert_eq!(other.ask(Write, 0, "/there\x0012345"), "OK");
        }
        assert_eq!(client.ask(TransactionEnd, tx, end), expected);
    }
    let file = server.dump();

    let again = Server::start(256);
    let socket = again.socket();
    let told = run(&["replay", "--json", "--into", text(&socket), text(&file)]).expect("replayed");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let count = asked(&file).len() - 2;
    assert_eq!(
        (&told["replayed"], &told["same results"], &told["nodes made"], &told["other results"]),
        (&json!(count), &json!(count), &json!(1), &json!([])),
        "{told}"
    );
    assert_eq!(
        told["left out"],
        json!([
            { "type": "CONTROL", "requests": 1, "why": "an operator's" },
            { "type": "GET_DOMAIN_PATH", "requests": 1, "why": "no domains are behind a socket" },
            { "type": "UNWATCH", "requests": 1, "why": "its watch was set before" },
        ])
    );
    assert_eq!(again.connect().ask(Read, 0, "/there\0"), "v".repeat(5));
    assert_eq!(again.connect().ask(Read, 0, "/made\0"), "v".repeat(5));

    // The same again in the records of the other server.
    let mut expected = asked(&file);
    expected.retain(|line| !line.contains("GET_DOMAIN_PATH"));
    let left_out = expected.iter().rposition(|line| line.contains("UNWATCH")).expect("the last");
    expected.remove(left_out);
    let mut found = asked(&again.dump());
    // Behind the node that was made first.
    assert_eq!(found.remove(0), r#""WRITE" null null "/there""#);
    found.truncate(expected.len());
    assert_eq!(found, expected);
}

/// A value that came with a relative path has no room in a message with the whole path.
#[test]
fn the_longest_value_is_made_as_long_as_it_can_be() {
    let server = Server::start(64);
    let mut client = server.connect();
    client.ask(Control, 0, "trace\0off\0");
    assert_eq!(client.ask(Write, 0, &format!("a\0{}", "v".repeat(4090))), "OK");
    client.ask(Control, 0, "trace\0on\0");
    assert_eq!(client.ask(Read, 0, "a\0"), "v".repeat(4090));
    let file = server.dump();
    let again = Server::start(64);
    let told = run(&["replay", "--into", text(&again.socket()), text(&file)]).expect("replayed");
    assert!(told.contains("same results"), "{told}");
    assert_eq!(again.connect().ask(Read, 0, "/local/domain/0/a\0"), "v".repeat(4096 - 18));
}

#[test]
fn other_results_are_told() {
    let server = Server::start(64);
    let mut client = server.connect();
    client.ask(Read, 0, "/none\0");
    let file = server.dump();
    client.write(0, "/none");
    let socket = server.socket();
    let told = run(&["replay", "--into", text(&socket), text(&file)]).expect("replayed");
    let words = words(&told);
    for line in ["replayed 1 of 1 request, of 1 domain", "same results 0", "READ 1 ENOENT ok"] {
        assert!(words.iter().any(|told| told == line), "{line}\n{told}");
    }
}

/// More domains than a server has room for at once, each of which ends.
#[test]
fn many_domains_are_replayed_one_after_the_other() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump");
    let of = |domid: u16| {
        let at = |kind| Record { time: Cycles(u64::from(domid)), ..Record::new(kind, DomId(domid)) };
        let watch = Record { msg_type: Watch as u8, hash: 1, ..at(Kind::Ended) };
        [watch, at(Kind::Released)]
    };
    // One number comes twice, as after a long time, and has no watch the second time.
    let records: Vec<Record> = (1..=2000).chain([1]).flat_map(of).collect();
    let names = format!(r#""paths":{{"{:016x}":"@releaseDomain"}},"names":{{}}"#, 1);
    let notes = r#""khz":1000000,"started":0,"first":0,"gaps":[]"#;
    std::fs::write(&file, dump_naming(&names, notes, &records)).expect("written");
    let server = Server::start(64);
    let told = run(&["replay", "--into", text(&server.socket()), text(&file)]).expect("replayed");
    let words = words(&told);
    assert!(words.iter().any(|line| line == "same results 2001"), "{told}");
}

#[test]
fn a_replay_wants_a_socket() {
    let server = Server::start(64);
    let file = server.dump();
    for (place, expected) in [
        ("/dev/null", "--into /dev/null: wanted is the socket of a unix_server"),
        (text(&file), "wanted is the socket of a unix_server"),
        ("/none", "--into /none: wanted is the socket"),
    ] {
        let told = run(&["replay", "--into", place, text(&file)]).expect_err("no socket");
        assert!(told.contains(expected), "{told}");
    }
    let told = run(&["replay", text(&file)]).expect_err("no socket");
    assert!(told.contains("arguments were not provided: --into <SOCKET>"), "{told}");
}
