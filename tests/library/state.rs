//! A server that is made from another one's state: its clients notice nothing.

use support::{Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::server::{Handed, Way};
use xenstore::slots::Full;
use xenstore::state::{Length, Sink};
use xenstore::trace::Kind;
use xenstore::wire::TxId;

/// Guests with all that a state has of them.
fn full_host() -> Host {
    let mut host = Host::new();
    for domid in 1..=3 {
        host.boot(domid);
    }
    host.create(4);
    host.create(9);
    let long = "v".repeat(3000);
    host.expect(&[
        (0, 0, "WRITE /shared|x", "OK|"),
        (0, 0, "SET_PERMS /shared|b0|r1|n2|r9|w77|r32757|", "OK|"),
        (0, 0, &format!("WRITE /shared/long|{long}"), "OK|"),
        (1, 0, "WRITE data/a|1", "OK|"),
        (1, 0, "WRITE data/b|2", "OK|"),
        (1, 0, "SET_PERMS data/a|n1|r2|", "OK|"),
        (1, 0, "RM data/b|", "OK|"),
        (1, 0, "WATCH data|t|", "OK|; ev data,t"),
        (2, 0, "WATCH /local/domain/1/data|deep|1|", "OK|; ev /local/domain/1/data,deep"),
        (0, 0, "WATCH @releaseDomain|gone|", "OK|; ev @releaseDomain,gone"),
        (0, 0, "SET_TARGET 2|3|", "OK|"),
        (0, 0, "SET_QUOTA 4|nodes|7|", "OK|"),
        (0, 0, "SET_FEATURE 4|3|", "OK|"),
        (0, 0, "SET_QUOTA watches|50|", "OK|"),
    ]);
    host
}

#[test]
fn clients_go_on() {
    for version in [1, 2] {
        let mut host = full_host();
        host.xen.shut_down(DomId(3));
        host.poll();
        host.hears(0, "ev @releaseDomain,gone");
        host.update(version);
        host.poll();
        host.hears(0, "");
        host.expect(&[
            (0, 0, "READ /shared|", "x"),
            (0, 0, "GET_PERMS /shared|", "b0|r1|n2|r9|w77|r32757|"),
            (0, 0, "DIRECTORY /local/domain|", "1|2|3|"),
            (2, 0, "READ /local/domain/1/data/a|", "1"),
            (3, 0, "READ /local/domain/1/data/a|", "EACCES"),
            (0, 0, "WRITE /local/domain/3/only|x", "OK|"),
            (2, 0, "READ /local/domain/3/only|", "x"),
            (0, 0, "GET_QUOTA 4|nodes|", "7|"),
            (0, 0, "GET_QUOTA 3|watches|", "128|"),
            (0, 0, "GET_QUOTA watches|", "50|"),
            (0, 0, "GET_FEATURE 4|", "3|"),
            (1, 0, "WRITE data/a|3", "ev data/a,t; OK|"),
        ]);
        host.hears(2, "ev /local/domain/1/data/a,deep");
        host.expect(&[(1, 0, "RM data|", "ev data,t; OK|")]);
        // It may not read that node.
        host.hears(2, "");
        host.kill(1);
        host.hears(0, "ev @releaseDomain,gone");
        host.check();
    }
}

/// The newest records and the texts of marks; their numbers go on.
#[test]
fn the_trace_goes_on() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities { trace: 5000, ..Capacities::for_nodes(8192) });
    host.boot(1);
    host.ok(0, 0, "CONTROL trace|mark|before the update|");
    let records = |host: &Host, count| host.server.trace().last(count).collect::<Vec<_>>();
    for (updates, rounds) in [(0, 10), (1, 3000), (2, 10)] {
        (0..rounds).for_each(|n| host.ok(1, 0, &format!("WRITE data/{}|{n}", n % 7)));
        let (end, before) = (host.server.trace().end(), records(&host, 1024));
        host.update(2);
        let after = host.server.trace();
        assert_eq!((after.end(), end - after.first()), (end, before.len() as u64));
        assert_eq!(records(&host, u64::MAX), before);
        let handed = Handed { updates, ..Handed::NONE };
        host.server.take_up(&mut host.xen, handed, 1234, Way::Updated);
        host.poll();
        assert_eq!(records(&host, u64::MAX)[before.len()].to_string(), "updated after 1234 us");
        host.ok(1, 0, "RM data/0|");
        assert!(host.server.trace().end() > end + 3);
        host.check();
    }
    // The texts of marks stay though their records have been overwritten.
    let mark = records(&host, u64::MAX).into_iter().find(|record| record.kind == Kind::Mark);
    assert!(mark.is_none());
    host.ok(0, 0, "CONTROL trace|mark|after it|");
    host.update(1);
    let shown = host.ask(0, 0, "CONTROL trace|show|");
    assert!(shown.contains("after it"), "{shown}");
}

