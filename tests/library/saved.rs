//! CONTROL `state`: an operator gets all that the store holds, as it was at one moment, while the store serves on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::checks;
use support::{Client, Host, request};
use xenstore::abi::{DomId, Port, RingPage};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::EventChannels;
use xenstore::state::page::{Head, What};
use xenstore::trace::{Kind, Stop};
use xenstore::update::Bounds;
use xenstore::wire::{MessageType, PAYLOAD_MAX, TxId};

const ENDED: &str = "The state is not held any more.|";

/// The page that a request is answered with.
fn page(host: &mut Host, request: &str) -> (Head, Vec<u8>) {
    page_of(&host.ask(0, 0, request))
}

fn page_of(answer: &str) -> (Head, Vec<u8>) {
    let text = answer.replace("\\n", "\n");
    assert!(text.len() <= PAYLOAD_MAX, "{} bytes", text.len());
    let (head, text) = Head::parse(What::State, &text).unwrap_or_else(|| panic!("{answer}"));
    let bytes = STANDARD.decode(text.strip_suffix("\n|").expect("a line")).expect("base64");
    assert_eq!(head.count, bytes.len());
    (head, bytes)
}

/// All of a state; `meanwhile` happens after each page but the last.
fn save(host: &mut Host, meanwhile: impl FnMut(&mut Host, usize)) -> (u64, Vec<u8>) {
    let first = page(host, "CONTROL state|dump|");
    rest_of(host, first, meanwhile)
}

fn rest_of(
    host: &mut Host,
    (head, mut bytes): (Head, Vec<u8>),
    mut meanwhile: impl FnMut(&mut Host, usize),
) -> (u64, Vec<u8>) {
    assert_eq!(head.first, 0);
    while bytes.len() < head.size {
        meanwhile(host, bytes.len());
        let (next, more) = page(host, &format!("CONTROL state|dump|{}|{}|", head.number, bytes.len()));
        assert_eq!((next.number, next.first, next.size), (head.number, bytes.len(), head.size));
        bytes.extend(more);
    }
    (head.number, bytes)
}

fn host() -> Host {
    let mut host = Host::new();
    for domid in [5, 6] {
        host.boot(domid);
        host.ok(domid, 0, "WRITE data/value|before");
    }
    (0..200).for_each(|n| host.ok(0, 0, &format!("WRITE /shared/{n:030}|{n:030}")));
    host.expect(&[(5, 0, "WATCH data/value|t|", "OK|; ev data/value,t")]);
    host
}

#[test]
fn a_state_is_of_one_moment() {
    let mut host = host();
    let mut pages = 1;
    let (_, state) = save(&mut host, |host, at| {
        pages += 1;
        host.expect(&[
            (5, 0, &format!("WRITE data/value|{at}"), "ev data/value,t; OK|"),
            (6, 0, &format!("WRITE data/new-{at}|"), "OK|"),
            (0, 0, &format!("RM /shared/{pages:030}|"), "OK|"),
        ]);
    });
    assert!(pages > 10, "{pages} pages");
    host.check();
    // A server made from it has what there was, and its clients go on.
    let mut other = self::host();
    other.restore(&state).unwrap_or_else(|error| panic!("{error}"));
    other.server.resume(&mut other.xen);
    other.expect(&[
        (6, 0, "DIRECTORY data|", "value|"),
        (0, 0, &format!("READ /shared/{:030}|", 3), &format!("{:030}", 3)),
        (5, 0, "READ data/value|", "before"),
        (5, 0, "WRITE data/value|after", "ev data/value,t; OK|"),
    ]);
}

