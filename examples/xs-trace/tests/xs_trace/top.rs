//! `xs-trace top` as plain text, from a server that is busy, and from one that ends.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use xenstore::wire::MessageType;

use crate::{Server, XS_TRACE};

fn command(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(XS_TRACE);
    command.arg("top").args(arguments).arg("--store").arg(socket).stdin(Stdio::null());
    command
}

fn top(socket: &Path, arguments: &[&str]) -> Output {
    command(socket, arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn batch_mode_tells_what_domains_ask() {
    let server = Server::start(64);
    let mut client = server.connect();
    // A domain's name can neither control the reader's terminal nor reverse its text.
    client.ask(MessageType::Write, 0, "/local/domain/0/name\0Dom\x1b[2J\u{202e}0");
    client.ask(MessageType::Watch, 0, "/a\0token\0");
    client.ask(MessageType::Watch, 0, "/b\0token\0");

    let done = AtomicBool::new(false);
    let tables = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                client.ask(MessageType::Write, 0, "/a\0value");
                client.ask(MessageType::Read, 0, "/missing\0");
            }
        });
        let tables = busy_tables(&server.socket());
        done.store(true, Relaxed);
        tables
    });
    for (head, table) in &tables {
        assert!(head.starts_with("xs-trace top - up 0:"), "{head}");
        assert!(head.contains("watches 2/"), "{head}");
        let rows: Vec<Vec<&str>> =
            table.trim().lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0].join(" "), "DOMID NAME REQ/S USEC EVT/S WATCH NODES MEM TX CONFL STALL THR REFUS");
        assert_eq!(rows[1][..2], ["0", r"Dom\x1b[2J\xe2\x80\xae0"]);
        assert_eq!(rows[1][5], "2", "watches of all clients: {rows:?}");
        for column in [2, 3, 4] {
            assert_ne!(rows[1][column].trim_start_matches('-'), "0", "{rows:?}");
        }
    }
}

/// Two heads and tables of times in which there were requests, errors and events: on a machine with much else to do there
/// may be others between.
fn busy_tables(socket: &Path) -> Vec<(String, String)> {
    let mut child =
        command(socket, &["--delay", "0.3", "--batch"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut part = || -> String {
        let lines = lines.by_ref().map(|line| line.expect("a line")).take_while(|line| !line.is_empty());
        lines.map(|line| line + "\n").collect()
    };
    let tables = std::iter::repeat_with(|| (part(), part())).take(300);
    let is_busy = |head: &str| {
        let sums: Vec<&str> = head.lines().nth(1).expect("sums").split(", ").collect();
        sums.iter().all(|sum| !sum.starts_with("0 "))
    };
    let tables: Vec<_> = tables.filter(|(head, _)| is_busy(head)).take(2).collect();
    assert!(child.kill().and_then(|()| child.wait()).is_ok());
    assert_eq!(tables.len(), 2, "no requests, errors and events in 300 tables");
    tables
}

#[test]
fn batch_mode_prints_as_many_tables_as_are_wanted() {
    let server = Server::start(64);
    let output = top(&server.socket(), &["--delay", "0.1", "--batch", "-n", "2"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    assert_eq!(printed.split_inclusive("\n\n").count(), 4, "two heads and two tables: {printed}");
}

#[test]
fn batch_mode_prints_objects_in_json() {
    let server = Server::start(64);
    let mut client = server.connect();
    client.ask(MessageType::Write, 0, "/local/domain/0/name\0Domain-0");
    let output = top(&server.socket(), &["--once", "--delay", "0.1", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table: serde_json::Value = serde_json::from_str(text(&output.stdout)).expect("one object");
    let domain = &table["domains"][0];
    assert_eq!(domain["name"], "Domain-0");
    assert!(domain["nodes"].as_u64() > Some(0) && domain["requests"].as_u64() > Some(0), "{table}");
    assert!(table["memory"]["nodes"]["used"].as_u64() > Some(0) && table["requests"].is_f64(), "{table}");
    assert_eq!(table["trace-on"], true);
    let output = top(&server.socket(), &["--json"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_domain_that_gets_another_name_is_called_so() {
    let server = Server::start(64);
    let mut client = server.connect();
    let mut call = |name: &str| {
        client.ask(MessageType::Write, 0, &format!("/local/domain/0/name\0{name}"));
    };
    call("web--incoming");
    let mut top = command(&server.socket(), &["--delay", "0.1", "--batch", "--json"]);
    let mut child = top.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut named = |name: &str| {
        let mut tables = lines.by_ref().take(100).map(|line| line.expect("a table"));
        tables.any(|table| table.contains(&format!("\"{name}\"")))
    };
    assert!(named("web--incoming"));
    call("web");
    assert!(named("web"), "it has its first name for ever");
    assert!(child.kill().and_then(|()| child.wait()).is_ok());
}

#[test]
fn a_store_that_is_not_there_is_one_line() {
    let server = Server::start(64);
    let output = top(&server.folder.path().join("none"), &["--once"]);
    let error = text(&output.stderr);
    assert!(error.starts_with("xs-trace: no store at ") && error.lines().count() == 1, "{error}");

    let mut going = command(&server.socket(), &["--batch", "--delay", "0.1"]);
    let mut going = going.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // It has the store, as the first bytes that it prints say. What it prints later fits the pipe.
    going.stdout.as_mut().expect("piped").read_exact(&mut [0; 1]).expect("a table");
    drop(server);
    let gone = going.wait_with_output().expect("it ends");
    let error = text(&gone.stderr);
    assert!(error.starts_with("xs-trace: lost the store at ") && error.lines().count() == 1, "{error}");
    assert_eq!(gone.status.code(), Some(1));
}

#[test]
fn mistakes_in_the_call_are_told() {
    for (arguments, wanted) in [
        (
            &["--delay", "0"][..],
            "invalid value '0' for '--delay <SECONDS>': 0.1 to 3600 seconds are possible",
        ),
        (&["-n", "3"], "the following required arguments were not provided: --batch"),
        (&["-b", "-n", "none"], "invalid value 'none' for '-n <COUNT>'"),
        (&[], "top wants a terminal; --batch prints plain text"),
    ] {
        let output = top(Path::new("/nowhere"), arguments);
        let error = text(&output.stderr);
        assert!(error.starts_with(&format!("xs-trace: {wanted}")) && error.lines().count() == 1, "{error}");
    }
}
