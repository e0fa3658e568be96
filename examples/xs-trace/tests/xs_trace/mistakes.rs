//! Errors: one line says what is wrong.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::crafted::dump;
use crate::played::play;
use crate::{Server, XS_TRACE, run, text};

/// Longer than a program takes to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A dump with no records, and with these notes.
fn made(notes: &str) -> Vec<u8> {
    let json = format!(r#"{{"khz":1,"started":0,"first":0,"paths":{{}},"stats":{{}},{notes}}}"#);
    format!("xenstore-trace-dump 1 json={} records=0\n{json}", json.len()).into_bytes()
}

#[test]
fn files_that_are_no_dumps() {
    let server = Server::start(64);
    let file = server.dump();
    let whole = std::fs::read(&file).expect("read");
    let other = b"xenstore-trace-dump 2 json=0 records=0\n";
    let half = "truncated";
    let twice = r#""names":{},"gaps":[{"before":0,"count":1},{"before":0,"count":1}]"#;
    for (bytes, expected) in [
        (&whole[..whole.len() - 1], "truncated: 1 byte missing"),
        (&whole[..whole.len() / 2], half),
        (&whole[..60], half),
        (&whole[..20], "not a dump of xs-trace"),
        (b"", "not a dump of xs-trace"),
        (b"\x7fELF\n", "not a dump of xs-trace"),
        (other, "a dump of version 2; this is for version 1"),
        (&[&whole[..], b"x"].concat(), "1 byte behind the end of the dump"),
        (b"xenstore-trace-dump 1 json=2 records=0\n{}", "a damaged dump: missing field"),
        (&made(r#""names":{"0":"\u001b[2J"},"gaps":[]"#), "a damaged dump: a name that cannot be printed"),
        (
            &made(
                r#""names":{},"gaps":[],"about":{"version":"1","build":"","xen":"","host":"","tool":"","at":"\u001b[2J"}"#,
            ),
            "a damaged dump: a name that cannot be printed",
        ),
        (&made(r#""names":{},"gaps":[{"before":1,"count":1}]"#), "a damaged dump: gaps where no records are"),
        (&made(twice), "a damaged dump: gaps that are not in their order"),
    ] {
        std::fs::write(&file, bytes).expect("written");
        for task in [&["show"][..], &["report"], &["export", "--perfetto"]] {
            let told = run(&[task, &[text(&file)]].concat()).expect_err("no dump");
            assert!(told.starts_with("xs-trace: /") && told.contains(expected), "{told}");
        }
    }
}

#[test]
fn stores_that_are_not_there_or_have_no_recorder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("socket");
    let dump = || run(&["dump", "--store", text(&socket), "/dev/null"]).expect_err("no dump");
    let told = dump();
    assert!(told.contains(&format!("no store at {}: it does not exist", socket.display())), "{told}");

    let listener = UnixListener::bind(&socket).expect("bind");
    let errors = ["EINVAL", "\x1b]0;title\x07"];
    let server = thread::spawn(move || {
        for error in errors {
            play(&listener, |_| Err(error));
        }
    });
    for expected in ["has no trace", r"the store answers CONTROL with \u{1b}]0;title\u{7}"] {
        let told = dump();
        assert!(told.contains(expected), "{told}");
    }
    server.join().expect("it ends");
    // A process that another test starts holds the listener until it runs its program.
    let told =
        std::iter::repeat_with(dump).find(|told| !told.contains("lost the store")).expect("it is told");
    assert!(told.contains("no server listens there"), "{told}");
}

#[test]
fn words_that_are_not_understood() {
    for (arguments, expected) in [
        (&[][..], "requires a subcommand but one was not provided [subcommands: dump, show, follow, report"),
        (&["sing"], "unrecognized subcommand 'sing'; allowed: dump, show"),
        (&["dump"], "arguments were not provided: <FILE>"),
        (
            &["dump", "--console", "a", "--store", "b", "c"],
            "'--console <LOG>' cannot be used with '--store <PLACE>'",
        ),
        (
            &["show", "--domain", "0", "a", "b"],
            "unexpected argument 'b' found; allowed: xs-trace show [OPTIONS] <FILE>",
        ),
        (
            &["show", "--kind", "ending", "a"],
            "'ending' for '--kind <KIND>': wanted is one of started, begun, ended",
        ),
        (&["show", "--errno", "EWHAT", "a"], "'EWHAT' for '--errno <ERROR>': wanted is one of EINVAL"),
        (
            &["show", "--html", "a"],
            "unexpected argument '--html' found; allowed: --json, --domain, --type, --kind,",
        ),
        (&["show", "--from", "noon", "a"], "'noon' for '--from <SECONDS>': wanted are seconds, like 1.5"),
        (&["show", "--to", "x", "a"], "'x' for '--to <SECONDS>': wanted are seconds, like 1.5"),
        (&["compare", "--percent", "x", "a", "b"], "wanted is a whole number from 0 to 10000"),
        (&["top", "-b", "-n", "0"], "'0' for '-n <COUNT>': wanted is a number above 0"),
        (
            &["metrics", "--listen", "localhost:9786"],
            "wanted is an address by its numbers, and a port, such as 127.0.0.1:9786",
        ),
        (&["report", "--top", "0", "a"], "'0' for '--top <N>': wanted is a number above 0"),
        (&["export", "a"], "arguments were not provided: --perfetto"),
    ] {
        let told = run(arguments).expect_err("a mistake");
        assert!(told.contains(expected) && told.contains("--help"), "{arguments:?}: {told}");
        assert!(!told.contains("For more information"), "{arguments:?}: {told}");
    }
    let said = Command::new(XS_TRACE).arg(OsStr::from_bytes(b"\xff")).output().expect("it runs");
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(told.starts_with("xs-trace: unrecognized subcommand") && told.lines().count() == 1, "{told}");
    assert_eq!(said.status.code(), Some(2));
}

#[test]
fn a_store_that_is_held_records_again_however_the_dump_ends() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("socket");
    // The state in the end: recording, as far as the dump knows, or turned off by somebody else.
    let (on, held, off, long) = (("on", 0), ("off", 45), ("off", 0), ("off", 300));
    for (signal, state) in [
        (None, on),
        (None, held),
        (None, off),
        (None, long),
        (Some("INT"), held),
        (Some("TERM"), held),
        (Some("HUP"), held),
    ] {
        let listener = UnixListener::bind(&socket).expect("bind");
        let mut command = Command::new(XS_TRACE);
        let command = command.args(["dump", "--hold", "--store", text(&socket), "/dev/null"]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut asked: Vec<String> = Vec::new();
        play(&listener, |words| {
            let words = words.join(" ");
            // The second page is no page, or a signal ends the reader.
            let page = |first: u64| {
                let record = "A".repeat(43) + "=";
                format!("xenstore-trace 1 first={first} count=1 end=9 lost=0 khz=1 started=0\n{record}\n")
            };
            let answer = match (words.as_str(), signal) {
                ("trace", _) => {
                    let (is, seconds) = if asked.is_empty() { on } else { state };
                    format!("trace            : {is}\non again in s    : {seconds:>8}\n")
                }
                ("trace dump 0", _) => page(0),
                ("trace dump 1", None) => "no page".to_string(),
                ("trace dump 1", Some(signal)) => {
                    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
                    assert!(sent.is_ok_and(|status| status.success()));
                    page(1)
                }
                _ => "OK".to_string(),
            };
            asked.push(words);
            Ok(answer)
        });
        let mut expected = vec!["trace", "trace off 60", "trace dump 0", "trace dump 1", "trace"];
        if ![off, long].contains(&state) {
            expected.push("trace on");
        }
        assert_eq!(asked, expected, "{signal:?}, {state:?}");
        let mut told = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut told).expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(1), "{signal:?}");
        let expected = if signal.is_some() { "interrupted" } else { "not a page" };
        assert!(told.contains(expected) && told.lines().count() == 1, "{signal:?}: {told}");
        std::fs::remove_file(&socket).expect("removed");
    }
}

/// A pipe that nobody reads: when the store records again, nothing is left to see to.
#[test]
fn who_waits_for_a_reader_can_be_interrupted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (socket, pipe) = (folder.path().join("socket"), folder.path().join("pipe"));
    assert!(Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()));
    let listener = UnixListener::bind(&socket).expect("bind");
    let mut command = Command::new(XS_TRACE);
    let command = command.args(["dump", "--hold", "--store", text(&socket), text(&pipe)]);
    let mut child = command.spawn().expect("it starts");
    play(&listener, |words| {
        let answer = match words {
            ["trace"] => "trace            : on\n",
            ["trace", "dump", "0"] => "xenstore-trace 1 first=0 count=0 end=0 lost=0 khz=1 started=0\n\n",
            ["stats", "json"] => "{}",
            _ => "OK",
        };
        Ok(answer.to_string())
    });
    // It has asked for all.
    let sent = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    let begin = Instant::now();
    while child.try_wait().expect("it can be waited for").is_none() && begin.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("its end is still to be heard of");
    assert_eq!(child.wait().expect("it ends").signal(), Some(2));
}

