//! Rings: indexes, pieces of messages, full rings, notifications, violations, resets.

use std::sync::atomic::Ordering::SeqCst;

use support::{Host, request};
use xenstore::abi::DomId;
use xenstore::wire::TxId;

fn host() -> Host {
    let mut host = Host::new();
    host.boot(5);
    host.take_notified(5);
    host
}

fn field(host: &mut Host, pick: impl Fn(&xenstore::abi::RingPage) -> &std::sync::atomic::AtomicU32) -> u32 {
    pick(&host.client(5).page).load(SeqCst)
}

/// Asserts that domain 5 has been given up: no answer, this `error`, still introduced, and nothing changes that.
#[track_caller]
fn is_ignored(host: &mut Host, error: u32) {
    assert_eq!(field(host, |page| &page.error), error);
    host.hears(5, "");
    host.expect(&[
        (0, 0, "IS_DOMAIN_INTRODUCED 5|", "T|"),
        (0, 0, "READ /local/domain/5|", ""),
        (0, 0, "INTRODUCE 5|1|5|", "OK|"),
    ]);
    assert_eq!(host.client(5).indexes(), [0; 4]);
    host.expect(&[(5, 0, "GET_DOMAIN_PATH 3|", "")]);
    assert_ne!(host.client(5).unread(), 0, "what it sends stays where it is");
    assert_eq!(field(host, |page| &page.error), error);
    host.expect(&[(0, 0, "RELEASE 5|", "OK|"), (0, 0, "INTRODUCE 5|1|5|", "OK|")]);
    assert_eq!(field(host, |page| &page.error), 0);
    host.expect(&[(5, 0, "GET_DOMAIN_PATH 3|", "/local/domain/3|")]);
}

#[test]
fn a_header_that_announces_too_much_ends_the_connection() {
    for len in [4097, 5000, 1 << 30, u32::MAX] {
        let mut host = host();
        let mut bytes = request(2, 0, TxId(0), b"/\0");
        bytes[12..16].copy_from_slice(&u32::to_le_bytes(len));
        host.push(5, &bytes);
        host.poll();
        assert_eq!(host.client(5).unread(), 18, "nothing is consumed");
        assert_eq!(host.take_notified(5), 1);
        is_ignored(&mut host, 3);
    }
}

#[test]
fn request_indexes_out_of_range_end_the_connection() {
    for beyond in [1025, 1 << 31, u32::MAX] {
        let mut host = host();
        let [cons, ..] = host.client(5).indexes();
        host.client(5).page.req_prod.store(cons.wrapping_add(beyond), SeqCst);
        host.xen.kick(DomId(5));
        host.poll();
        is_ignored(&mut host, 2);
    }
}

#[test]
fn response_indexes_are_looked_at_only_when_there_is_an_answer() {
    let mut host = host();
    let [.., prod] = host.client(5).indexes();
    host.client(5).page.rsp_cons.store(prod + 5, SeqCst);
    host.xen.kick(DomId(5));
    host.poll();
    assert_eq!(field(&mut host, |page| &page.error), 0);
    host.send(5, 0, "GET_DOMAIN_PATH 3|");
    host.poll();
    host.client(5).page.rsp_cons.store(prod, SeqCst);
    is_ignored(&mut host, 2);
}

#[test]
fn a_violation_drops_watches_and_transactions() {
    let mut host = host();
    host.expect(&[(5, 0, "WATCH data|t|", "OK|; ev data,t"), (5, 0, "TRANSACTION_START |", "1|")]);
    let [cons, ..] = host.client(5).indexes();
    host.client(5).page.req_prod.store(cons + 1025, SeqCst);
    host.xen.kick(DomId(5));
    host.poll();
    host.ok(0, 0, "WRITE /local/domain/5/data|");
    assert_eq!(host.client(5).waiting(), 0);
    let held = host.ask(0, 0, "CONTROL quota|5|");
    assert!(held.contains("watches          :        0 "), "{held}");
    assert!(held.contains("transactions     :        0 "), "{held}");
    host.check();
}

