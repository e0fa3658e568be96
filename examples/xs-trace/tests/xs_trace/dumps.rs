//! What `dump` saves and `show` prints.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use xenstore::abi::DomId;
use xenstore::trace::{Kind, Record};
use xenstore::wire::MessageType;

use crate::played::play;
use crate::{Client, Server, XS_TRACE, run, text};

/// Longer than all dumps of a test take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lines without time, each run of blanks as one, durations as `T µs`.
fn shown(file: &Path, filter: &[&str]) -> Vec<String> {
    let printed = run(&[&["show"], filter, &[text(file)]].concat()).expect("shown");
    let line = |line: &str| {
        let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
        if let Some(n) = words.iter().position(|word| *word == "µs," || *word == "µs") {
            words[n - 1] = "T";
        }
        words.join(" ")
    };
    printed.lines().map(line).collect()
}

#[test]
fn a_session_is_shown_record_by_record() {
    let server = Server::start(256);
    let (mut one, mut other) = (server.connect(), server.connect());
    one.write(0, "/local/domain/0/name");
    one.ask(MessageType::Watch, 0, "/x\0token\0");
    other.write(0, "/x");
    let tx = one.begin();
    assert_eq!(one.ask(MessageType::Read, tx, "/x\0"), "value");
    other.write(0, "/x");
    assert_eq!(one.commit(tx), "EAGAIN");
    let tx = one.begin();
    one.write(tx, "/y");
    assert_eq!(one.commit(tx), "OK");
    one.ask(MessageType::Read, 0, "/missing\0");
    one.ask(MessageType::Control, 0, "trace\0mark\0all\0done\0");
    let file = server.dump();

    let mut expected = vec![
        "WRITE begun, tx 0, 26 bytes",
        "WRITE tx 0 ok, T µs, 3 bytes /local/domain/0/name",
        "WATCH begun, tx 0, 9 bytes",
        "event, 9 bytes /x",
        "WATCH tx 0 ok, T µs, 3 bytes /x",
        "WRITE begun, tx 0, 8 bytes",
        "event, 9 bytes /x",
        "WRITE tx 0 ok, T µs, 3 bytes /x",
        "TRANSACTION_START begun, tx 0, 1 bytes",
        "tx-started 1",
        "TRANSACTION_START tx 0 ok, T µs, 2 bytes",
        "READ begun, tx 1, 3 bytes",
        "READ tx 1 ok, T µs, 5 bytes /x",
        "WRITE begun, tx 0, 8 bytes",
        "event, 9 bytes /x",
        "WRITE tx 0 ok, T µs, 3 bytes /x",
        "TRANSACTION_END begun, tx 1, 2 bytes",
        "tx-conflict 1 with d0 /x",
        "TRANSACTION_END tx 1 EAGAIN, T µs, 0 bytes",
        "TRANSACTION_START begun, tx 0, 1 bytes",
        "tx-started 2",
        "TRANSACTION_START tx 0 ok, T µs, 2 bytes",
        "WRITE begun, tx 2, 8 bytes",
        "WRITE tx 2 ok, T µs, 3 bytes /y",
        "TRANSACTION_END begun, tx 2, 2 bytes",
        "tx-committed 2, 2 nodes",
        "TRANSACTION_END tx 2 ok, T µs, 3 bytes",
        "READ begun, tx 0, 9 bytes",
        "READ tx 0 ENOENT, T µs, 0 bytes /missing",
        "CONTROL begun, tx 0, 20 bytes",
        "mark all done",
        "CONTROL tx 0 ok, T µs, 3 bytes",
        // What took the dump.
        "CONTROL begun, tx 0, 13 bytes",
    ];
    let kinds =
        ["begun", "ended", "event", "tx-started", "tx-committed", "tx-aborted", "tx-conflict", "mark"];
    let filter: Vec<&str> = kinds.iter().flat_map(|kind| ["--kind", kind]).collect();
    let found = shown(&file, &filter);
    let found: Vec<&str> = found.iter().map(|line| line.strip_prefix("d0 value ").unwrap_or(line)).collect();
    assert_eq!(found, expected);

    expected.retain(|line| line.starts_with("READ") || line.starts_with("TRANSACTION_END"));
    let found = shown(&file, &["--type", "read", "--type", "transaction_end", "--domain", "value"]);
    assert_eq!(found.len(), expected.len());
    assert_eq!(shown(&file, &["--errno", "ENOENT"]), ["d0 value READ tx 0 ENOENT, T µs, 0 bytes /missing"]);
    assert_eq!(shown(&file, &["--path", "/m", "--domain", "0"]).len(), 1);
    assert_eq!(shown(&file, &["--path", "/x", "--kind", "event"]).len(), 3);
    let all = shown(&file, &[]).len();
    assert_eq!(shown(&file, &["--domain", "0", "--not-domain", "value"]).len(), 0);
    assert_eq!(shown(&file, &["--not-path", "/"]).len() + shown(&file, &["--path", "/"]).len(), all);
    let reads = shown(&file, &["--type", "read"]).len();
    assert_eq!(shown(&file, &["--not-type", "READ"]).len(), all - reads);
    assert_eq!(shown(&file, &["--not-kind", "event", "--kind", "event"]).len(), 0);
    assert_eq!(shown(&file, &["--type", "read", "--not-errno", "ENOENT"]).len(), reads - 1);
    assert_eq!(shown(&file, &["--to", "0"]), ["server started"]);
    assert_eq!(shown(&file, &["--from", "3600"]).len(), 0);
}