/// As much of it as there is room for, and nothing of it where nobody wants it.
#[test]
fn the_trace_takes_no_more_room_than_there_is() {
    let (mut host, mut other) = (full_host(), full_host());
    (0..500).for_each(|n| host.ok(0, 0, &format!("WRITE /shared|{n}")));
    let mut length = Length::default();
    host.server.save(2, &mut length).expect("numbers have room");
    let Length(least) = length;
    for more in [0, 100, 5000, 20_000, 1 << 20] {
        let mut room = Room { left: least + more, bytes: Vec::new() };
        host.server.save(2, &mut room).expect("what is needed has room");
        let records = (room.bytes.len() as u64 - least) / 32;
        assert!(records <= more / 32 && (more < 5000) == (records == 0), "{records} of {more} bytes");
        other.restore(&room.bytes).expect("it is a state");
        other.check();
        assert_eq!(other.server.trace().last(u64::MAX).count() as u64, records);
    }
}

/// A sink of so much room.
struct Room {
    left: u64,
    bytes: Vec<u8>,
}

impl Sink for Room {
    fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or(Full)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn room(&self) -> u64 {
        self.left
    }
}

/// A new image's command line: what it does not name stays as it was set.
#[test]
fn quotas_stay_unless_they_are_named() {
    let mut host = full_host();
    host.expect(&[
        (0, 0, "SET_QUOTA nodes|600|", "OK|"),
        // More than the line may say.
        (0, 0, "SET_QUOTA path-max|3000|", "OK|"),
        (0, 0, "CONTROL quota-soft|set|memory|77777|", "OK|"),
    ]);
    host.update(2);
    host.server.take_quotas_of(
        b"--quota=nodes=321 loglevel=debug,--trace-size=100 -W 55 --quota-soft memory=5 --what -U",
    );
    host.poll();
    host.create(5);
    host.expect(&[
        (0, 0, "GET_QUOTA nodes|", "321|"),
        (0, 0, "GET_QUOTA watches|", "55|"),
        (0, 0, "GET_QUOTA soft-memory|", "5|"),
        (0, 0, "GET_QUOTA transactions|", "10|"),
        (0, 0, "GET_QUOTA path-max|", "3000|"),
        // Whoever is known has what he had.
        (0, 0, "GET_QUOTA 3|nodes|", "1000|"),
        (0, 0, "GET_QUOTA 4|nodes|", "7|"),
        (0, 0, "GET_QUOTA 5|nodes|", "321|"),
    ]);
    host.update(2);
    host.server.take_quotas_of(b"--event 5 -U");
    host.poll();
    host.expect(&[(0, 0, "GET_QUOTA nodes|", "321|"), (0, 0, "GET_QUOTA watches|", "55|")]);
}