#[test]
fn a_guest_may_empty_its_ring_by_itself() {
    let mut host = host();
    host.expect(&[(5, 0, "WRITE a|1", "OK|"), (5, 0, "READ a|", "1")]);
    let page = host.client(5).page.clone();
    for word in page.req.iter().chain(&page.rsp) {
        word.store(u64::MAX, SeqCst);
    }
    host.client(5).set_indexes([0; 4]);
    host.expect(&[(5, 0, "GET_DOMAIN_PATH 3|", "/local/domain/3|")]);
    assert_eq!(host.client(5).indexes(), [18, 18, 32, 32]);
}

#[test]
fn a_guest_that_asks_for_it_gets_a_fresh_connection() {
    let mut host = host();
    host.expect(&[(5, 0, "WATCH data|t|", "OK|; ev data,t"), (5, 0, "TRANSACTION_START |", "1|")]);
    for _ in 0..60 {
        host.send(5, 0, "GET_DOMAIN_PATH 3|");
        host.poll();
    }
    host.client(5).write(&[0; 20]);
    host.take_notified(5);
    host.client(5).page.connection.store(1, SeqCst);
    host.xen.kick(DomId(5));
    host.poll();
    host.client(5).forget();
    assert_eq!(host.take_notified(5), 1);
    assert_eq!(field(&mut host, |page| &page.connection), 0);
    assert_eq!(host.client(5).indexes(), [0; 4]);
    host.expect(&[
        (0, 0, "WRITE /local/domain/5/data|", "OK|"),
        (5, 0, "GET_DOMAIN_PATH 3|", "/local/domain/3|"),
        (5, 1, "READ data|", "ENOENT"),
        (5, 0, "READ data|", ""),
        (5, 0, "WATCH data|t|", "OK|; ev data,t"),
        (5, 0, "TRANSACTION_START |", "2|"),
    ]);
}

#[test]
fn a_message_received_in_part_is_dropped_by_a_fresh_connection() {
    let mut host = host();
    let long = request(11, 0, TxId(0), &[b"a\0", &[b'x'; 3000][..]].concat());
    host.push(5, &long[..2500]);
    host.poll();
    host.client(5).page.connection.store(1, SeqCst);
    host.xen.kick(DomId(5));
    host.poll();
    assert_eq!(host.client(5).indexes(), [0; 4]);
    host.expect(&[(5, 0, "GET_DOMAIN_PATH 3|", "/local/domain/3|"), (5, 0, "READ a|", "ENOENT")]);
}

#[test]
fn without_the_feature_a_connection_is_not_started_afresh_by_its_guest() {
    let mut host = Host::new();
    host.create(5);
    host.expect(&[(0, 0, "SET_FEATURE 5|14|", "OK|"), (0, 0, "INTRODUCE 5|1|5|", "OK|")]);
    assert_eq!(field(&mut host, |page| &page.server_features), 14);
    host.client(5).page.connection.store(1, SeqCst);
    host.xen.kick(DomId(5));
    host.poll();
    host.expect(&[(5, 0, "GET_DOMAIN_PATH 3|", "/local/domain/3|")]);
    assert_eq!(field(&mut host, |page| &page.connection), 1);
    host.take_notified(5);
    host.expect(&[(0, 0, "INTRODUCE 5|1|5|", "OK|")]);
    assert_eq!(field(&mut host, |page| &page.connection), 0);
    assert_eq!(host.client(5).indexes(), [0; 4]);
    assert_eq!(host.take_notified(5), 1);
}

#[test]
fn an_introduced_ring_starts_empty() {
    let mut host = Host::new();
    host.create(5);
    host.client(5).set_indexes([100, 100, 200, 200]);
    host.client(5).page.error.store(3, SeqCst);
    host.expect(&[(0, 0, "INTRODUCE 5|1|5|", "OK|")]);
    assert_eq!(host.client(5).indexes(), [0; 4]);
    assert_eq!(field(&mut host, |page| &page.server_features), 15);
    assert_eq!(field(&mut host, |page| &page.error), 0);
    assert_eq!(host.take_notified(5), 0, "it has nothing to hear yet");
}