#[test]
fn records_are_objects_in_json() {
    let server = Server::start(64);
    let mut client = server.connect();
    client.write(0, "/local/domain/0/name");
    client.ask(MessageType::Read, 0, "/missing\0");
    let file = server.dump();
    let lines = run(&["show", "--json", "--errno", "ENOENT", "--kind", "ended", text(&file)]).expect("shown");
    let record: serde_json::Value = serde_json::from_str(lines.trim()).expect("one object");
    let member = |name: &str| record[name].to_string();
    let members = ["kind", "domid", "domain", "type", "error", "path"].map(member).join(" ");
    assert_eq!(members, r#""ended" 0 "value" "READ" "ENOENT" "/missing""#);
    assert!(record["seconds"].as_f64() > Some(0.0) && record["microseconds"].is_f64(), "{record}");
    let all = run(&["show", "--json", text(&file)]).expect("shown");
    let parsed = all.lines().map(serde_json::from_str::<serde_json::Value>).filter(Result::is_ok).count();
    assert_eq!(parsed, run(&["show", text(&file)]).expect("shown").lines().count());
}

#[test]
fn filters_that_nothing_can_pass_are_told() {
    let server = Server::start(64);
    server.connect().write(0, "/local/domain/0/name");
    let file = server.dump();
    let socket = server.socket();
    let told =
        run(&["follow", "--from=5", "--to=1", "--store", text(&socket)]).expect_err("nothing is between");
    assert_eq!(told, "xs-trace: --from 5 --to 1: nothing is between, the first must be less\n");
    for task in ["show", "report"] {
        for (filter, expected) in [
            (["--domain", "nosuch"], "no record is of a domain 'nosuch'; there are d0 value"),
            (["--not-domain", "7"], "no record is of a domain '7'; there are d0 value"),
            (["--from=5", "--to=1"], "--from 5 --to 1: nothing is between, the first must be less"),
        ] {
            let arguments = [&[task], &filter[..], &[text(&file)]].concat();
            let output = Command::new(XS_TRACE).args(arguments).output().expect("it runs");
            let told = String::from_utf8(output.stderr).expect("text");
            assert_eq!(
                (output.status.code(), told.as_str()),
                (Some(2), format!("xs-trace: {expected}\n").as_str())
            );
        }
    }
    let output =
        Command::new(XS_TRACE).args(["show", "--path", "/none", text(&file)]).output().expect("it runs");
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success() && output.stdout.is_empty(), "{told}");
    assert!(
        told.starts_with("xs-trace: none of the ") && told.ends_with(" records passes the filters\n"),
        "{told}"
    );
}

/// Numbered requests are known by their sizes, of which there are so many.
const SIZES: usize = 500;

