//! Streams as upstream's document has them: in both byte orders, with padding in a record's length or not. And what is
//! refused, and how.

use std::sync::Arc;

use support::Host;
use xenstore::abi::{DomId, RingPage};
use xenstore::config::{Capacities, Settings};
use xenstore::server::Server;
use xenstore::state::StateError;

/// A stream that grows by records.
#[derive(Clone, Copy)]
struct Form {
    big: bool,
    /// The length of a record has its padding.
    counted: bool,
}

const FORMS: [Form; 4] = [
    Form { big: false, counted: true },
    Form { big: false, counted: false },
    Form { big: true, counted: true },
    Form { big: true, counted: false },
];

struct Stream {
    form: Form,
    bytes: Vec<u8>,
}

/// A part of a record.
#[derive(Clone, Copy)]
enum Part<'a> {
    Half(u16),
    Word(u32),
    Long(u64),
    Text(&'a [u8]),
    /// Padding to 8 within the record.
    Align,
}

use Part::{Align, Half, Long, Text, Word};

impl Stream {
    fn new(form: Form, version: u32) -> Stream {
        let flags = u32::from(form.big);
        let bytes = [&b"xenstore"[..], &version.to_be_bytes(), &flags.to_be_bytes()].concat();
        Stream { form, bytes }
    }

    fn put(&mut self, part: &Part<'_>, start: usize) {
        let big = self.form.big;
        match part {
            Half(value) => self.bytes.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() }),
            Word(value) => self.bytes.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() }),
            Long(value) => self.bytes.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() }),
            Text(text) => self.bytes.extend_from_slice(text),
            Align => {
                let len = (self.bytes.len() - start).next_multiple_of(8);
                self.bytes.resize(start + len, 0);
            }
        }
    }

    fn record(mut self, record: u32, parts: &[Part<'_>]) -> Stream {
        let start = self.bytes.len() + 8;
        let head = self.bytes.len();
        self.put(&Word(record), 0);
        self.put(&Word(0), 0);
        parts.iter().for_each(|part| self.put(part, start));
        let len = self.bytes.len() - start;
        self.put(&Align, start);
        let len = if self.form.counted { self.bytes.len() - start } else { len } as u32;
        let len = if self.form.big { len.to_be_bytes() } else { len.to_le_bytes() };
        self.bytes[head + 4..head + 8].copy_from_slice(&len);
        self
    }

    fn node(self, path: &str, value: &str, entries: &[(u8, u8, u16)]) -> Stream {
        self.node_of(0, path, value, entries)
    }

    /// A node of an open transaction, if that is not 0.
    fn node_of(self, transaction: u32, path: &str, value: &str, entries: &[(u8, u8, u16)]) -> Stream {
        let path = format!("{path}\0");
        let mut parts = vec![
            Word(0),
            Word(transaction),
            Half(path.len() as u16),
            Half(value.len() as u16),
            Half(0),
            Half(entries.len() as u16),
        ];
        let letters: Vec<[u8; 2]> = entries.iter().map(|(letter, flags, _)| [*letter, *flags]).collect();
        for (letter, (.., domid)) in letters.iter().zip(entries) {
            parts.extend([Text(letter), Half(*domid)]);
        }
        parts.extend([Text(path.as_bytes()), Text(value.as_bytes())]);
        self.record(5, &parts)
    }

    /// A connection of a ring, without data.
    fn ring(self, number: u32, domid: u16, target: u16, port: u32, unique_id: u64) -> Stream {
        let parts = [
            Word(number),
            Half(0),
            Half(1),
            Half(domid),
            Half(target),
            Word(port),
            Half(0),
            Half(0),
            Word(0),
            Align,
            Long(unique_id),
        ];
        self.record(2, &parts)
    }

    fn watch(self, number: u32, path: &str, token: &str) -> Stream {
        let (path, token) = (format!("{path}\0"), format!("{token}\0"));
        let lengths = [Half(path.len() as u16), Half(token.len() as u16)];
        let [a, b] = lengths;
        self.record(3, &[Word(number), a, b, Text(path.as_bytes()), Text(token.as_bytes())])
    }

    /// What every store has.
    fn basics(self) -> Stream {
        self.node("/", "", &[(b'n', 0, 0)]).node("@releaseDomain", "", &[(b'n', 0, 0)]).node(
            "@introduceDomain",
            "",
            &[(b'n', 0, 0)],
        )
    }

    fn end(self) -> Vec<u8> {
        self.record(0, &[]).bytes
    }
}

/// Two guests, not connected yet, and the ports that they would have.
fn host() -> Host {
    let mut host = Host::new();
    for domid in 1..=2 {
        host.boot(domid);
    }
    host
}