#[test]
fn what_dom0_asked_before_the_server_ran_is_answered() {
    let mut xen = support::FakeXen::new();
    let page = xen.create(DomId(0));
    let mut client = support::Client::new(page);
    client.set_indexes([1000, 1000, 77, 77]);
    client.page.connection.store(1, SeqCst);
    client.write(&request(10, 4, TxId(0), b"3\0"));
    let settings = xenstore::config::Settings::DEFAULT;
    let mut server =
        xenstore::server::Server::new(settings, &xenstore::config::Capacities::for_nodes(1000), 1);
    server.start(&mut xen, DomId(0), xenstore::abi::Port(1)).unwrap();
    server.poll(&mut xen);
    assert_eq!(client.read()[0].payload, b"/local/domain/3\0");
    assert_eq!(client.page.connection.load(SeqCst), 0);
    assert_eq!(xen.notified[&0], 1);
}

#[test]
fn a_message_may_begin_at_any_offset() {
    let mut host = host();
    let value = "v".repeat(700);
    host.ok(5, 0, &format!("WRITE a|{value}"));
    for offset in (0..1024).chain((1..40).map(|n| u32::MAX - n * 27)) {
        host.client(5).set_indexes([offset; 4]);
        assert_eq!(host.ask(5, 0, "GET_DOMAIN_PATH 3|"), "/local/domain/3|", "at {offset}");
        assert_eq!(host.ask(5, 0, &format!("WRITE a|{value}")), "OK|", "at {offset}");
        assert_eq!(host.ask(5, 0, "READ a|"), value, "at {offset}");
    }
    host.check();
}

#[test]
fn a_message_may_come_in_two_pieces_of_any_length() {
    let mut host = host();
    let whole = request(11, 0, TxId(0), &[b"a\0", &[b'x'; 1200][..]].concat());
    for cut in 1..whole.len() {
        host.push(5, &whole[..cut]);
        host.poll();
        assert_eq!(host.client(5).waiting(), 0, "cut at {cut}");
        host.push(5, &whole[cut..]);
        host.poll();
        assert_eq!(host.received(5), "OK|", "cut at {cut}");
    }
    host.check();
}

#[test]
fn the_longest_message_may_come_in_pieces_of_any_length() {
    let mut host = host();
    let value: Vec<u8> = (0..4094).map(|n| b'a' + (n % 23) as u8).collect();
    let whole = request(11, 0, TxId(0), &[b"/\0", value.as_slice()].concat());
    for size in (1..64).chain((64..=1024).step_by(41)).chain([1023, 1024]) {
        for piece in whole.chunks(size) {
            host.push(0, piece);
            host.poll();
        }
        assert_eq!(host.received(0), "OK|", "pieces of {size}");
    }
    host.expect(&[(0, 0, "READ /|", &String::from_utf8(value).unwrap())]);
}

#[test]
fn an_answer_may_be_read_in_pieces_of_any_length() {
    let mut host = host();
    let value: String = (0..4094).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    host.ok(0, 0, &format!("WRITE /|{value}"));
    for size in (1..64).chain((64..=1024).step_by(41)).chain([1023, 1024]) {
        host.send(0, 0, "READ /|");
        host.poll();
        assert_eq!(host.client(0).waiting(), 1024, "the ring is full");
        let mut messages = Vec::new();
        for _ in 0..4110_u32.div_ceil(size) {
            messages.extend(host.client(0).read_some(size));
            host.xen.kick(DomId(0));
            host.poll();
        }
        assert_eq!(messages.len(), 1, "pieces of {size}");
        assert_eq!(messages[0].payload, value.as_bytes(), "pieces of {size}");
        assert_eq!(host.client(0).waiting(), 0);
    }
    host.check();
}