/// A standard output that takes nothing is told as what it is, and is no name of a file.
#[test]
fn a_standard_output_that_is_full_is_told() {
    let server = Server::start(64);
    let (socket, file) = (server.socket(), server.dump());
    let (place, file) = (text(&socket), text(&file));
    for words in [
        &["dump", "--store", place, "-"][..],
        &["show", file],
        &["report", file],
        &["report", "--html", "-", file],
        &["compare", file, file],
        &["export", "--perfetto", file],
        &["stats", "--store", place],
        &["metrics", "--store", place],
        &["top", "--once", "--store", place],
        &["--help"],
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
        let said = Command::new(XS_TRACE).args(words).stdout(full).output().expect("it runs");
        let told = String::from_utf8_lossy(&said.stderr);
        assert_eq!(told.lines().count(), 1, "{words:?}: {told}");
        assert!(told.starts_with("xs-trace: standard output: No space left"), "{words:?}: {told}");
        assert_eq!(said.status.code(), Some(1), "{words:?}");
    }
}

/// What nobody can be told changes nothing of what is done, and of what that comes to.
#[test]
fn a_standard_error_that_is_full_changes_no_status() {
    let server = Server::start(64);
    let (socket, file) = (server.socket(), server.dump());
    let (place, file) = (text(&socket), text(&file));
    for (words, status) in [
        (&["dump", "--store", place, file][..], 0),
        (&["show", "--path", "/none", file], 0),
        (&["stats", "--store", "/none"], 1),
        (&["show", "--domain", "nosuch", file], 2),
        (&["frob"], 2),
    ] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
        let said = Command::new(XS_TRACE).args(words).stderr(full).output().expect("it runs");
        assert_eq!(said.status.code(), Some(status), "{words:?}");
    }
}