#[test]
fn only_who_may_and_only_what_is_held() {
    let mut host = host();
    host.expect(&[
        (5, 0, "CONTROL state|dump|", "EACCES"),
        (0, 0, "CONTROL state|", "EINVAL"),
        (0, 0, "CONTROL state|save|", "EINVAL"),
        (0, 0, "CONTROL state|dump|0|", "EINVAL"),
        (0, 0, "CONTROL state|dump|0|x|", "EINVAL"),
        (0, 0, "CONTROL state|dump|0|0|0|", "EINVAL"),
        (0, 0, "CONTROL state|dump|0|0|", ENDED),
    ]);
    let (head, first) = page(&mut host, "CONTROL state|dump|");
    let beyond = format!("CONTROL state|dump|{}|{}|", head.number, head.size);
    host.expect(&[(0, 0, &beyond, "EINVAL")]);
    // A page can be had again.
    let again = format!("CONTROL state|dump|{}|0|", head.number);
    assert_eq!(page(&mut host, &again), (head, first));
    // Whoever asks anew has another state.
    let (number, _) = save(&mut host, |host, _| host.expect(&[(0, 0, &again, ENDED)]));
    assert!(number > head.number);
    host.expect(&[(0, 0, &format!("CONTROL state|dump|{number}|0|"), ENDED)]);
}

/// Bytes for nodes that were never used and are not lent.
pub fn unused(host: &Host) -> usize {
    host.server.untouched().next().map_or(0, |nodes| nodes.len())
}

#[test]
fn what_nobody_asks_for_is_forgotten() {
    let mut host = host();
    let before = unused(&host);
    let (head, _) = page(&mut host, "CONTROL state|dump|");
    assert!(before - unused(&host) >= head.size);
    host.check();
    let next = format!("CONTROL state|dump|{}|2952|", head.number);
    for _ in 0..3 {
        host.xen.pass(9);
        page(&mut host, &next);
    }
    // It wakes up for that.
    let now = host.xen.now;
    let deadline = host.server.poll(&mut host.xen).expect("it wants to wake up");
    assert!(deadline <= now.after_seconds(10), "{deadline:?}");
    host.xen.pass(10);
    host.poll();
    assert_eq!(unused(&host), before);
    host.expect(&[(0, 0, &next, ENDED)]);
}

/// Numbers go on: a client that asks on after a live update gets nothing of another state of the same size.
#[test]
fn another_image_holds_no_state_of_the_same_number() {
    let mut host = host();
    host.xen.ticking = 3000;
    let numbers = [(); 3].map(|()| {
        let (head, _) = page(&mut host, "CONTROL state|dump|");
        host.update(2);
        host.expect(&[(0, 0, &format!("CONTROL state|dump|{}|0|", head.number), ENDED)]);
        head.number
    });
    assert!(numbers.is_sorted_by(|earlier, later| earlier < later), "{numbers:?}");
}

#[test]
fn a_state_goes_with_its_client() {
    let mut host = host();
    let before = unused(&host);
    let ring = Arc::new(RingPage::new());
    let port = host.xen.bind_interdomain(DomId(0), Port(9)).expect("a port");
    let handle = host.server.accept(ring.clone(), port).expect("there is room");
    let mut client = Client::new(ring);
    client.write(&request(MessageType::Control as u32, 1, TxId::NONE, b"state\0dump\0"));
    host.xen.kick(DomId(0));
    host.poll();
    // The whole of it is longer than a ring.
    let mut answer = Vec::new();
    while client.waiting() > 0 {
        answer.extend(client.read());
        host.xen.kick(DomId(0));
        host.poll();
    }
    let answer = answer.first().expect("an answer").to_string().replace("\\n", "\n");
    let (head, _) = Head::parse(What::State, &answer).expect("a page");
    assert!(before - unused(&host) >= head.size);
    host.server.disconnect(&mut host.xen, handle);
    assert_eq!(unused(&host), before);
    host.expect(&[(0, 0, &format!("CONTROL state|dump|{}|0|", head.number), ENDED)]);
}