#[test]
fn a_guest_that_does_not_read_is_not_read() {
    let mut host = host();
    let mut sent = 0;
    for _ in 0..60 {
        let bytes = request(10, sent, TxId(0), b"3\0");
        if 1024 - host.client(5).unread() < 18 {
            break;
        }
        host.push(5, &bytes);
        host.poll();
        sent += 1;
    }
    assert_eq!(sent, 60);
    assert_eq!(host.client(5).waiting(), 1024);
    assert_eq!(host.client(5).unread(), 8 * 18, "32 answers in the ring, 20 waiting");
    host.expect(&[(0, 0, "GET_DOMAIN_PATH 3|", "/local/domain/3|")]);
    host.xen.pass(100);
    host.poll();
    assert_eq!(host.client(5).unread(), 8 * 18, "answers do not expire");
    let mut answers = Vec::new();
    while answers.len() < 60 {
        let more = host.client(5).read();
        assert!(!more.is_empty());
        answers.extend(more);
        host.xen.kick(DomId(5));
        host.poll();
    }
    let order: Vec<u32> = answers.iter().map(|message| message.header.req_id).collect();
    assert_eq!(order, (0..60).collect::<Vec<u32>>());
    host.hears(5, "");
    host.check();
}

#[test]
fn pipelined_requests_are_served_in_order() {
    let mut host = host();
    host.expect(&[(5, 0, "WATCH data|t|", "OK|; ev data,t")]);
    host.take_notified(5);
    host.send(5, 0, "WRITE data|1");
    host.send(5, 0, "UNWATCH data|t|");
    host.poll();
    assert_eq!(host.take_notified(5), 1);
    host.hears(5, "ev data,t; OK|; OK|");
}

#[test]
fn a_burst_of_any_length_is_notified_once() {
    let mut host = host();
    for burst in [1, 2, 7, 8, 9, 16, 17, 30] {
        for _ in 0..burst {
            host.send(5, 0, "GET_DOMAIN_PATH 3|");
        }
        host.poll();
        assert_eq!(host.take_notified(5), 1, "{burst} requests");
        assert_eq!(host.client(5).read().len(), burst);
    }
    host.xen.kick(DomId(5));
    host.poll();
    host.poll();
    assert_eq!(host.take_notified(5), 0, "nothing moved");
}

#[test]
fn a_request_that_comes_in_pieces_is_notified_once() {
    let mut host = host();
    let whole = request(2, 0, TxId(0), b"data\0");
    for pieces in [&whole[..7], &whole[7..16], &whole[16..18]] {
        host.push(5, pieces);
        host.poll();
        assert_eq!((host.client(5).unread(), host.take_notified(5)), (0, 0), "it is still writing");
    }
    host.push(5, &whole[18..]);
    host.poll();
    assert_eq!(host.take_notified(5), 1);
    host.hears(5, "ENOENT");
}

#[test]
fn a_request_that_shows_late_is_served_without_notification() {
    let mut host = host();
    let mut late = support::Client::new(host.client(5).page.clone());
    let mut left = 3;
    host.xen.meanwhile = Some(Box::new(move || {
        if left > 0 {
            left -= 1;
            late.write(&request(2, left, TxId(0), b"data\0"));
        }
    }));
    host.send(5, 0, "READ data|");
    host.poll();
    assert_eq!(host.take_notified(5), 4);
    assert_eq!(host.client(5).read().len(), 4);
}

#[test]
fn every_move_that_may_be_waited_for_is_notified() {
    let mut host = host();
    let whole = request(11, 0, TxId(0), &[b"a\0", &[b'x'; 1500][..]].concat());
    host.client(5).write(&whole[..500]);
    host.xen.kick(DomId(5));
    host.poll();
    assert_eq!((host.client(5).unread(), host.take_notified(5)), (0, 1), "there is room again");
    host.client(5).write(&whole[500..1500]);
    host.xen.kick(DomId(5));
    host.poll();
    assert_eq!((host.client(5).unread(), host.take_notified(5)), (0, 1), "and again");
    host.client(5).write(&whole[1500..]);
    host.xen.kick(DomId(5));
    host.poll();
    assert_eq!(host.take_notified(5), 1);
    host.hears(5, "OK|");
    host.boot(6);
    host.expect(&[(5, 0, "WATCH data|t|", "OK|; ev data,t"), (6, 0, "WRITE x|", "OK|")]);
    host.take_notified(5);
    host.take_notified(6);
    host.expect(&[(0, 0, "WRITE /local/domain/5/data|", "OK|")]);
    assert_eq!((host.take_notified(5), host.take_notified(6)), (1, 0), "an event for one");
}