#[test]
fn a_dump_is_not_written_over() {
    let server = Server::start(64);
    let file = server.dump();
    let (before, link) = (std::fs::read(&file).expect("a dump"), server.folder.path().join("link"));
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    for out in [&file, &link] {
        for words in [
            &["report", "--html", text(out), text(&file)][..],
            &["export", "--perfetto", "-o", text(out), text(&file)],
        ] {
            let told = run(words).expect_err("a mistake");
            let expected =
                format!("xs-trace: {}: that is what it is made of; name another file\n", out.display());
            assert_eq!(told, expected, "{words:?}");
            assert_eq!(std::fs::read(&file).expect("a dump"), before);
        }
    }
}

/// Every task that asks a store says in one line that it does not answer, and ends.
#[test]
fn a_store_that_hangs_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (socket, file) = (folder.path().join("socket"), folder.path().join("dump"));
    std::fs::write(&file, dump(r#""khz":1,"started":0,"first":0,"gaps":[]"#, &[])).expect("written");
    // It takes connections, and no more.
    let _listener = UnixListener::bind(&socket).expect("bind");
    let (place, file) = (text(&socket), text(&file));
    for words in [
        &["dump", "--store", place, file][..],
        &["dump", "--hold", "--store", place, file],
        &["follow", "--store", place],
        &["top", "--once", "--store", place],
        &["top", "--batch", "--store", place],
        &["stats", "--store", place],
        &["metrics", "--store", place],
        &["replay", "--into", place, file],
    ] {
        let told = run(&[words, &["--timeout", "0.1"]].concat()).expect_err("it hangs");
        let expected = format!(
            "xs-trace: the store at {place} has not answered for 0.1 s; --timeout lets it take longer"
        );
        assert_eq!(told.trim_end(), expected, "{words:?}");
    }
}
