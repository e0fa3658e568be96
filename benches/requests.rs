//! The time of a guest's requests, through real ring bytes and `Server::poll`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use xenstore::abi::{DomId, RingPage};
use xenstore::ring::guest;
use xenstore::wire::{Header, MessageType, TxId};

use support::{Host, request};

const GUEST: u16 = 5;
const STATE: &str = "device/vif/0/state";

/// A host with one guest that has an ordinary device, and the guest's end of its ring.
struct Guest {
    host: Host,
    page: Arc<RingPage>,
    answers: [u8; 1024],
}

impl Guest {
    fn new() -> Guest {
        let mut host = Host::new();
        host.boot(GUEST);
        for name in ["backend", "backend-id", "handle", "mac", "mtu", "state", "trusted"] {
            host.ok(GUEST, 0, &format!("WRITE device/vif/0/{name}|4"));
        }
        let page = host.client(GUEST).page.clone();
        Guest { host, page, answers: [0; 1024] }
    }

    /// Sends one message, lets the server run, and returns all that it answered.
    fn ask(&mut self, message: &[u8]) -> &[u8] {
        assert_eq!(guest::write(&self.page, message), message.len());
        self.host.xen.kick(DomId(GUEST));
        self.host.poll();
        let len = guest::read(&self.page, &mut self.answers);
        &self.answers[..len]
    }
}

fn message(kind: MessageType, tx: TxId, payload: &str) -> Vec<u8> {
    request(kind as u32, 0, tx, payload.replace('|', "\0").as_bytes())
}

/// The type of the last answer to `message` is as expected: what is timed below does what it says.
#[track_caller]
fn answers(guest: &mut Guest, message: &[u8], kind: MessageType) {
    let all = guest.ask(message);
    let mut rest = all;
    let mut last = None;
    while let Some((header, body)) = rest.split_first_chunk() {
        let header = Header::parse(header);
        last = MessageType::from_wire(header.msg_type);
        rest = &body[header.len as usize..];
    }
    assert_eq!(last, Some(kind), "{}", all.escape_ascii());
}

fn single(c: &mut Criterion, name: &str, kind: MessageType, payload: &str) {
    let mut guest = Guest::new();
    let message = message(kind, TxId::NONE, payload);
    answers(&mut guest, &message, kind);
    c.bench_function(name, |b| b.iter(|| guest.ask(black_box(&message)).len()));
}

fn create(c: &mut Criterion) {
    let mut guest = Guest::new();
    let write = message(MessageType::Write, TxId::NONE, "device/vif/0/new|1");
    let remove = message(MessageType::Rm, TxId::NONE, "device/vif/0/new|");
    answers(&mut guest, &write, MessageType::Write);
    answers(&mut guest, &remove, MessageType::Rm);
    c.bench_function("WRITE of a new node, RM", |b| {
        b.iter(|| guest.ask(&write).len() + guest.ask(&remove).len());
    });
}

fn transaction(c: &mut Criterion) {
    let mut guest = Guest::new();
    let start = message(MessageType::TransactionStart, TxId::NONE, "|");
    let mut once = move || {
        let digits = guest.ask(&start).get(Header::SIZE..).unwrap_or_default();
        let digits = digits.strip_suffix(b"\0").unwrap_or_default();
        let tx = TxId(std::str::from_utf8(digits).ok().and_then(|tx| tx.parse().ok()).unwrap_or(0));
        guest.ask(&message(MessageType::Read, tx, &format!("{STATE}|")));
        guest.ask(&message(MessageType::Write, tx, &format!("{STATE}|4")));
        let end = guest.ask(&message(MessageType::TransactionEnd, tx, "T|"));
        end.starts_with(&[MessageType::TransactionEnd as u8])
    };
    assert!(once(), "the transaction is committed");
    c.bench_function("transaction: start, READ, WRITE, end", |b| b.iter(&mut once));
}

fn event(c: &mut Criterion) {
    let mut guest = Guest::new();
    guest.ask(&message(MessageType::Watch, TxId::NONE, &format!("{STATE}|token|")));
    let write = message(MessageType::Write, TxId::NONE, &format!("{STATE}|4"));
    let events = guest.ask(&write).windows(5).filter(|bytes| bytes == b"token").count();
    assert_eq!(events, 1);
    c.bench_function("WRITE and its event", |b| b.iter(|| guest.ask(&write).len()));
}

fn requests(c: &mut Criterion) {
    single(c, "READ", MessageType::Read, &format!("{STATE}|"));
    single(c, "WRITE", MessageType::Write, &format!("{STATE}|4"));
    single(c, "DIRECTORY", MessageType::Directory, "device/vif/0|");
    create(c);
    transaction(c);
    event(c);
}

criterion_group! {
    name = benches;
    // Long enough to see what a change costs, short enough to ask often.
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = requests
}
criterion_main!(benches);
