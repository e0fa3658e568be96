//! The tool on states of a server in memory.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::Host;

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xs-state")).args(args).output().expect("it runs")
}

/// What it prints, and its status.
fn told(args: &[&str]) -> (String, i32) {
    let Output { stdout, status, .. } = run(args);
    (String::from_utf8(stdout).expect("text"), status.code().expect("it ends by itself"))
}

fn host() -> Host {
    let mut host = Host::new();
    host.boot(5);
    host.expect(&[
        (5, 0, "WRITE data|a b\\\"", "OK|"),
        (5, 0, "WATCH data|token|2|", "OK|; ev data,token"),
        (0, 0, "SET_QUOTA 5|nodes|7|", "OK|"),
    ]);
    host
}

fn save(folder: &Path, name: &str, host: &Host, version: u32) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, host.save(version)).expect("the folder can be written");
    file
}

#[test]
fn a_state_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    for version in [1, 2] {
        let file = save(folder.path(), "state", &host(), version);
        let file = file.to_str().expect("text");
        let (text, status) = told(&["show", file]);
        assert_eq!(status, 0);
        assert_eq!(
            text,
            "/ = \"\"   (n0)\n\
             /tool = \"\"   (n0)\n\
             /tool/xenstored = \"\"   (n0)\n\
             /local = \"\"   (n0)\n\
             /local/domain = \"\"   (n0)\n\
             /local/domain/5 = \"\"   (n5)\n\
             /local/domain/5/data = \"a b\\\\\"\"   (n5)\n\
             @releaseDomain = \"\"   (n0,r32757)\n\
             @introduceDomain = \"\"   (n0)\n"
        );
        let (all, _) = told(&["show", "--all", file]);
        let depth = if version > 1 { " 2" } else { "" };
        for line in [
            "quota nodes = 1000\n",
            "domain 0: introduced, port 1, unique id 1, features 15\n",
            "domain 5: introduced, port 2, unique id 2, features 15\n",
            "domain 5: quota nodes = 7\n",
            &format!("watch 5 data token{depth}\n"),
        ] {
            assert!(all.starts_with(&text) && all.contains(line), "{line}{all}");
        }
        let (json, _) = told(&["show", "--json", file]);
        for part in ["\"path\": \"/local/domain/5/data\"", "\"nodes\": 7", "\"introduced\": true"] {
            assert!(json.contains(part), "{part}\n{json}");
        }
    }
}

#[test]
fn two_states_are_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut host = host();
    let old = save(folder.path(), "old", &host, 2);
    host.expect(&[(5, 0, "WRITE data|c", "ev data,token; OK|"), (0, 0, "WRITE /new|", "OK|")]);
    let new = save(folder.path(), "new", &host, 2);
    let (old, new) = (old.to_str().expect("text"), new.to_str().expect("text"));
    assert_eq!(told(&["diff", old, old]), (String::new(), 0));
    let expected = "- /local/domain/5/data = \"a b\\\\\"\"   (n5)\n\
                    + /local/domain/5/data = \"c\"   (n5)\n\
                    + /new = \"\"   (n0)\n";
    assert_eq!(told(&["diff", old, new]), (expected.to_string(), 1));
}

/// A record with its body, which ends at a multiple of 8.
fn record(kind: u32, parts: &[&[u8]]) -> Vec<u8> {
    let mut body = parts.concat();
    body.resize(body.len().next_multiple_of(8), 0);
    [&kind.to_le_bytes()[..], &(body.len() as u32).to_le_bytes(), &body].concat()
}

/// Writes a state of these records.
fn state_of(folder: &Path, name: &str, records: &[Vec<u8>]) -> String {
    let head = [&b"xenstore"[..], &[0, 0, 0, 1, 0, 0, 0, 0]].concat();
    let file = folder.join(name);
    std::fs::write(&file, [head, records.concat(), record(0, &[])].concat())
        .expect("the folder can be written");
    file.to_str().expect("text").to_owned()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A server passes over what is of an open transaction.
#[test]
fn what_a_transaction_has_made_is_not_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let node = |transaction: u32, path: &str, value: &str| {
        let halves = [path.len() as u16 + 1, value.len() as u16, 2, 1].map(u16::to_le_bytes).concat();
        let ids = words(&[transaction, transaction]);
        record(5, &[&ids, &halves, b"n\0\0\0", path.as_bytes(), b"\0", value.as_bytes()])
    };
    let without = state_of(folder.path(), "without", &[node(0, "/", "kept")]);
    let with = state_of(folder.path(), "with", &[node(0, "/", "kept"), node(7, "/pending", "x")]);
    assert_eq!(told(&["show", &with]), ("/ = \"kept\"   (n0)\n".to_string(), 0));
    assert_eq!(told(&["diff", &without, &with]), (String::new(), 0));
}

/// Clients of a C daemon's socket may have the same watch.
#[test]
fn what_one_state_has_more_often_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = |number: u32| {
        let socket = record(2, &[&words(&[number, 1, 9, 0, 0, 0])]);
        let lengths = [2_u16, 2].map(u16::to_le_bytes).concat();
        [socket, record(3, &[&words(&[number]), &lengths, b"/\0t\0"])].concat()
    };
    let one = state_of(folder.path(), "one", &[client(1)]);
    let three = state_of(folder.path(), "three", &[client(1), client(2), client(3)]);
    assert_eq!(told(&["diff", &one, &three]), ("+ watch ? / t\n".repeat(2), 1));
    assert_eq!(told(&["diff", &three, &one]), ("- watch ? / t\n".repeat(2), 1));
    assert_eq!(told(&["diff", &three, &three]), (String::new(), 0));
}

/// Whatever a file has in it, it is shown or refused in one line.
#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("state");
    let path = file.to_str().expect("text");
    let state = host().save(2);
    for len in (0..state.len()).step_by(5) {
        std::fs::write(&file, &state[..len]).expect("the folder can be written");
        let Output { stderr, status, .. } = run(&["show", path]);
        let told = String::from_utf8(stderr).expect("text");
        assert_eq!((status.code(), told.lines().count()), (Some(2), 1), "{len}: {told}");
    }
    // Whatever a file is called is nothing to a terminal.
    let told = run(&["show", "none\x1b[2J"]).stderr;
    assert!(told.starts_with(br"xs-state: none\u{1b}[2J: "), "{}", told.escape_ascii());
    for (args, expected) in [
        (
            &[][..],
            "'xs-state' requires a subcommand but one was not provided [subcommands: save, show, diff]",
        ),
        (&["show"], "the following required arguments were not provided: <FILE>"),
        (&["diff", "old"], "the following required arguments were not provided: <NEW>"),
        (
            &["diff", "old", "new", "more"],
            "unexpected argument 'more' found; allowed: xs-state diff <OLD> <NEW>",
        ),
        (&["show", "--all", "--json", path], "the argument '--all' cannot be used with '--json'"),
        (
            &["show", "--store", path, path],
            "unexpected argument '--store' found; allowed: --all, --json, --help",
        ),
        (
            &["save", "--json", path],
            "unexpected argument '--json' found; allowed: --store, --timeout, --help",
        ),
        (&["load", path], "unrecognized subcommand 'load'; allowed: save, show, diff"),
        (&["--what"], "unexpected argument '--what' found; allowed: --help, --version"),
    ] {
        let Output { stderr, status, .. } = run(args);
        let told = String::from_utf8(stderr).expect("text");
        assert_eq!(
            (status.code(), told),
            (Some(2), format!("xs-state: {expected}; see --help\n")),
            "{args:?}"
        );
    }
}
