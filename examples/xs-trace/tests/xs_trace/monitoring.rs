//! What monitoring sees of a store: metrics in each form and way, and `health`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use xenstore::wire::MessageType;

use crate::played::play;
use crate::{Server, XS_TRACE, run, text, words};

/// Longer than a program takes for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// The value of a sample.
fn sample(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// A store that somebody has asked for something.
fn asked() -> Server {
    let server = Server::start(64);
    let mut client = server.connect();
    client.write(0, "/local/domain/0/name");
    client.ask(MessageType::Read, 0, "/missing\0");
    server
}

#[test]
fn metrics_are_what_the_store_has_counted() {
    let server = asked();
    let socket = server.socket();
    let metrics = run(&["metrics", "--store", text(&socket)]).expect("metrics");
    assert!(metrics.ends_with("\n# EOF\n"), "{metrics}");
    for (name, value) in [
        ("xenstore_up", 1.0),
        ("xenstore_trace_enabled", 1.0),
        (r#"xenstore_requests_total{type="WRITE"}"#, 1.0),
        (r#"xenstore_failed_requests_total{type="READ"}"#, 1.0),
        (r#"xenstore_domain_conflicts_total{domid="0",domain="value"}"#, 0.0),
        ("xenstore_faults_total", 0.0),
    ] {
        assert_eq!(sample(&metrics, name), Some(value), "{name}: {metrics}");
    }
    for name in [r#"xenstore_slots_limit{kind="transaction-nodes"}"#, "xenstore_uptime_seconds"] {
        assert!(sample(&metrics, name) > Some(0.0), "{name}: {metrics}");
    }
    assert!(
        metrics.contains("\nxenstore_build_info{version=\"xenstore-stubdom 0.1.0\",build=\""),
        "{metrics}"
    );
    assert!(metrics.contains("# TYPE xenstore_requests counter\n"), "{metrics}");
}

#[test]
fn a_textfile_is_replaced_and_tells_of_a_store_that_is_gone() {
    let server = asked();
    let (socket, file) = (server.socket(), server.folder.path().join("xenstore.prom"));
    let write = || run(&["metrics", "--textfile", text(&file), "--store", text(&socket)]);
    assert_eq!(write().as_deref(), Ok(""));
    let metrics = std::fs::read_to_string(&file).expect("a file");
    assert!(
        metrics.contains("# TYPE xenstore_requests_total counter\n") && !metrics.contains("# EOF"),
        "{metrics}"
    );
    std::fs::remove_file(&socket).expect("removed");
    assert!(write().expect_err("no store").contains("no store at"));
    let metrics = std::fs::read_to_string(&file).expect("a file");
    assert_eq!((sample(&metrics, "xenstore_up"), metrics.lines().count()), (Some(0.0), 3), "{metrics}");
    let others = std::fs::read_dir(server.folder.path()).expect("a folder").count();
    assert_eq!(others, 1, "nothing is left beside it");
    let told =
        run(&["metrics", "--textfile", "/none/x.prom", "--store", text(&socket)]).expect_err("no folder");
    assert!(told.trim_end().ends_with("/none/x.prom: No such file or directory (os error 2)"), "{told}");
    let folder = server.folder.path().join("folder");
    std::fs::create_dir(&folder).expect("it is made");
    let told =
        run(&["metrics", "--textfile", text(&folder), "--store", text(&socket)]).expect_err("a folder");
    assert!(told.contains("/folder: "), "{told}");
    let left = std::fs::read_dir(server.folder.path()).expect("a folder");
    let left: Vec<_> = left.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    assert_eq!(left.len(), 2, "what was written is left: {left:?}");
}

/// Whoever writes it may keep all other files of theirs from others.
#[test]
fn a_textfile_can_be_read_by_another_user() {
    let (server, write) = (asked(), "umask 077 && exec \"$1\" metrics --textfile \"$2\" --store \"$3\"");
    let (socket, file) = (server.socket(), server.folder.path().join("x.prom"));
    let mut shell = Command::new("sh");
    let written = shell.args(["-c", write, "sh", XS_TRACE, text(&file), text(&socket)]).status();
    assert!(written.is_ok_and(|status| status.success()));
    assert_eq!(file.metadata().expect("a file").permissions().mode() & 0o777, 0o644);
}

#[test]
fn what_who_was_killed_amid_a_textfile_has_left_is_removed() {
    let server = asked();
    let (socket, folder) = (server.socket(), server.folder.path());
    let write = || run(&["metrics", "--textfile", text(&folder.join("x.prom")), "--store", text(&socket)]);
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    for (name, modified) in [
        (".x.prom.new-abcdef", long_ago),
        (".x.prom.new-ghijkl", SystemTime::now()),
        (".y.prom.new-abcdef", long_ago),
        ("x.prom.new-abcdef", long_ago),
    ] {
        File::create(folder.join(name)).and_then(|file| file.set_modified(modified)).expect("a file");
    }
    write().expect("it is written");
    let mut left: Vec<_> =
        folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    left.retain(|name| *name != "socket");
    left.sort();
    // What is young may be another run's, and the rest is none of ours.
    assert_eq!(left, [".x.prom.new-ghijkl", ".y.prom.new-abcdef", "x.prom", "x.prom.new-abcdef"]);
}

#[test]
fn a_textfile_takes_no_place_of_what_is_no_file() {
    let server = asked();
    let socket = server.socket();
    run(&["metrics", "--textfile", text(&socket), "--store", text(&socket)])
        .expect_err("it cannot be written");
    server.connect().write(0, "/it/is/there/still");
}

#[test]
fn a_textfile_tells_of_a_store_that_hangs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (socket, file) = (folder.path().join("socket"), folder.path().join("xenstore.prom"));
    // It takes connections, and no more.
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bind");
    let said = run(&["metrics", "--timeout", "0.1", "--textfile", text(&file), "--store", text(&socket)])
        .expect_err("it hangs");
    assert!(said.contains(" has not answered for 0.1 s; --timeout "), "{said}");
    let metrics = std::fs::read_to_string(&file).expect("a file");
    assert_eq!(sample(&metrics, "xenstore_up"), Some(0.0), "{metrics}");
}

/// `xs-trace metrics --listen`, ended when dropped.
struct Listener(Child, String);

impl Listener {
    fn start(server: &Server) -> Listener {
        // What it says later has somewhere to go.
        Listener::start_with(server, |mut said| {
            std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        })
    }

    /// Gives away what it says behind its first line.
    fn start_with(server: &Server, hears: impl FnOnce(BufReader<ChildStderr>)) -> Listener {
        let socket = server.socket();
        let mut command = Command::new(XS_TRACE);
        command.args(["metrics", "--listen", "127.0.0.1:0", "--store", text(&socket)]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let mut said = BufReader::new(child.stderr.take().expect("piped"));
        said.read_line(&mut line).expect("where it listens");
        hears(said);
        let address = line.trim().strip_prefix("xs-trace: metrics at http://");
        let address = address.and_then(|address| address.strip_suffix("/metrics")).expect("an address");
        Listener(child, address.to_owned())
    }

    /// Head and body of an answer.
    fn ask(&self, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.1).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        write!(stream, "{request}\r\nHost: here\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        assert!(self.0.kill().and_then(|()| self.0.wait()).is_ok());
    }
}

#[test]
fn scrapes_are_answered_in_the_form_that_they_ask_for() {
    let server = asked();
    let listener = Listener::start(&server);
    let (head, body) = listener.ask("GET /metrics HTTP/1.1");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(
        sample(&body, r#"xenstore_requests_total{type="WRITE"}"#) == Some(1.0) && !body.contains("# EOF"),
        "{body}"
    );
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let (head, body) = listener.ask(&format!("GET /metrics HTTP/1.1\r\n{accept}"));
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(body.ends_with("# EOF\n"), "{body}");
    assert!(listener.ask("GET /other HTTP/1.1").0.starts_with("HTTP/1.1 404 "));
    assert!(listener.ask("POST /metrics HTTP/1.1").0.starts_with("HTTP/1.1 405 "));
    // Somebody who says nothing holds up nobody, and a store that is gone is told.
    let silent = TcpStream::connect(&listener.1).expect("connected");
    std::fs::remove_file(server.socket()).expect("removed");
    let begin = Instant::now();
    // The last look answers for a while.
    while sample(&listener.ask("GET /metrics HTTP/1.1").1, "xenstore_up") != Some(0.0) {
        assert!(begin.elapsed() < PATIENCE, "a store that is gone is told to be up");
    }
    drop(silent);
}

/// Nobody reads what it says any more, such as a logger that has ended.
#[test]
fn a_listener_that_nobody_hears_serves_on() {
    let server = asked();
    let listener = Listener::start_with(&server, drop);
    std::fs::remove_file(server.socket()).expect("removed");
    let (_, body) = listener.ask("GET /metrics HTTP/1.1");
    assert_eq!(sample(&body, "xenstore_up"), Some(0.0), "{body}");
}

/// More of them than are served at once, who never ask.
#[test]
fn who_says_nothing_keeps_no_scrape_waiting() {
    let server = asked();
    let listener = Listener::start(&server);
    let silent: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(&listener.1).expect("connected")).collect();
    let mut next = TcpStream::connect(&listener.1).expect("connected");
    write!(next, "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").expect("sent");
    next.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    next.read_exact(&mut [0]).expect("an answer");
    drop(silent);
}

#[test]
fn who_was_refused_what_is_told_everywhere() {
    let server = Server::of(3, 64);
    let mut client = server.connect();
    client.write(0, "/local/domain/0/name");
    let socket = server.socket();
    let mut top = Command::new(XS_TRACE);
    let top = top.args(["top", "--batch", "--json", "--delay", "0.2", "--store", text(&socket)]);
    let mut top = top.stdout(Stdio::piped()).spawn().expect("it starts");
    let tables = BufReader::new(top.stdout.take().expect("piped")).lines();
    let mut refused = tables.take(300).map(|table| -> serde_json::Value {
        let table: serde_json::Value = serde_json::from_str(&table.expect("text")).expect("JSON");
        table["refused"].clone()
    });
    assert_eq!(refused.next(), Some(serde_json::json!([])));
    let mut number = 0;
    while client.ask(MessageType::Write, 0, &format!("/n/{number}\0")) == "OK" {
        number += 1;
    }
    let path = format!("/n/{number}");
    let case = serde_json::json!([{ "domid": 0, "name": "value", "quota": "no room", "limit": 0, "times": 1,
        "request": "WRITE", "error": "ENOMEM", "path": path }]);
    assert_eq!(refused.find(|refused| *refused != serde_json::json!([])).as_ref(), Some(&case));
    assert!(top.kill().and_then(|()| top.wait()).is_ok());
    let stats = run(&["stats", "--json", "--store", text(&socket)]).expect("statistics");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&stats).expect("JSON")["refused"], case);
    let stats = run(&["stats", "--store", text(&socket)]).expect("statistics");
    let words = words(&stats);
    let row = format!("no room 0 value 0 1 WRITE ENOMEM {path}");
    assert!(words.contains(&"quota domid name limit times request error path".to_owned()), "{stats}");
    assert!(words.contains(&row), "{row}\n{stats}");
    let metrics = run(&["metrics", "--store", text(&socket)]).expect("metrics");
    let labels = r#"{domid="0",domain="value",quota="no room",limit="0",request="WRITE"}"#;
    assert_eq!(sample(&metrics, &format!("xenstore_quota_refusals_total{labels}")), Some(1.0), "{metrics}");
}

/// The status of `health`, and its line.
fn health(server: &Server, options: &[&str]) -> (Option<i32>, String) {
    let socket = server.socket();
    let arguments = [&["health", "--store", text(&socket)], options].concat();
    let output = Command::new(XS_TRACE).args(arguments).output().expect("it runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

#[test]
fn health_is_told_as_monitoring_plugins_do() {
    let server = asked();
    let (status, line) = health(&server, &[]);
    assert_eq!(status, Some(0), "{line}");
    assert!(
        line.starts_with("XENSTORE OK - up 0:0") && line.contains(" requests | 'nodes'=0.0%;80;95;0;100 "),
        "{line}"
    );
    // Only that costs the store the longer the more it holds.
    let (status, line) = health(&server, &["--check"]);
    assert_eq!(status, Some(0), "{line}");
    assert!(line.contains(" requests, consistent | "), "{line}");
    let asked = server.connect().ask(MessageType::Control, 0, "stats\0json\0CONTROL\0");
    let asked: serde_json::Value = serde_json::from_str(&asked).expect("JSON");
    assert_eq!(asked["requests"], 3, "one for each, and one to check");
    server.connect().ask(MessageType::Control, 0, "trace\0off\0");
    let (status, line) = health(&server, &[]);
    assert_eq!(status, Some(1), "{line}");
    assert!(line.starts_with("XENSTORE WARNING - the trace is off"), "{line}");
    // Each node of a store of 16 MiB is a fiftieth of a percent; a permission list is more.
    for n in 0..2000 {
        server.connect().ask(MessageType::Write, 0, &format!("/n/{n}\0{}", "x".repeat(200)));
    }
    for (limits, word, expected) in [(["1", "100"], "WARNING", 1), (["1", "1"], "CRITICAL", 2)] {
        let (status, line) = health(&server, &["--warning", limits[0], "--critical", limits[1]]);
        assert_eq!(status, Some(expected), "{line}");
        assert!(line.starts_with(&format!("XENSTORE {word} - ")) && line.contains("nodes 20"), "{line}");
    }
    for (wrong, why) in [
        (&["--warning", "90", "--critical", "10"][..], "--warning 90 is above --critical 10\n"),
        (
            &["--warning", "300"],
            "invalid value '300' for '--warning <PERCENT>': wanted is a whole number from 1 to 100; see --help\n",
        ),
        (
            &["--critical", "x"],
            "invalid value 'x' for '--critical <PERCENT>': wanted is a whole number from 1 to 100; see --help\n",
        ),
        (
            &["--frob"],
            "unexpected argument '--frob' found; allowed: --store, --timeout, --check, --warning, --critical, --help; see --help\n",
        ),
    ] {
        assert_eq!(health(&server, wrong), (Some(3), format!("XENSTORE UNKNOWN - {why}")), "{wrong:?}");
    }
    std::fs::remove_file(server.socket()).expect("removed");
    let (status, line) = health(&server, &[]);
    assert_eq!(status, Some(2), "{line}");
    assert!(line.starts_with("XENSTORE CRITICAL - no store at ") && line.lines().count() == 1, "{line}");
}

#[test]
fn a_store_that_hangs_is_critical() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("socket");
    // It takes connections, and no more.
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bind");
    let arguments = ["health", "--timeout", "0.2", "--store", text(&socket)];
    let output = Command::new(XS_TRACE).args(arguments).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    let expected = format!(
        "XENSTORE CRITICAL - the store at {} has not answered for 0.2 s; --timeout lets it take longer\n",
        socket.display()
    );
    assert_eq!(text_of(&output.stdout), expected);
}

/// Nobody is to be woken because the monitoring may not ask, or asks another kind of store.
#[test]
fn what_may_not_be_asked_is_unknown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).expect("bind");
    let below = socket.join("store");
    let server = std::thread::spawn(move || {
        for error in ["EACCES", "EINVAL"] {
            play(&listener, |_| Err(error));
        }
    });
    for (place, why) in [
        (&socket, "the store answers CONTROL with EACCES".to_owned()),
        (&socket, format!("the store at {} has no stats; xenstore-stubdom has it", socket.display())),
        (&below, format!("no store at {}: Not a directory", below.display())),
    ] {
        let output =
            Command::new(XS_TRACE).args(["health", "--store", text(place)]).output().expect("it runs");
        assert_eq!(output.status.code(), Some(3), "{why}");
        assert!(text_of(&output.stdout).starts_with(&format!("XENSTORE UNKNOWN - {why}")), "{output:?}");
    }
    server.join().expect("it ends");
}

fn text_of(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}