fn sample(form: Form, version: u32) -> Vec<u8> {
    let half = b"\x02\0\0\0\x07\0\0\0\0\0\0\0\x06\0\0\0/tool";
    let event = b"\x0f\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0a\0t\0";
    let mut stream = Stream::new(form, version)
        .record(1, &[Word(u32::MAX), Word(u32::MAX)])
        .record(6, &[Half(1), Half(1), Word(77), Word(5), Text(b"nodes\0no-such-quota\0")])
        .ring(1, 0, 0x7ff4, 1, 0)
        .watch(1, "@releaseDomain", "gone")
        // A socket's, which nobody is at the other end of, and its watch.
        .record(2, &[Word(2), Half(1), Half(0), Word(9), Word(0), Half(0), Half(0), Word(0)])
        .watch(2, "/tool", "lost")
        .record(
            2,
            &[
                Word(3),
                Half(0),
                Half(1),
                Half(1),
                Half(2),
                Word(2),
                Half(half.len() as u16),
                Half(3),
                Word(3 + event.len() as u32),
                Text(half),
                Text(b"end"),
                Text(event),
                Align,
                Long(2),
            ],
        )
        .watch(3, "data", "t")
        .ring(4, 2, 0x7ff4, 3, 3);
    if version > 1 {
        stream = stream.record(8, &[Word(4), Half(6), Half(2), Half(1), Half(0), Text(b"/tool\0d\0")]);
    }
    stream
        .record(4, &[Word(3), Word(17)])
        .basics()
        .node("/tool", "v", &[(b'r', 0, 0), (b'b', 0, 1), (b'w', 1, 2), (b'r', 1, 9)])
        .node("/tool/a", "", &[(b'n', 0, 0)])
        .node("/local", "", &[(b'n', 0, 0)])
        .node("/local/domain", "", &[(b'n', 0, 0)])
        .node("/local/domain/1", "", &[(b'n', 0, 1)])
        .node("/local/domain/2", "", &[(b'n', 0, 2)])
        .record(7, &[Half(1), Half(1), Word(3), Word(11), Text(b"watches\0")])
        .record(0x7777, &[Text(b"whatever")])
        .end()
}

#[test]
fn each_form_is_read() {
    for form in FORMS {
        for version in [1, 2] {
            let mut host = host();
            host.restore(&sample(form, version)).unwrap_or_else(|error| panic!("{error}"));
            host.server.resume(&mut host.xen);
            host.check();
            host.push(1, b"\0");
            host.poll();
            // The rest of a message whose beginning it has read, an event, and the answer to its request.
            let end: Vec<u8> = std::mem::take(&mut host.clients)
                .remove(&1)
                .map(|client| {
                    let mut bytes = vec![0; 1024];
                    let count = xenstore::ring::guest::read(&client.page, &mut bytes);
                    bytes.truncate(count);
                    bytes
                })
                .expect("domain 1");
            assert!(end.starts_with(b"end\x0f\0\0\0"), "{}", end.escape_ascii());
            assert!(end.ends_with(b"\x01\0\0\0v"), "{}", end.escape_ascii());
            host.check();
        }
    }
}

#[test]
fn clients_find_what_the_stream_says() {
    for form in FORMS {
        let mut host = host();
        host.restore(&sample(form, 2)).unwrap_or_else(|error| panic!("{error}"));
        host.server.resume(&mut host.xen);
        host.poll();
        host.expect(&[
            (0, 0, "READ /tool|", "v"),
            (0, 0, "GET_PERMS /tool|", "r0|b1|w2|r9|"),
            (2, 0, "WRITE /tool|x", "EACCES"),
            (0, 0, "GET_QUOTA nodes|", "77|"),
            (0, 0, "GET_QUOTA 1|watches|", "11|"),
            (0, 0, "GET_QUOTA 2|watches|", "128|"),
            (0, 0, "GET_FEATURE 1|", "3|"),
            (0, 0, "DIRECTORY /local/domain|", "1|2|"),
            (0, 0, "WRITE /tool/b|", "OK|"),
            (0, 0, "WRITE /tool/a/deep|", "OK|"),
        ]);
        host.hears(2, "ev /tool/b,d");
        host.kill(2);
        host.hears(0, "ev @releaseDomain,gone");
        host.check();
    }
}

/// Upstream keeps requests that it has taken and not begun.
#[test]
fn a_whole_request_is_served() {
    let request = b"\x02\0\0\0\x07\0\0\0\0\0\0\0\x06\0\0\0/tool\0";
    let len = request.len() as u16;
    let mut host = host();
    let ring = [Word(1), Half(0), Half(0), Half(1), Half(0x7ff4), Word(2), Half(len), Half(0), Word(0)];
    let ring = ring.into_iter().chain([Text(request)]).collect::<Vec<_>>();
    let state = Stream::new(FORMS[0], 1).record(2, &ring).basics().node("/tool", "v", &[(b'r', 0, 0)]).end();
    host.restore(&state).unwrap_or_else(|error| panic!("{error}"));
    host.server.resume(&mut host.xen);
    host.poll();
    host.hears(1, "v");
    host.expect(&[(1, 0, "READ /tool|", "v")]);
}