#[test]
fn half_a_request_is_completed() {
    let bytes = request(11, 7, TxId(0), b"data\0half a request that is so long that it takes a chunk");
    for cut in [1, 15, 16, 20, bytes.len() - 1] {
        let mut host = full_host();
        host.push(1, &bytes[..cut]);
        host.poll();
        host.update(2);
        host.push(1, &bytes[cut..]);
        host.poll();
        host.hears(1, "ev data,t; OK|");
    }
}

#[test]
fn what_waits_is_told() {
    let mut host = full_host();
    for n in 0..40 {
        host.ok(0, 0, &format!("WRITE /local/domain/1/data/{n}|"));
    }
    host.check();
    host.update(2);
    host.poll();
    let all: Vec<String> = (0..40).map(|n| format!("ev data/{n},t")).collect();
    host.hears(1, &all.join("; "));
    host.check();
}

/// Answers and events that wait, one of them half in its ring, cost what they did, and come in their order.
#[test]
fn a_message_that_is_half_sent_is_completed() {
    let mut host = full_host();
    let long = "v".repeat(3000);
    for (domid, read) in [(1, 0), (3, 1), (1, 500), (3, 1024)] {
        host.send(domid, 0, "READ /shared/long|");
        host.send(domid, 0, "READ /shared|");
        host.poll();
        let mut got = host.client(domid).read_some(read);
        host.xen.kick(DomId(domid));
        host.poll();
        let before = host.server.usage(DomId(domid));
        host.update(2);
        assert_eq!(host.server.usage(DomId(domid)), before);
        host.poll();
        while host.client(domid).waiting() > 0 {
            got.extend(host.client(domid).read());
            host.xen.kick(DomId(domid));
            host.poll();
        }
        let got: Vec<String> = got.iter().map(ToString::to_string).collect();
        assert_eq!(got, [long.as_str(), "x"], "{read}");
        host.check();
    }
}

/// An event that is half in its ring waits, so the same is not told again.
#[test]
fn an_event_that_is_half_sent_is_not_told_twice() {
    let mut host = full_host();
    host.expect(&[
        (1, 0, "UNWATCH data|t|", "OK|"),
        (1, 0, "WATCH data|long-token|", "OK|; ev data,long-token"),
    ]);
    // Leaves room for a part of the last one.
    let n = (0..).find(|n| {
        host.ok(0, 0, &format!("WRITE /local/domain/1/data/{n}|"));
        host.server.in_use().messages > 0
    });
    let n = n.expect("the ring is full some time");
    assert!(host.client(1).waiting() == 1024, "it is half in the ring");
    host.update(2);
    host.ok(0, 0, &format!("WRITE /local/domain/1/data/{n}|again"));
    let all: Vec<String> = (0..=n).map(|n| format!("ev data/{n},long-token")).collect();
    host.hears(1, &all.join("; "));
    host.check();
}

#[test]
fn requests_in_rings_are_served() {
    let mut host = full_host();
    host.send(1, 0, "WRITE data/z|1");
    host.send(1, 0, "READ data/z|");
    host.update(1);
    host.poll();
    host.hears(1, "ev data/z,t; OK|; 1");
}

/// What guests have caused and others leave unread stays their outstanding request, and stays theirs to pay for.
#[test]
fn outstanding_requests_stay_so() {
    let mut host = full_host();
    host.expect(&[(0, 0, "WRITE /open|", "OK|"), (0, 0, "SET_PERMS /open|b0|", "OK|")]);
    for token in 0..5 {
        let heard = host.ask(1, 0, &format!("WATCH /open|{token}|"));
        assert_eq!(heard, format!("OK|; ev /open,{token}"));
        let heard = host.ask(0, 0, &format!("WATCH /open|{token}|"));
        assert_eq!(heard, format!("OK|; ev /open,{token}"));
    }
    let mut written = 0;
    for _ in 0..300 {
        if host.client(3).unread() == 0 {
            host.send(3, 0, &format!("WRITE /open/{written}|"));
            host.poll();
            host.client(3).read();
            written += 1;
        }
    }
    let before: Vec<_> = (0..4).map(|domid| host.server.usage(DomId(domid))).collect();
    assert_eq!(before[3].map(|usage| usage.outstanding), Some(20), "{written} requests");
    host.update(2);
    let after: Vec<_> = (0..4).map(|domid| host.server.usage(DomId(domid))).collect();
    assert_eq!(before, after);
    host.poll();
    assert!(host.client(3).unread() > 0, "it is not read while others do not read");
    for domid in [0, 1] {
        let heard = host.received(domid);
        for n in 0..written - 1 {
            let events: Vec<String> = (0..5).map(|token| format!("ev /open/{n},{token}")).collect();
            assert!(heard.contains(&events.join("; ")), "domain {domid} hears of write {n}");
        }
    }
    host.poll();
    assert_eq!(host.server.usage(DomId(3)).map(|usage| usage.outstanding), Some(0));
    host.check();
}