/// A request with a number.
fn numbered(client: &mut Client, number: usize) {
    let value = "v".repeat(number % SIZES);
    assert_eq!(client.ask(MessageType::Write, 0, &format!("/n\0{value}")), "OK");
}

/// Numbered requests follow one another, each with its end, but where it is said that records are missing. How often
/// that is.
fn gaps(lines: &[String]) -> usize {
    let mut gaps = 0;
    // The number of the last request, and whether it has ended.
    let mut last: Option<(usize, bool)> = None;
    for line in lines {
        if line.ends_with(" lost here") {
            gaps += 1;
            last = None;
        } else if let Some((_, size)) = line.split_once("begun, tx 0, ") {
            let size = size.strip_suffix(" bytes").and_then(|size| size.parse().ok()).expect("a number");
            let next = |last: usize| (last - 3 + 1) % SIZES + 3;
            assert!(last.is_none_or(|(last, ended)| ended && size == next(last)), "{line} after {last:?}");
            last = Some((size, false));
        } else {
            assert!(last.is_none_or(|(_, ended)| !ended), "{line} after {last:?}");
            last = last.map(|(size, _)| (size, true));
        }
    }
    gaps
}

#[test]
fn what_the_ring_has_overwritten_is_counted() {
    let server = Server::start(8);
    let mut client = server.connect();
    for n in 0..500 {
        numbered(&mut client, n);
    }
    let file = server.dump();
    let lines = shown(&file, &["--type", "WRITE"]);
    assert_eq!(gaps(&lines), 0);
    assert!(lines.last().is_some_and(|line| line.contains("WRITE tx 0 ok")), "{lines:?}");
    let all = shown(&file, &[]).len();
    assert!(lines.len() > 50 && all < 256, "{all} records, {} of writes", lines.len());
    let report = run(&["report", text(&file)]).expect("a report");
    let lost = report.lines().find_map(|line| line.strip_prefix("lost records"));
    let lost: usize = lost.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("a number");
    assert!(lost > 1000 && report.contains("not known: the first records are lost"), "{report}");
}

/// Asks one request after another, at most so many, beside `work`; what that is given waits for so many more.
fn beside<T>(
    server: &Server,
    most: usize,
    request: impl Fn(&mut Client, usize) + Sync,
    work: impl FnOnce(&dyn Fn(usize)) -> T,
) -> T {
    let (done, asked, begin) = (AtomicBool::new(false), AtomicUsize::new(0), Instant::now());
    // All of it ends also when the test fails.
    let late = || begin.elapsed() > PATIENCE;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = server.connect();
            for n in 0..most {
                request(&mut client, n);
                asked.store(n + 1, Relaxed);
                if done.load(Relaxed) || late() {
                    break;
                }
            }
        });
        let result = work(&|more| {
            let enough = asked.load(Relaxed) + more;
            while asked.load(Relaxed) < enough && !late() {
                thread::sleep(Duration::from_millis(1));
            }
        });
        done.store(true, Relaxed);
        result
    })
}

#[test]
fn a_dump_during_load_misses_nothing_that_it_claims_to_have() {
    // The largest ring does not get full, however slow the dump is: a request is four records of 32 bytes.
    for (trace, most, dumps) in [(4096, 20_000, 1), (64, usize::MAX, 2), (4, usize::MAX, 4)] {
        let server = Server::start(trace);
        beside(&server, most, numbered, |wait| {
            for _ in 0..dumps {
                wait(20);
                let lines = shown(&server.dump(), &["--type", "write"]);
                assert!(!lines.is_empty());
                let gaps = gaps(&lines);
                assert!(trace < 4096 || gaps == 0, "{gaps} gaps in a ring that is not full");
            }
        });
    }
}

