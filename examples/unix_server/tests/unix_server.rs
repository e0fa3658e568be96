//! The server with many clients, among them slow ones, some that stop half-way and some that vanish.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use xenstore::wire::{Header, MessageType, TxId};

const PROGRAM: &str = env!("CARGO_BIN_EXE_unix_server");

/// The server, on a socket in a folder of its own; stopped when dropped.
struct UnixServer {
    child: Child,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl UnixServer {
    fn start() -> UnixServer {
        UnixServer::start_with(&mut Command::new(PROGRAM), &["--memory", "32"])
    }

    /// The command is the program, or what becomes it.
    fn start_with(command: &mut Command, options: &[&str]) -> UnixServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let socket = folder.path().join("socket");
        let mut child = command.args(options).arg(&socket).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = [0; 7];
        child.stdout.as_mut().expect("piped").read_exact(&mut line).expect("it says that it serves");
        assert_eq!(&line, b"serving");
        UnixServer { child, socket, _folder: folder }
    }

    fn connect(&self) -> Client {
        let stream = UnixStream::connect(&self.socket).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
        Client { stream }
    }

    /// With room for few clients at once, and nowhere to say that there is none for more.
    fn start_with_few_descriptors() -> UnixServer {
        let few = "ulimit -n 16 && exec \"$0\" \"$@\"";
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        UnixServer::start_with(Command::new("sh").args(["-c", few]).arg(PROGRAM).stderr(full), &[])
    }

    /// Has it stand still, or go on.
    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    fn check(&self) {
        let mut client = self.connect();
        assert_eq!(client.ask(MessageType::Control, b"check\0"), b"OK\0");
        assert_eq!(client.ask(MessageType::Write, b"/still\0here"), b"OK\0");
        assert_eq!(client.ask(MessageType::Read, b"/still\0"), b"here");
    }
}

impl Drop for UnixServer {
    fn drop(&mut self) {
        let stopped = self.child.kill().and_then(|()| self.child.wait());
        assert!(stopped.is_ok_and(|status| status.code().is_none()), "the server ended by itself");
    }
}

struct Client {
    stream: UnixStream,
}

fn message(msg_type: MessageType, payload: &[u8]) -> Vec<u8> {
    let header =
        Header { msg_type: msg_type as u32, req_id: 1, tx_id: TxId::NONE, len: payload.len() as u32 };
    [&header.emit(), payload].concat()
}

impl Client {
    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("send");
    }

    fn receive(&mut self) -> (u32, Vec<u8>) {
        let mut header = [0; Header::SIZE];
        self.stream.read_exact(&mut header).expect("an answer");
        let header = Header::parse(&header);
        let mut payload = vec![0; header.len as usize];
        self.stream.read_exact(&mut payload).expect("its payload");
        (header.msg_type, payload)
    }

    /// How often the server has slept.
    fn sleeps(&mut self) -> u64 {
        let stats = String::from_utf8(self.ask(MessageType::Control, b"stats\0")).expect("text");
        let idle = stats.lines().find_map(|line| line.strip_prefix("idle")).expect("a line of it");
        idle.trim_matches([' ', ':']).parse().expect("a number")
    }

    fn ask(&mut self, msg_type: MessageType, payload: &[u8]) -> Vec<u8> {
        self.send(&message(msg_type, payload));
        let (answered, payload) = self.receive();
        assert_eq!(answered, msg_type as u32, "{}", payload.escape_ascii());
        payload
    }
}

#[test]
fn hundreds_of_clients_are_served_side_by_side() {
    let server = UnixServer::start();
    let mut clients: Vec<Client> = (0..300).map(|_| server.connect()).collect();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(&message(MessageType::Write, format!("/c/{n}\0{n}").as_bytes()));
        client.send(&message(MessageType::Read, format!("/c/{n}\0").as_bytes()));
    }
    for (n, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.receive().1, b"OK\0");
        assert_eq!(client.receive().1, n.to_string().into_bytes());
    }
    let names = clients[7].ask(MessageType::Directory, b"/c\0");
    assert_eq!(names.iter().filter(|byte| **byte == 0).count(), 300);
    server.check();
}