#[test]
fn an_unread_event_waits_no_longer_than_it_may() {
    let mut host = full_host();
    for n in 0..40 {
        host.ok(0, 0, &format!("WRITE /local/domain/1/data/{n}|"));
    }
    host.xen.pass(15);
    host.poll();
    host.update(2);
    host.xen.pass(4);
    host.poll();
    assert!(host.server.in_use().messages > 0);
    host.xen.pass(1);
    host.poll();
    host.poll();
    assert!(host.server.in_use().messages <= 1, "all but what has begun is given up");
    host.check();
}

/// A change that is told later, in the middle of being told.
#[test]
fn what_is_told_later_is_told() {
    for steps in [0, 1, 3, 20] {
        let mut host = Host::new();
        host.expect(&[(0, 0, "WRITE /shared|", "OK|"), (0, 0, "SET_PERMS /shared|r0|", "OK|")]);
        for domid in 1..=3 {
            host.boot(domid);
            host.expect(&[(domid, 0, "WATCH /shared|t|", "OK|; ev /shared,t")]);
        }
        let tx = host.start(0);
        for n in 0..300 {
            host.ok(0, tx, &format!("WRITE /shared/{n}|"));
        }
        host.ok(0, tx, "TRANSACTION_END T|");
        host.send(2, 0, "WATCH /shared|new|");
        host.poll();
        host.ok(0, 0, "WRITE /shared|after");
        let mut heard = String::new();
        for _ in 0..steps {
            for message in host.client(1).read_some(200) {
                heard += &format!("{message}; ");
            }
            host.xen.kick(DomId(1));
            host.poll();
        }
        host.update(2);
        host.update(1);
        host.poll();
        let all: Vec<String> = (0..300).map(|n| format!("ev /shared/{n},t")).collect();
        let all = all.join("; ");
        assert_eq!(heard + &host.received(1), format!("{all}; ev /shared,t"));
        host.hears(2, &format!("{all}; OK|; ev /shared,new; ev /shared,t"));
        host.hears(3, &format!("{all}; ev /shared,t"));
        host.poll();
        host.check();
        let left = host.server.in_use();
        assert_eq!((left.transactions, left.tx_nodes, left.messages), (0, 0, 0));
    }
}

#[test]
fn a_ring_that_is_ignored_stays_so() {
    let mut host = full_host();
    host.client(1).set_indexes([0, 5000, 0, 0]);
    host.xen.kick(DomId(1));
    host.poll();
    host.update(2);
    host.client(1).set_indexes([0, 0, 0, 0]);
    host.send(1, 0, "READ data/a|");
    host.poll();
    host.hears(1, "");
    host.expect(&[(0, 0, "IS_DOMAIN_INTRODUCED 1|", "T|"), (0, 0, "READ /local/domain/1/data/a|", "1")]);
}