#[test]
fn a_held_store_loses_neither_records_nor_names() {
    let server = Server::start(4096);
    let read = |client: &mut Client, n| {
        assert_eq!(client.ask(MessageType::Read, 0, &format!("/none/{n}\0")), "ENOENT");
    };
    let lines = beside(&server, usize::MAX, read, |wait| {
        wait(200);
        let file = server.dump_with(&["--hold"]);
        shown(&file, &["--kind", "ended", "--type", "read", "--errno", "ENOENT", "--path", "/none/"])
    });
    let paths = lines.iter().rev().take(500).filter_map(|line| line.split(' ').next_back());
    let numbers: Vec<u64> = paths.filter_map(|path| path.strip_prefix("/none/")?.parse().ok()).collect();
    assert!(
        numbers.len() > 100 && numbers.is_sorted_by(|later, earlier| *later == earlier + 1),
        "{numbers:?}"
    );
    let mut client = server.connect();
    let mut state = || client.ask(MessageType::Control, 0, "trace\0").lines().next().map(str::to_string);
    assert_eq!(state().as_deref(), Some("trace            : on"));
    // What was off stays off.
    server.connect().ask(MessageType::Control, 0, "trace\0off\0");
    server.dump_with(&["--hold"]);
    assert_eq!(state().as_deref(), Some("trace            : off"));
}

#[test]
fn a_store_that_was_held_by_a_killed_program_records_again() {
    let server = Server::start(4096);
    let mut client = server.connect();
    // Nobody ends this pause: who began it is gone.
    assert_eq!(server.connect().ask(MessageType::Control, 0, "trace\0off\0\x31\0"), "OK");
    let begin = Instant::now();
    while !client.ask(MessageType::Control, 0, "trace\0").starts_with("trace            : on") {
        assert!(begin.elapsed() < PATIENCE, "still off");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_trace_that_is_off_is_told() {
    let server = Server::start(64);
    let dump = |options: &[&str]| {
        let (file, socket) = (server.folder.path().join("dump"), server.socket());
        let all = [&["dump", "--store", text(&socket), text(&file)], options].concat();
        let output = Command::new(XS_TRACE).args(all).output().expect("it runs");
        String::from_utf8(output.stderr).expect("text")
    };
    for options in [&[][..], &["--hold"]] {
        assert!(!dump(options).contains("is off"), "{options:?}");
    }
    server.connect().ask(MessageType::Control, 0, "trace\0off\0");
    for options in [&[][..], &["--hold"]] {
        assert!(dump(options).contains("\nthe trace is off: xenstore-control trace on\n"), "{options:?}");
    }
}

#[test]
fn domains_that_are_gone_have_the_names_of_xls_logs() {
    let server = Server::start(64);
    server.connect().write(0, "/x");
    let logs = server.folder.path().join("logs");
    std::fs::create_dir(&logs).expect("a folder");
    let log =
        "Waiting for domain web (domid 0) to die [pid 7]\nWaiting for domain none (domid 9) to die [pid 7]\n";
    std::fs::write(logs.join("xl-web.log"), log).expect("written");
    let named = |file: &Path| {
        let (with, other) = (["--domain", "web"], ["--domain", "none"]);
        let show = |filter: [&str; 2]| run(&[&["show"], &filter[..], &[text(file)]].concat()).is_ok();
        (show(with), show(other))
    };
    assert_eq!(named(&server.dump_with(&["--xl-logs", text(&logs)])), (true, false));
    // The store's own name is the newer one.
    server.connect().write(0, "/local/domain/0/name");
    let file = server.dump_with(&["--xl-logs", text(&logs)]);
    assert_eq!(named(&file), (false, false));
    run(&["show", "--domain", "value", text(&file)]).expect("the store's name");
}

#[test]
fn records_are_followed_as_they_come() {
    let server = Server::start(256);
    let socket = server.socket();
    let mut command = Command::new(XS_TRACE);
    command.args(["follow", "--type", "WRITE", "--kind", "ended", "--store", text(&socket)]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let done = AtomicBool::new(false);
    let followed: Vec<String> = thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = server.connect();
            let begin = Instant::now();
            for n in 0.. {
                if done.load(Relaxed) || begin.elapsed() > PATIENCE {
                    break;
                }
                client.write(0, &format!("/followed/{n}"));
                client.ask(MessageType::Read, 0, "/none\0");
            }
        });
        let followed = lines.by_ref().take(300).map(|line| line.expect("a line")).collect();
        done.store(true, Relaxed);
        followed
    });
    let numbers: Vec<u64> =
        followed.iter().filter_map(|line| line.rsplit_once("/followed/")?.1.parse().ok()).collect();
    assert!(numbers.len() > 200, "{followed:?}");
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    // Who reads it has seen enough.
    drop(lines);
    server.connect().write(0, "/followed/last");
    assert!(child.wait().expect("it ends").success());
}