#[test]
fn a_slow_reader_delays_only_itself() {
    let server = UnixServer::start();
    let mut slow = server.connect();
    assert_eq!(slow.ask(MessageType::Watch, b"/w\0token\0"), b"OK\0");
    slow.send(&message(MessageType::Read, b"/tool\0").repeat(400));
    let mut quick = server.connect();
    for n in 0..3000 {
        let path = format!("/w/{}\0value", n % 50);
        assert_eq!(quick.ask(MessageType::Write, path.as_bytes()), b"OK\0");
    }
    let (mut answers, mut events) = (0, 0);
    while answers < 400 {
        match slow.receive() {
            (2, _) => answers += 1,
            (15, _) => events += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(events > 0);
    server.check();
}

#[test]
fn who_reads_an_answer_wakes_nobody() {
    const TIMES: u64 = 200;
    let server = UnixServer::start();
    let mut client = server.connect();
    let before = client.sleeps();
    for _ in 0..TIMES {
        assert_eq!(client.ask(MessageType::Read, b"/\0"), b"");
        // What reading it has caused is seen by itself, and not with the next request.
        std::thread::sleep(Duration::from_millis(1));
    }
    let slept = client.sleeps() - before;
    // Once for each request at most, and for the clock of each second: twice, if reading an answer wakes it. How many fall
    // together is the machine's affair.
    assert!(slept < TIMES * 3 / 2, "{slept} sleeps");
}

#[test]
fn half_requests_wait_for_their_other_half() {
    let server = UnixServer::start();
    let value = vec![b'v'; 3000];
    let whole = message(MessageType::Write, &[b"/half\0", value.as_slice()].concat());
    let mut halves: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for (n, client) in halves.iter_mut().enumerate() {
        client.send(&whole[..1 + n * 29]);
    }
    server.check();
    for (n, client) in halves.iter_mut().enumerate() {
        client.send(&whole[1 + n * 29..]);
        assert_eq!(client.receive().1, b"OK\0");
    }
    assert_eq!(server.connect().ask(MessageType::Read, b"/half\0"), value);
}

#[test]
fn clients_that_vanish_leave_nothing() {
    let server = UnixServer::start();
    let whole = message(MessageType::Write, b"/v/x\0value");
    for n in 0..1500 {
        let mut client = server.connect();
        client.send(&message(MessageType::Watch, format!("/v\0{n}\0").as_bytes()));
        client.send(&message(MessageType::TransactionStart, b"\0"));
        client.send(&whole[..n % whole.len()]);
    }
    let mut client = server.connect();
    assert_eq!(client.ask(MessageType::Write, b"/v/y\0z"), b"OK\0");
    server.check();
}

#[test]
fn what_is_too_long_ends_the_connection() {
    let server = UnixServer::start();
    let mut client = server.connect();
    let header = Header { msg_type: 2, req_id: 0, tx_id: TxId::NONE, len: 4097 };
    client.send(&header.emit());
    assert_eq!(client.stream.read(&mut [0; 16]).expect("the end"), 0);
    server.check();
}

#[test]
fn clients_that_find_no_descriptor_wait_until_others_go() {
    let server = UnixServer::start_with_few_descriptors();
    let mut clients: Vec<Client> = (0..40).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&message(MessageType::Read, b"/\0"));
    }
    for mut client in clients {
        assert_eq!(client.receive().0, MessageType::Read as u32);
    }
    server.check();
}

#[test]
fn who_asks_without_a_pause_keeps_nobody_waiting() {
    let server = UnixServer::start();
    let (mut busy, mut other) = (server.connect(), server.connect());
    let mut reader = busy.stream.try_clone().expect("another of its descriptors");
    thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    let (stop, stopped) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let writes = thread::spawn(move || {
        let many = message(MessageType::Read, b"/\0").repeat(3000);
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            busy.send(&many);
            // Nobody may listen any more.
            let _heard = begin.send(());
        }
        busy.stream.shutdown(Shutdown::Both)
    });
    begun.iter().take(3).for_each(drop);
    for _ in 0..5 {
        assert_eq!(other.ask(MessageType::Read, b"/\0"), b"");
    }
    drop((begun, stop));
    writes.join().expect("it ends").expect("it can");
    server.check();
}

/// The server learns at once of what they have sent and of their end.
#[test]
fn clients_that_go_amid_a_request_leave_nothing() {
    let server = UnixServer::start_with_few_descriptors();
    server.signal("STOP");
    for _ in 0..40 {
        server.connect().send(b"half");
    }
    server.signal("CONT");
    server.check();
}

#[test]
fn who_asks_no_more_has_all_answers_and_then_the_end() {
    let server = UnixServer::start();
    for count in [0, 1, 50, 100, 1000] {
        let mut client = server.connect();
        server.signal("STOP");
        client.send(&message(MessageType::Read, b"/\0").repeat(count));
        client.stream.shutdown(Shutdown::Write).expect("it can");
        server.signal("CONT");
        let mut answers = Vec::new();
        client.stream.read_to_end(&mut answers).expect("the end");
        assert_eq!(answers.len(), Header::SIZE * count);
    }
    server.check();
}

