//! Servers that do not answer: whoever asks is told so, in time.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use store_client::{Problem, Store};
use xenstore::wire::{Header, MessageType};

const PATIENCE: Duration = Duration::from_millis(100);

/// What a client is told that asks a server of its own, which does this with each connection.
fn told(server: impl Fn(UnixStream) + Send + 'static, ask: impl Fn(Store) -> Problem) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let socket = folder.path().join("socket");
    let listener = UnixListener::bind(&socket).expect("bind");
    // It ends with the test.
    thread::spawn(move || listener.incoming().flatten().for_each(server));
    let store = Store::open(Some(&socket), Some(PATIENCE)).unwrap_or_else(|problem| panic!("{problem}"));
    ask(store).to_string().replace(&socket.display().to_string(), "SOCKET")
}

fn check(mut store: Store) -> Problem {
    store.control(&["check"]).err().unwrap_or_else(|| panic!("an answer"))
}

const SILENT: &str = "the store at SOCKET has not answered for 0.1 s; --timeout lets it take longer";

fn keep<T>(what: T) {
    Box::leak(Box::new(what));
}

fn message(msg_type: MessageType, req_id: u32, payload: &[u8]) -> Vec<u8> {
    let header = Header {
        msg_type: msg_type as u32,
        req_id,
        len: payload.len() as u32,
        ..Header::parse(&[0; Header::SIZE])
    };
    [&header.emit(), payload].concat()
}

#[test]
fn one_that_says_nothing() {
    assert_eq!(told(keep, check), SILENT);
}

#[test]
fn one_that_says_half_of_it() {
    for bytes in [1, Header::SIZE, Header::SIZE + 1] {
        let half = move |mut stream: UnixStream| {
            stream.write_all(&message(MessageType::Control, 1, b"OK\0")[..bytes]).expect("sent");
            keep(stream);
        };
        assert_eq!(told(half, check), SILENT, "{bytes} bytes");
    }
}

#[test]
fn one_that_tells_of_events_only() {
    for pause in [PATIENCE / 10, Duration::ZERO] {
        let events = move |mut stream: UnixStream| {
            let event = message(MessageType::WatchEvent, 0, b"/a\0token\0");
            while stream.write_all(&event).is_ok() {
                thread::sleep(pause);
            }
        };
        assert_eq!(told(events, check), SILENT, "{pause:?}");
    }
}

/// However long it takes until it has.
#[test]
fn one_that_has_gone_is_not_silent() {
    assert!(told(drop, |store| check(store.patient())).starts_with("lost the store at SOCKET: "));
}

/// Together, answers have to come in the time of one.
#[test]
fn one_that_is_slow_each_time() {
    let slow = |mut stream: UnixStream| {
        let mut request = [0; 64];
        for req_id in 1.. {
            thread::sleep(PATIENCE / 4);
            let asked = stream.read(&mut request).is_ok_and(|count| count > 0);
            if !asked || stream.write_all(&message(MessageType::Control, req_id, b"OK\0")).is_err() {
                return;
            }
        }
    };
    let ask = |store: Store| {
        let mut store = store.in_all();
        let mut asked = 0..5;
        asked.find_map(|_| store.control(&["check"]).err()).unwrap_or_else(|| panic!("five answers"))
    };
    assert_eq!(told(slow, ask), SILENT);
}

#[test]
fn one_that_takes_no_more_connections() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    let address = SocketAddrUnix::new(&path).expect("a short path");
    let socket = |flags| socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("a socket");
    let listener = socket(SocketFlags::CLOEXEC);
    bind(&listener, &address).and_then(|()| listen(&listener, 0)).expect("it listens");
    // Until there is no room for another.
    let waiting: Vec<_> = (0..)
        .map(|_| socket(SocketFlags::NONBLOCK))
        .take_while(|socket| connect(socket, &address).is_ok())
        .collect();
    assert!(!waiting.is_empty());
    let problem = Store::open(Some(Path::new(&path)), Some(PATIENCE)).err().expect("no connection");
    assert_eq!(problem.to_string().replace(&path.display().to_string(), "SOCKET"), SILENT);
}