/// Its own looks are recorded, too, and are no reason to look again at once.
#[test]
fn who_follows_a_quiet_store_leaves_it_quiet() {
    let server = Server::start(64);
    let (mut client, socket) = (server.connect(), server.socket());
    let mut requests = || -> f64 {
        let stats = client.ask(MessageType::Control, 0, "stats\0");
        let line = stats.lines().find_map(|line| line.strip_prefix("requests")).expect("a line");
        line.trim_matches([' ', ':']).parse().expect("a number")
    };
    let mut command = Command::new(XS_TRACE);
    let mut child = command.args(["follow", "--store", text(&socket)]).spawn().expect("it starts");
    let begin = Instant::now();
    // It looks again and again, ten times in a second at most.
    while requests() < 20.0 {
        assert!(begin.elapsed() < PATIENCE, "it does not look");
        thread::sleep(Duration::from_millis(100));
    }
    let (begin, before) = (Instant::now(), requests());
    thread::sleep(Duration::from_secs(1));
    let (asked, seconds) = (requests() - before, begin.elapsed().as_secs_f64());
    child.kill().and_then(|()| child.wait()).expect("it ends");
    assert!(asked <= 3.0 + 10.0 * seconds, "{asked} requests in {seconds} s");
}

#[test]
fn who_follows_until_then_ends_then() {
    let server = Server::start(64);
    server.connect().write(0, "/a");
    assert_eq!(run(&["follow", "--to=0", "--store", text(&server.socket())]).as_deref(), Ok(""));
}

/// Also by records of which none is told.
#[test]
fn who_follows_until_then_is_told_what_was_lost_before() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).expect("bind");
    let record = STANDARD.encode(Record::new(Kind::WokeUp, DomId(0)).to_bytes());
    let server = thread::spawn(move || {
        let mut answers = [
            "trace            : on\n".to_owned(),
            "xenstore-trace 1 first=5 count=0 end=5 lost=0 khz=1 started=0\n\n".to_owned(),
            format!("xenstore-trace 1 first=9 count=1 end=10 lost=9 khz=1 started=0\n{record}\n"),
        ]
        .into_iter();
        play(&listener, |_| Ok(answers.next().expect("no more is asked for")));
    });
    let told = run(&["follow", "--to=-1", "--store", text(&socket)]).expect("followed");
    assert_eq!(told.trim(), "4 records lost here");
    server.join().expect("it ends");
}

/// Also where the records behind those that are lost are none that are told.
#[test]
fn who_follows_is_told_what_was_lost() {
    let server = Server::start(4);
    let (mut client, socket) = (server.connect(), server.socket());
    let mut command = Command::new(XS_TRACE);
    let mut child = command
        .args(["follow", "--store", text(&socket)])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let pid = child.id().to_string();
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    };
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut until = |end: &str| {
        let mut told = String::new();
        while !told.contains(end) {
            told += &lines.next().expect("another line").expect("a line");
            told += "\n";
        }
        told
    };
    let begun = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut client, begin) = (server.connect(), Instant::now());
            while !begun.load(Relaxed) && begin.elapsed() < PATIENCE {
                client.write(0, "/begin");
                thread::sleep(Duration::from_millis(20));
            }
        });
        until("/begin");
        begun.store(true, Relaxed);
    });
    signal("-STOP");
    // So many that all others are overwritten, by what is not told.
    client.write(0, "/lost");
    (0..2000).for_each(|_| drop(client.ask(MessageType::Control, 0, "trace\0")));
    signal("-CONT");
    thread::sleep(Duration::from_millis(500));
    client.write(0, "/end");
    let told = until("/end");
    assert!(told.contains(" records lost here\n") && !told.contains("/lost"), "{told}");
    child.kill().and_then(|()| child.wait()).expect("it ends");
}