#[test]
fn amounts_of_memory_that_are_told_to_be_possible_are() {
    for (memory, possible) in [("3", 1024), ("4", 2048), ("64", 63488)] {
        let options =
            |trace: usize| ["--memory", memory, "--trace-size", &trace.to_string()].map(String::from);
        for wrong in [3, possible + 1] {
            let output =
                Command::new(PROGRAM).args(options(wrong)).arg("/none/socket").output().expect("it runs");
            let told = String::from_utf8(output.stderr).expect("text");
            let expected =
                format!("unix_server: --trace-size {wrong}: 4 to {possible} KiB are possible; usage: ");
            assert!(told.starts_with(&expected) && told.lines().count() == 1, "{told}");
        }
        for right in [4, possible] {
            let options = options(right);
            UnixServer::start_with(&mut Command::new(PROGRAM), &options.each_ref().map(String::as_str))
                .check();
        }
    }
}

#[test]
fn more_memory_than_there_is_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refused = Command::new("sh")
        .args(["-c", "ulimit -v 524288 && exec \"$@\"", "sh", PROGRAM, "--memory", "1024"])
        .arg(folder.path().join("socket"))
        .output()
        .expect("it runs");
    let told = String::from_utf8(refused.stderr).expect("text");
    assert_eq!((refused.status.code(), told.lines().count()), (Some(1), 1), "{told}");
    assert!(told.contains("--memory 1024: "), "{told}");
}

#[test]
fn only_a_socket_that_nobody_serves_is_replaced() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").expect("it is written");
    let refused = |path: &std::path::Path| {
        let output = Command::new(PROGRAM).arg(path).output().expect("it starts");
        assert!(!output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    assert!(refused(&file).contains("no socket"));
    assert_eq!(std::fs::read_to_string(&file).expect("it is still there"), "precious");

    let server = UnixServer::start();
    refused(&server.socket);
    server.check();

    let left = folder.path().join("left");
    drop(std::os::unix::net::UnixListener::bind(&left).expect("it is bound"));
    let mut child = Command::new(PROGRAM).arg(&left).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdout.as_mut().expect("piped").read_exact(&mut [0; 7]).expect("it serves");
    child.kill().and_then(|()| child.wait()).expect("it is stopped");
}

/// The store of a file, made on a host with domains. Its watches and what waits for them do no harm.
#[test]
fn a_state_is_loaded() {
    let mut host = support::Host::new();
    host.boot(5);
    host.expect(&[
        (5, 0, "WRITE data|x", "OK|"),
        (5, 0, "WATCH data|t|", "OK|; ev data,t"),
        (0, 0, "SET_QUOTA 5|nodes|7|", "OK|"),
    ]);
    for n in 0..40 {
        host.ok(0, 0, &format!("WRITE /local/domain/5/data/{n}|"));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("state");
    std::fs::write(&file, host.save(2)).expect("the folder can be written");
    let options = ["--state", file.to_str().expect("text")];
    let server = UnixServer::start_with(&mut Command::new(PROGRAM), &options);
    let mut client = server.connect();
    for (request, payload, answer) in [
        (MessageType::Read, &b"/local/domain/5/data\0"[..], &b"x"[..]),
        (MessageType::GetPerms, b"/local/domain/5\0", b"n5\0"),
        (MessageType::GetQuota, b"5\0nodes\0", b"7\0"),
        (MessageType::IsDomainIntroduced, b"5\0", b"T\0"),
        (MessageType::Write, b"/local/domain/5/data/0\0y", b"OK\0"),
    ] {
        assert_eq!(client.ask(request, payload), answer);
    }
    server.check();
    std::fs::write(&file, b"no state").expect("the folder can be written");
    let refused =
        Command::new(PROGRAM).args(options).arg(folder.path().join("socket")).output().expect("it runs");
    let told = String::from_utf8(refused.stderr).expect("text");
    assert_eq!((refused.status.code(), told.lines().count()), (Some(1), 1), "{told}");
    assert!(told.starts_with(&format!("unix_server: {}: ", file.display())), "{told}");
    assert!(!folder.path().join("socket").exists());
}

#[test]
fn mistakes_are_told_in_one_line() {
    for (words, status, expected) in [
        (&[""][..], 2, "unexpected argument \"\""),
        (&["a", "b"], 2, "unexpected argument \"b\""),
        (&["--frob"], 2, "--frob"),
        (&[], 2, "SOCKET is missing"),
        (&["/none/socket"], 1, "unix_server: /none/socket: "),
    ] {
        let refused = Command::new(PROGRAM).args(words).output().expect("it runs");
        let told = String::from_utf8(refused.stderr).expect("text");
        assert_eq!((refused.status.code(), told.lines().count()), (Some(status), 1), "{told}");
        assert!(told.contains(expected), "{told}");
    }
    for words in ["--help", "--version"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let failed = Command::new(PROGRAM).arg(words).stdout(full).output().expect("it runs");
        let told = String::from_utf8(failed.stderr).expect("text");
        assert_eq!((failed.status.code(), told.lines().count()), (Some(1), 1), "{told}");
    }
}