/// The record, and what is said of it. As long as the new server is there, the rings are that were handed to it: the old one
/// goes on with them.
fn refused(state: Vec<u8>) -> (u32, &'static str) {
    let mut host = host();
    let mut server = Server::new(Settings::DEFAULT, &Capacities::for_nodes(8192), 42);
    let mut handed = Vec::new();
    let mut adopt = |_, port| {
        let ring = Arc::new(RingPage::new());
        handed.push(Arc::downgrade(&ring));
        Some((ring, port))
    };
    let restored = server.restore(&mut host.xen, DomId(0), &mut &state[..], &mut adopt);
    let StateError { record, reason, .. } = restored.expect_err("it is refused");
    assert!(handed.iter().all(|ring| ring.strong_count() > 0), "a ring is not mapped any more: {reason}");
    (record, reason)
}

#[test]
fn what_is_wrong_is_said() {
    let new = || Stream::new(FORMS[0], 2);
    let with = || new().basics();
    let long = "x".repeat(5000);
    let dom0 = [(b'n', 0, 0)];
    let cases: [(Vec<u8>, u32, &str); 20] = [
        (b"no state, but as long as a header".to_vec(), StateError::HEADER, "this is no state of a xenstore"),
        (b"xenstore".to_vec(), StateError::HEADER, "the state ends too early"),
        (
            Stream::new(FORMS[0], 3).end(),
            StateError::HEADER,
            "its version is none of those that are read, 1 and 2",
        ),
        (new().basics().bytes, 5, "the state ends too early"),
        (new().end(), 0, "the root or a special node is missing"),
        (with().node("/a/b", "", &[(b'n', 0, 0)]).end(), 5, "the node above it is missing"),
        (
            with().node("/a", "", &dom0).node_of(7, "/b", "", &dom0).node("/b/c", "", &dom0).end(),
            5,
            "the node above it is missing",
        ),
        (with().node("/", "", &[(b'n', 0, 0)]).end(), 5, "the node has been there already"),
        (with().node("/a b", "", &[(b'n', 0, 0)]).end(), 5, "the path is none that a node may have"),
        (with().node("@other", "", &[(b'n', 0, 0)]).end(), 5, "there is no such special node"),
        (with().node("/a", &long, &[(b'n', 0, 0)]).end(), 5, "the value is longer than any"),
        (with().node("/a", "", &[]).end(), 5, "the node has no owner"),
        (with().node("/a", "", &[(b'n', 0, 0x7ff5)]).end(), 5, "the node has no owner"),
        (with().ring(0, 1, 0, 2, 0).end(), 2, "its number is 0"),
        (with().ring(1, 0x7ff0, 0, 2, 0).end(), 2, "no domain has such a number"),
        (with().ring(1, 1, 0, 2, 0).ring(2, 1, 0, 3, 0).end(), 2, "the domain has a connection already"),
        (
            with().ring(1, 1, 0, 2, 0).ring(2, 2, 0, 2, 0).end(),
            2,
            "its port is another's, or higher than any",
        ),
        (with().ring(1, 1, 0, 1 << 20, 0).end(), 2, "its port is another's, or higher than any"),
        (with().watch(9, "/", "t").end(), 3, "its connection is not known"),
        (
            with().ring(1, 1, 0, 2, 0).watch(1, "/", "t").watch(1, "/", "t").end(),
            3,
            "the watch has been there already",
        ),
    ];
    for (state, record, reason) in cases {
        assert_eq!(refused(state), (record, reason));
    }
    let newer = new().record(0x8000_0001, &[Half(9), Half(2)]).end();
    assert_eq!(refused(newer).0, 0x8000_0001);
}

/// A connection of domain 1 with this of a request, and this that waits for it, nothing of which has been sent.
fn with_data(input: &[u8], output: &[u8]) -> Vec<u8> {
    let parts = [
        Word(1),
        Half(0),
        Half(1),
        Half(1),
        Half(0x7ff4),
        Word(2),
        Half(input.len() as u16),
        Half(0),
        Word(output.len() as u32),
        Text(input),
        Text(output),
        Align,
        Long(2),
    ];
    Stream::new(FORMS[0], 2).record(2, &parts).basics().end()
}

/// A message with so long a payload, or its beginning.
fn message(len: u32, sent: usize) -> Vec<u8> {
    let head = [2, 7, 0, len].map(u32::to_le_bytes).concat();
    [head, vec![b'/'; sent]].concat()
}