/// Domains that die or shut down while nobody looks.
#[test]
fn deaths_meanwhile_are_told() {
    let mut host = full_host();
    host.expect(&[(0, 0, "WATCH @releaseDomain|each|1|", "OK|; ev @releaseDomain,each")]);
    host.xen.kill_silently(DomId(1));
    let state = host.save(2);
    host.xen.kill_silently(DomId(2));
    host.restore(&state).expect("it is whole");
    host.server.resume(&mut host.xen);
    host.poll();
    host.hears(
        0,
        "ev @releaseDomain,gone; ev @releaseDomain/1,each; ev @releaseDomain,gone; ev @releaseDomain/2,each",
    );
    host.expect(&[(0, 0, "READ /local/domain/1/data/a|", "ENOENT")]);
}

/// What is told of a shutdown waits between two events for somebody who is to read first. The other server tells the rest.
#[test]
fn a_shutdown_that_is_told_in_part_is_told_to_the_end() {
    for updated in [false, true] {
        let mut host = Host::new();
        let mut short = 2..90;
        (1..90).for_each(|domid| host.boot(domid));
        host.expect(&[
            (1, 0, "WATCH @releaseDomain|each|1|", "OK|; ev @releaseDomain,each"),
            (0, 0, "WATCH @releaseDomain|gone|", "OK|; ev @releaseDomain,gone"),
        ]);
        let in_part = short.find(|domid| {
            host.xen.shut_down(DomId(*domid));
            host.poll();
            host.received(0).is_empty()
        });
        assert!(in_part.is_some(), "there is room to tell of all");
        if updated {
            host.update(2);
        }
        host.poll();
        host.xen.now.0 += 50_000_000;
        host.poll();
        assert_eq!(host.received(0), "ev @releaseDomain,gone", "updated: {updated}");
        host.check();
    }
}

/// An update wakes nobody up who has nothing to hear. After a fault that wants a repair anybody may have been left out.
#[test]
fn only_a_repair_notifies_everybody() {
    let mut host = Host::new();
    for domid in 1..4 {
        host.boot(domid);
    }
    host.poll();
    host.xen.notified.clear();
    host.update(2);
    host.poll();
    assert!(host.xen.notified.is_empty(), "{:?}", host.xen.notified);
    host.send(2, 0, "READ /tool|");
    host.update(2);
    host.poll();
    assert_eq!(host.xen.notified.keys().copied().collect::<Vec<_>>(), [2]);
    host.repair();
    assert_eq!(host.xen.notified.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

/// A client goes on reading a list in parts, but not one that has changed.
#[test]
fn a_list_is_read_on() {
    let mut host = full_host();
    for n in 1000..1700 {
        host.ok(0, 0, &format!("WRITE /shared/node-{n}|"));
    }
    let part = |host: &mut Host, offset: usize| -> (String, String) {
        let answer = host.ask(3, 0, &format!("DIRECTORY_PART /shared|{offset}|"));
        let (generation, names) = answer.split_once('|').expect("a generation");
        (generation.to_string(), names.to_string())
    };
    let (generation, first) = part(&mut host, 0);
    host.update(2);
    let (same, second) = part(&mut host, first.len());
    assert_eq!(generation, same);
    host.ok(0, 0, "RM /shared/node-1000|");
    let (other, _) = part(&mut host, first.len());
    assert_ne!(generation, other);
    let names = (1000..1700).map(|n| format!("node-{n}|")).collect::<String>();
    assert_eq!(first + &second, format!("long|{names}|"));
}

/// An open transaction is lost, and its number is nobody's.
#[test]
fn an_open_transaction_is_not_known_any_more() {
    let mut host = full_host();
    let tx = host.start(1);
    host.expect(&[(1, tx, "WRITE data/a|2", "OK|")]);
    host.update(2);
    host.expect(&[
        (1, tx, "READ data/a|", "ENOENT"),
        (1, tx, "TRANSACTION_END T|", "ENOENT"),
        (1, 0, "READ data/a|", "1"),
    ]);
    assert_ne!(host.start(1), tx);
}