#[test]
fn an_update_comes_first() {
    let mut host = host();
    host.xen.bounds = Some(Bounds { memory: 1 << 20..1 << 21, states: 1..=2, hand_over: 1 });
    let (head, _) = page(&mut host, "CONTROL state|dump|");
    host.expect(&[
        (0, 0, "CONTROL live-update|-b|100000|", "OK|"),
        (0, 0, &format!("CONTROL state|dump|{}|0|", head.number), ENDED),
        (0, 0, "CONTROL state|dump|", "A live update is under way.|"),
        (0, 0, "CONTROL live-update|-d|3|abc|", "OK|"),
        (0, 0, "CONTROL live-update|-a|", "OK|"),
    ]);
    save(&mut host, |_, _| ());
    host.check();
}

#[test]
fn a_full_store_says_how_much_is_missing() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(1000));
    let fill = |host: &mut Host, count: usize| {
        (0..count).for_each(|n| host.ok(0, 0, &format!("WRITE /n{n}|{n:040}")));
    };
    fill(&mut host, 300);
    save(&mut host, |_, _| ());
    fill(&mut host, 800);
    let answer = host.ask(0, 0, "CONTROL state|dump|");
    let missing = answer.strip_prefix("not enough memory for the state: ").expect(&answer);
    let missing: usize = missing.strip_suffix(" KiB are missing|").expect(&answer).parse().expect("a number");
    assert!((10..200).contains(&missing), "{answer}");
    host.expect(&[(0, 0, "WRITE /a|b|", "OK|")]);
}

/// Nobody is told that nothing is missing.
#[test]
fn the_first_state_without_room_lacks_some() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(1000));
    let refused = (0..1000).find_map(|n| {
        host.ok(0, 0, &format!("WRITE /n{n}|{n:020}"));
        let answer = host.ask(0, 0, "CONTROL state|dump|");
        answer.starts_with("not enough").then_some(answer)
    });
    let answer = refused.expect("it does not fit any more");
    // Its last page has not fit.
    let lacks = |kib: usize| answer == format!("not enough memory for the state: {kib} KiB are missing|");
    assert!((1..=3).any(lacks), "{answer}");
}

/// It is as of the last moment in which it is written. Who looks is served meanwhile, and may have read what waits for it; who
/// changes something, and the end of a domain, wait until it is written.
#[test]
fn others_who_look_are_served_while_it_is_written() {
    let whole = checks::host().received(3);
    let mut host = checks::host();
    let tx = host.start(1);
    host.ok(1, tx, "WRITE data|late");
    let since = host.server.trace().end();
    host.send(0, 0, "CONTROL state|dump|");
    host.send(2, 0, "READ data|");
    host.send(1, tx, "TRANSACTION_END T|");
    // Guest 4, of which half a request is there, wants to begin anew. Guest 3 reads a ring full of what it has left unread, and says so.
    let reader = Rc::new(RefCell::new(Client::new(host.client(3).page.clone())));
    let heard = Rc::new(RefCell::new(Vec::new()));
    let (amid, read, page) = (reader.clone(), heard.clone(), host.client(4).page.clone());
    let mut looks = 0;
    host.xen.on_look = Some(Box::new(move || {
        looks += 1;
        if looks == 30 {
            read.borrow_mut().extend(amid.borrow_mut().read());
            page.connection.store(1, Relaxed);
        }
    }));
    (0..80).for_each(|n| host.xen.alarms.push((host.xen.now, DomId(3 + n % 2))));
    host.poll();
    host.xen.on_look = None;
    let records: Vec<_> =
        host.server.trace().from(since).map(|record| (record.kind, record.domid.0)).collect();
    let first = page_of(&host.received(0));
    let (_, state) = rest_of(&mut host, first, |_, _| ());
    let place =
        |of| records.iter().position(|record| *record == of).unwrap_or_else(|| panic!("{of:?}: {records:?}"));
    let end = place((Kind::Ended, 0));
    assert!(place((Kind::Ended, 2)) < end && place((Kind::Notified, 3)) < end, "{records:?}");
    assert!(end < place((Kind::Ended, 1)) && end < place((Kind::Restarted, 4)), "{records:?}");
    host.hears(1, "OK|");
    host.hears(2, "mine");
    host.check();
    host.restore(&state).unwrap_or_else(|error| panic!("{error}"));
    assert!(host.save(2) == state, "what is restored has another state");
    host.server.resume(&mut host.xen);
    host.expect(&[(1, 0, "READ data|", "mine")]);
    let mut heard = heard.take();
    while reader.borrow().waiting() > 0 {
        heard.extend(reader.borrow_mut().read());
        host.xen.kick(DomId(3));
        host.poll();
    }
    assert_eq!(heard.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), whole);
    host.check();
}