/// The longest that there can be is read, and what is one longer is refused.
#[test]
fn each_record_is_read_up_to_its_limit() {
    let dom0 = [(b'n', 0, 0)];
    let with = || Stream::new(FORMS[0], 2).basics();
    let value = |len: usize| with().node("/a", &"x".repeat(len), &dom0).end();
    let path = |len: usize| with().node(&format!("/{}", "x".repeat(len - 1)), "", &dom0).end();
    let list = |len: usize| with().node("/a", "", &vec![dom0[0]; len]).end();
    let token = |len: usize| with().ring(1, 1, 0x7ff4, 2, 2).watch(1, "/", &"x".repeat(len)).end();
    let quotas = |count: usize| {
        let (values, names) = (vec![Word(5); count], b"nodes\0".repeat(count));
        let counts = [Half(count as u16), Half(0)];
        with().record(6, &[&counts[..], &values, &[Text(&names)]].concat()).end()
    };
    let answer = |len: u32| with_data(&[], &message(len, len as usize));
    let half = |len: u32| with_data(&message(len, len as usize - 1), &[]);
    let domain = |domid: u16| with().record(7, &[Half(domid), Half(0), Word(15)]).end();
    let cases = [
        (value(4096), value(4097), 5, "the value is longer than any"),
        (path(4119), path(4120), 5, "the path is none that a node may have"),
        (list(1364), list(1365), 5, "the permission list is longer than any"),
        (token(4111), token(4112), 3, "the token is longer than any"),
        (quotas(64), quotas(65), 6, "it has too many quotas"),
        (answer(4096), answer(4097), 2, "a message that waits is longer than any"),
        (half(4097), with_data(&message(4097, 4097), &[]), 2, "more than one request has begun"),
        (domain(0x7fef), domain(0x7ff0), 7, "no domain has such a number"),
    ];
    for (longest, longer, record, reason) in cases {
        let mut host = host();
        host.restore(&longest).unwrap_or_else(|error| panic!("{reason}: {error}"));
        host.server.resume(&mut host.xen);
        host.poll();
        host.check();
        for version in [1, 2] {
            host.update(version);
        }
        assert_eq!(refused(longer), (record, reason));
    }
}

#[test]
fn what_is_gone_is_gone_once_and_not_there() {
    // All of these come from the store itself or a layer, but for the last one.
    let origins = [127, 127, 127, 1, 1, 0];
    let numbers: Vec<_> = (1..).zip(origins).collect();
    let parts = numbers.iter().flat_map(|(n, origin)| [Long(*n), Long(*n), Half(0), Half(*origin), Word(0)]);
    let parts: Vec<_> = parts.collect();
    let dom0 = [(b'n', 0, 0)];
    let with = |gone: &[&str]| {
        let state = Stream::new(FORMS[0], 2).basics();
        let state = state.node("/a", "", &dom0).node("/a/b", "", &dom0).node("/c", "", &dom0);
        let state = state.record(0x8000_0006, &parts);
        let one = |state: Stream, path: &&str| {
            let rest = [Half(0), Word(0), Text(path.as_bytes())];
            state.record(0x8000_0010, &[&[Half(path.len() as u16)], &rest[..]].concat())
        };
        gone.iter().fold(state, one).end()
    };
    // A client has made this one where another was.
    let mut host = host();
    host.restore(&with(&["/c", "/d", "/a/d"])).unwrap_or_else(|error| panic!("{error}"));
    host.check();
    for gone in [&["/a"][..], &["/a/b"], &["/d", "/d"], &["/c", "/c"], &["/"]] {
        let reason =
            if gone == ["/"] { "the node above it is missing" } else { "the node has been there already" };
        assert_eq!(refused(with(gone)), (0x8000_0010, reason), "{gone:?}");
    }
}

#[test]
fn a_state_that_is_cut_off_is_refused_wherever() {
    let state = sample(FORMS[0], 2);
    for len in (0..state.len()).step_by(7) {
        let mut host = Host::not_started(Settings::DEFAULT, &Capacities::for_nodes(100));
        let error = host.restore(&state[..len]).expect_err("it is cut off");
        assert_eq!(error.reason, "the state ends too early", "{len}");
        assert!(error.offset <= len as u64);
    }
}

#[test]
fn a_store_without_room_refuses_it() {
    let mut host = Host::new();
    for n in 0..300 {
        host.ok(0, 0, &format!("WRITE /n{n}|"));
    }
    let state = host.save(2);
    let mut small = Host::not_started(Settings::DEFAULT, &Capacities::for_nodes(200));
    let error = small.restore(&state).expect_err("it has no room");
    assert_eq!((error.record, error.reason), (5, "there is no room for it"));
    assert_eq!(
        error.to_string(),
        format!("there is no room for it, in NODE_DATA at byte {} of the state", error.offset)
    );
}