/// Two that ask at once have one after the other, and the second is held.
#[test]
fn of_two_the_second_is_held() {
    let mut host = checks::host();
    let before = unused(&host);
    let ring = Arc::new(RingPage::new());
    let port = host.xen.bind_interdomain(DomId(0), Port(9)).expect("a port");
    let handle = host.server.accept(ring.clone(), port).expect("there is room");
    let mut client = Client::new(ring);
    client.write(&request(MessageType::Control as u32, 1, TxId::NONE, b"state\0dump\0"));
    host.send(0, 0, "CONTROL state|dump|");
    host.poll();
    let (head, _) = page_of(&host.received(0));
    let mut other = Vec::new();
    while client.waiting() > 0 {
        other.extend(client.read());
        host.xen.kick(DomId(0));
        host.poll();
    }
    let (other, _) = page_of(&format!("{}", other.first().expect("an answer")));
    assert_ne!(head.number, other.number);
    let (held, given_up) = if head.number > other.number { (head, other) } else { (other, head) };
    host.expect(&[(0, 0, &format!("CONTROL state|dump|{}|0|", given_up.number), ENDED)]);
    page(&mut host, &format!("CONTROL state|dump|{}|{}|", held.number, held.count));
    host.server.disconnect(&mut host.xen, handle);
    host.xen.pass(10);
    host.poll();
    assert_eq!(unused(&host), before);
    host.check();
}

/// Stopped at any operation, and before any part, it costs the request at most: what was lent is given back, though nobody asks
/// for another.
#[cfg(debug_assertions)] // Elsewhere nothing stops.
#[test]
fn it_may_be_stopped_anywhere() {
    crate::stops::expect_stops();
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(1000));
    // Their connections alone are more than a message.
    (5..20).for_each(|domid| host.boot(domid));
    host.expect(&[(5, 0, "WRITE data|value", "OK|"), (5, 0, "WATCH data|t|", "OK|; ev data,t")]);
    let before = unused(&host);
    for by_look in [false, true] {
        for n in 1.. {
            host.send(0, 0, "CONTROL state|dump|");
            host.send(5, 0, "WRITE data|value");
            let looks = AtomicU32::new(if by_look { n } else { 0 });
            host.xen.on_look = Some(Box::new(move || assert_ne!(looks.fetch_sub(1, Relaxed), 1)));
            host.server.stop_in(if by_look { 0 } else { n });
            let stopped = catch_unwind(AssertUnwindSafe(|| host.poll())).is_err();
            host.server.stop_in(0);
            host.xen.on_look = None;
            if !stopped {
                assert!(n > if by_look { 10 } else { 50 }, "{n}");
                break;
            }
            assert!(host.server.survive(&mut host.xen, Stop::Panic(n)));
            host.poll();
            let answer = host.received(0);
            assert!(answer == "EIO" || answer.starts_with("xenstore-state "), "stop {n}: {answer}");
            let written = host.received(5);
            assert!(written == "EIO" || written == "ev data,t; OK|", "stop {n}: {written}");
            host.xen.pass(10);
            host.poll();
            assert_eq!(unused(&host), before, "stop {n}");
            // What it had for a reason is forgotten: the same again is no fault.
            host.xen.pass(10);
            host.poll();
            host.check();
        }
        host.received(0);
        host.received(5);
        host.xen.pass(10);
        host.poll();
    }
    host.expect(&[(5, 0, "READ data|", "value")]);
    assert_eq!(host.server.usage(DomId(5)).map(|usage| usage.nodes), Some(2));
}
