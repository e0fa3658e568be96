//! Large requests are done in slices, between which others are served who only look. Nobody sees half of anything, all hear of
//! things in their order, and nobody waits for long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;

use support::{Client, Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::trace::Kind;
use xenstore::wire::TxId;

use crate::stops::expect_stops;

/// A guest that looks while guest 1 changes much.
const BYSTANDER: u16 = 200;

/// Nodes of a change that takes several slices.
const NODES: usize = 600;

pub fn host(guests: u16) -> Host {
    host_for(60_000, guests)
}

fn host_for(nodes: usize, guests: u16) -> Host {
    // A guest can have long paths for all nodes of its transaction.
    let capacities = Capacities { trace: 16_384, chunks: 2 * nodes, ..Capacities::for_nodes(nodes) };
    let mut host = Host::with(Settings::DEFAULT, &capacities);
    host.limit(super::LIMITS);
    for domid in (1..=guests).chain([BYSTANDER]) {
        host.boot(domid);
        host.ok(domid, 0, "WRITE data|");
        host.ok(domid, 0, &format!("SET_PERMS data|r{domid}|"));
    }
    host.ok(BYSTANDER, 0, "WRITE own|mine");
    host
}

/// A guest writes so many nodes, in eight folders, since one has no room for as many names.
fn write(host: &mut Host, domid: u16, tx: u32, nodes: usize) {
    for n in 0..nodes {
        let heard = host.ask(domid, tx, &format!("WRITE data/{}/{n}|there", n % 8));
        assert!(heard.ends_with("OK|"), "{heard}");
    }
}

/// A request of guest 1, and what has to be there before it. The result is its transaction.
type Case = (&'static str, fn(&mut Host) -> u32);

fn deep(levels: usize) -> String {
    format!("MKDIR data{}|", "/x".repeat(levels))
}

pub const CASES: &[Case] = &[
    ("TRANSACTION_END T|", |host| {
        let tx = host.start(1);
        write(host, 1, tx, NODES);
        tx
    }),
    ("TRANSACTION_END T|", |host| {
        write(host, 1, 0, NODES);
        let tx = host.start(1);
        host.ok(1, tx, "RM data|");
        tx
    }),
    ("RM data|", |host| {
        write(host, 1, 0, NODES);
        0
    }),
    ("RM data|", |host| {
        write(host, 1, 0, NODES);
        host.start(1)
    }),
    ("RM data|", |host| {
        host.ok(1, 0, &deep(900));
        host.start(1)
    }),
    ("TRANSACTION_END T|", |host| {
        host.ok(1, 0, &deep(900));
        let tx = host.start(1);
        host.ok(1, tx, "RM data|");
        host.ok(1, tx, &deep(900));
        tx
    }),
    // Each name takes a chunk of its own, and stands at the end of a path of many.
    ("TRANSACTION_END T|", |host| {
        let tx = host.start(1);
        let folder = ["y"; 3].map(|y| y.repeat(600)).join("/");
        for n in 0..NODES {
            host.ok(1, tx, &format!("WRITE data/{folder}/{}/event-channel-{n}|", n % 16));
        }
        tx
    }),
];

/// What has been recorded since, by kind and domain.
fn recorded(host: &Host, since: u64) -> Vec<(Kind, u16)> {
    host.server.trace().from(since).map(|record| (record.kind, record.domid.0)).collect()
}

fn count(host: &Host) -> u64 {
    host.server.trace().end()
}

/// Guest 1's large request is sent first, then the bystander asks for what has nothing to do with it.
#[test]
fn others_are_served_before_a_large_change_is_done() {
    for (n, (request, prepare)) in CASES.iter().enumerate() {
        let mut host = host(1);
        let tx = prepare(&mut host);
        let since = count(&host);
        host.send(1, tx, request);
        host.send(BYSTANDER, 0, "READ own|");
        host.poll();
        let records = recorded(&host, since);
        let place =
            |of| records.iter().position(|record| *record == (Kind::Ended, of)).expect("it was served");
        assert!(place(BYSTANDER) < place(1), "{n}: {request}");
        host.hears(BYSTANDER, "mine");
        host.hears(1, "OK|");
        host.check();
    }
}

/// Operations on slots between two looks at others, at most: they stand for some 25 instructions each.
#[test]
fn no_large_change_keeps_others_waiting() {
    const MOST: u64 = 35_000;
    for (n, (request, prepare)) in CASES.iter().enumerate() {
        let mut host = host(1);
        let tx = prepare(&mut host);
        for token in 0..120 {
            host.ask(1, 0, &format!("WATCH data|{token}|"));
        }
        host.send(1, tx, request);
        let most = host.most_operations();
        assert!(most < MOST, "{n}: {request}: {most} operations in one go");
        assert!(host.received(1).contains("OK|"), "{n}: {request}");
        host.check();
    }
}

/// The bystander asks for the first and the last node of what changes, for one that stays and one that is not there, again and
/// again.
#[test]
fn nobody_sees_half_of_a_large_change() {
    for (n, (request, prepare)) in CASES.iter().enumerate().take(3) {
        let mut host = host(1);
        let tx = prepare(&mut host);
        let before = [0, NODES - 1]
            .map(|n| host.ask(BYSTANDER, 0, &format!("READ /local/domain/1/data/{}/{n}|", n % 8)));
        host.send(1, tx, request);
        // As many as fit its ring.
        for _ in 0..6 {
            for n in [0, NODES - 1] {
                host.send(BYSTANDER, 0, &format!("READ /local/domain/1/data/{}/{n}|", n % 8));
            }
            host.send(BYSTANDER, 0, "READ own|");
        }
        host.poll();
        let heard = host.received(BYSTANDER);
        let seen: Vec<&str> = heard.split("; ").collect();
        host.hears(1, "OK|");
        let after = [0, NODES - 1]
            .map(|n| host.ask(BYSTANDER, 0, &format!("READ /local/domain/1/data/{}/{n}|", n % 8)));
        assert_ne!(before, after, "{n}: {request}");
        // One look follows another.
        let looks: Vec<&str> = seen.chunks(3).flat_map(|seen| [seen[0], seen[1]]).collect();
        let gone = looks.iter().position(|look| *look == after[0]).unwrap_or(looks.len());
        assert!(looks[..gone].iter().all(|look| *look == before[0]), "{n}: {looks:?}");
        assert!(looks[gone..].iter().all(|look| *look == after[0]), "{n}: {looks:?}");
        assert!(seen.iter().skip(2).step_by(3).all(|look| *look == "mine"), "{n}: {seen:?}");
        host.check();
    }
}

/// A hundred guests that change much, each again and again, and one that changes one value: it waits for one change of each
/// of them at most.
#[test]
fn a_change_waits_for_one_of_each_other_guest_at_most() {
    const GUESTS: u16 = 100;
    /// In each of two trees.
    const NODES: usize = 230;
    let mut host = host_for(250_000, GUESTS);
    for domid in 1..=GUESTS {
        for n in 0..2 * NODES {
            host.ok(domid, 0, &format!("WRITE data/{}/{}/{n}|", n % 2, n % 16));
        }
    }
    let since = count(&host);
    for tree in 0..2 {
        (1..=GUESTS).for_each(|domid| host.send(domid, 0, &format!("RM data/{tree}|")));
    }
    host.send(BYSTANDER, 0, "WRITE own|new");
    host.poll();
    let records = recorded(&host, since);
    let served =
        records.iter().position(|record| *record == (Kind::Ended, BYSTANDER)).expect("it was served");
    let before = &records[..served];
    for domid in 1..=GUESTS {
        let done = before.iter().filter(|record| **record == (Kind::Ended, domid)).count();
        assert!(done <= 1, "guest {domid} has had {done} changes");
    }
    host.hears(BYSTANDER, "OK|");
    (1..=GUESTS).for_each(|domid| host.hears(domid, "OK|; OK|"));
    host.check();
}

/// What others do meanwhile is not the request's time, and it begins once.
#[test]
fn a_request_that_is_set_aside_has_its_own_time() {
    for (n, (request, prepare)) in CASES.iter().enumerate() {
        let mut host = host(1);
        let tx = prepare(&mut host);
        let since = count(&host);
        host.send(1, tx, request);
        (0..20).for_each(|_| host.send(BYSTANDER, 0, "READ own|"));
        // Each look of the bystander takes a second.
        let looker = host.client(BYSTANDER).page.clone();
        let mut taken = 0;
        host.xen.script = Some(Box::new(move || {
            let now = looker.req_cons.load(SeqCst);
            let passed = u64::from(std::mem::replace(&mut taken, now) != now) * 1_000_000_000;
            passed + 1000
        }));
        host.poll();
        let of = |kind| host.server.trace().from(since).filter(move |r| r.kind == kind && r.domid.0 == 1);
        assert_eq!(of(Kind::Begun).count(), 1, "{n}: {request}");
        let ended = of(Kind::Ended).next().expect("it is answered");
        assert!((1000..1_000_000).contains(&ended.amount), "{n}: {request} takes {} ns", ended.amount);
    }
}

/// It has copies taken in several turns.
#[test]
fn a_request_that_is_decided_in_several_turns_begins_once() {
    let mut host = host(1);
    let tx = host.start(1);
    let since = count(&host);
    host.xen.ticking = 1000;
    host.send(1, tx, &format!("READ data{}|", "/x".repeat(900)));
    host.send(1, 0, "READ data|");
    host.poll();
    let of = |kind| host.server.trace().from(since).filter(move |record| record.kind == kind);
    assert_eq!((of(Kind::Begun).count(), of(Kind::Ended).count()), (2, 2));
    host.hears(1, "ENOENT; ");
}

/// Stopped anywhere, it has happened or it has not; whoever looks meanwhile is answered once.
#[test]
fn stopped_between_slices() {
    expect_stops();
    let (request, prepare) = CASES[0];
    let mut stops = 0;
    for n in (1..).step_by(401) {
        let mut host = host(1);
        let tx = prepare(&mut host);
        host.ask(BYSTANDER, 0, "WATCH /local/domain/1/data/7|w|");
        host.send(1, tx, request);
        host.send(BYSTANDER, 0, "READ own|");
        host.server.stop_in(n);
        let stopped = catch_unwind(AssertUnwindSafe(|| host.poll())).is_err();
        host.server.stop_in(0);
        if !stopped {
            break;
        }
        stops += 1;
        host.server.recover(&mut host.xen);
        host.poll();
        let happened = match host.received(1).as_str() {
            "OK|" => true,
            "EIO" => false,
            other => panic!("stopped in operation {n}: {other}"),
        };
        let heard = host.received(BYSTANDER);
        let events = heard.matches("ev ").count();
        let in_it = (0..NODES).filter(|n| n % 8 == 7).count();
        assert_eq!(events, if happened { in_it } else { 0 }, "operation {n}");
        let looked = heard.split("; ").filter(|told| *told == "mine" || *told == "EIO").count();
        assert_eq!(looked, 1, "operation {n}: {heard}");
        let there = host.ask(BYSTANDER, 0, "READ /local/domain/1/data/0/0|");
        assert_eq!(there, if happened { "there" } else { "ENOENT" }, "operation {n}");
        host.check();
    }
    // Without debug assertions nothing stops.
    assert!(stops > 10, "{stops} stops");
}

/// A guest writes something else where its request lies that is set aside, and tells of it. That is not looked at before the
/// request is answered.
#[test]
fn what_is_set_aside_is_looked_at_once() {
    let look = request(2, 7, TxId(0), b"/tool\0");
    // Another request, the beginning of one, and no request at all.
    let others = [&look[..], &request(2, 7, TxId(0), &[b'x'; 90])[..40], &[255; 40]];
    let mut amid = 0;
    for (other, begin) in others.into_iter().flat_map(|other| (1..30).map(move |begin| (other, begin))) {
        let mut host = host(1);
        write(&mut host, 1, 0, NODES);
        let since = count(&host);
        host.send(1, 0, "RM data|");
        let mut changer = Client::new(host.client(1).page.clone());
        let (mut looks, other) = (0, other.to_vec());
        host.xen.on_look = Some(Box::new(move || {
            looks += 1;
            if looks == begin && changer.waiting() == 0 {
                let page = &changer.page;
                page.req_prod.store(page.req_cons.load(SeqCst), SeqCst);
                changer.write(&other);
            }
        }));
        host.xen.ticking = 10;
        (1..300).for_each(|n| host.xen.alarms.push((host.xen.now.after_nanoseconds(n * 10), DomId(1))));
        host.poll();
        host.xen.on_look = None;
        let trace = host.server.trace().from(since).filter(|record| record.domid.0 == 1);
        let told: Vec<(Kind, u8)> = trace
            .filter(|record| [Kind::Begun, Kind::Ended, Kind::RingError].contains(&record.kind))
            .map(|record| (record.kind, record.msg_type))
            .collect();
        if told.first() == Some(&(Kind::Begun, 13)) {
            amid += 1;
            assert_eq!(told.get(1), Some(&(Kind::Ended, 13)), "{begin}: {told:?}");
        }
        host.check();
    }
    assert!(amid > 60, "{amid} times");
}

#[test]
fn who_never_stops_looking_keeps_no_change_from_being_made() {
    // The looks begin at each moment of the change in turn.
    for begin in 1..60 {
        let mut host = host(2);
        write(&mut host, 1, 0, NODES);
        let mut looker = Client::new(host.client(BYSTANDER).page.clone());
        let from = host.server.trace().end();
        host.send(1, 0, "RM data|");
        host.send(2, 0, "WRITE data|x");
        let (mut looks, mut left) = (0, 200);
        host.xen.script = Some(Box::new(move || {
            looks += 1;
            looker.read();
            if looks >= begin && left > 0 && looker.unread() < 100 {
                left -= 1;
                for _ in 0..20 {
                    looker.write(&request(2, 0, TxId(0), b"own\0"));
                }
            }
            1000
        }));
        host.xen.alarms.push((host.xen.now.after_nanoseconds(begin * 1000), DomId(BYSTANDER)));
        host.poll();
        let served: Vec<u16> = host
            .server
            .trace()
            .from(from)
            .filter(|record| record.kind == Kind::Begun)
            .map(|record| record.domid.0)
            .collect();
        let before = served.iter().take_while(|who| **who != 2);
        let looked = before.filter(|who| **who == BYSTANDER).count();
        assert!(looked < 1000 && served.contains(&2), "{begin}: {looked} looks came before a change");
    }
}

/// A guest looks alone, and asks and tells of that anew before each of its turns is over. Neither a change, nor who waits for
/// it, nor a notification waits for that.
#[test]
fn who_looks_again_before_its_turn_is_over_keeps_nothing_from_going_on() {
    let mut host = host(2);
    write(&mut host, 1, 0, NODES);
    let mut looker = Client::new(host.client(BYSTANDER).page.clone());
    let from = host.server.trace().end();
    let mut left = 2000;
    host.xen.on_look = Some(Box::new(move || {
        looker.read();
        if looker.unread() == 0 && left > 0 {
            left -= 1;
            looker.write(&request(2, 0, TxId(0), b"own\0"));
        }
    }));
    host.xen.ticking = 10;
    (0..16_000)
        .for_each(|n| host.xen.alarms.push((host.xen.now.after_nanoseconds(n * 10), DomId(BYSTANDER))));
    host.send(1, 0, "RM data|");
    host.send(2, 0, "WRITE data|x");
    host.send(0, 0, "READ /tool|");
    host.poll();
    let records = recorded(&host, from);
    for (kind, domid) in [(Kind::Ended, 1), (Kind::Ended, 2), (Kind::Notified, 0), (Kind::Notified, 2)] {
        let done = records.iter().position(|record| *record == (kind, domid)).expect("it is done");
        let looks = records[..done].iter().filter(|record| **record == (Kind::Ended, BYSTANDER)).count();
        assert!(looks < super::LOOKS, "{looks} looks come before {kind:?} of domain {domid}");
    }
    host.check();
}

/// Sixty guests never stop looking. Who changes something meanwhile waits for the slices, but not for all of them at each.
#[test]
fn who_waits_for_a_change_does_not_wait_for_all_who_look() {
    const LOOKERS: std::ops::RangeInclusive<u16> = 2..=61;
    for (n, (large, prepare)) in CASES.iter().enumerate() {
        let mut host = host(*LOOKERS.end());
        let tx = prepare(&mut host);
        for token in 0..120 {
            host.ask(1, 0, &format!("WATCH data|{token}|"));
        }
        let since = count(&host);
        host.send(1, tx, large);
        host.send(BYSTANDER, 0, "WRITE own|new");
        for domid in LOOKERS {
            (0..40).for_each(|_| host.send(domid, 0, "READ data|"));
        }
        host.poll();
        let records = recorded(&host, since);
        let served =
            records.iter().position(|record| *record == (Kind::Ended, BYSTANDER)).expect("it was served");
        let looks =
            records[..served].iter().filter(|(kind, domid)| *kind == Kind::Ended && LOOKERS.contains(domid));
        let looks = looks.count();
        println!("{n}: {large}: {looks} looks");
        assert!(looks < super::LOOKS, "{n}: {large}: {looks} looks before it");
        host.check();
    }
}

/// Between two slices others are served, but none of them has caused it.
#[test]
fn who_has_caused_a_large_change_pays_for_all_of_it() {
    let mut host = host(2);
    write(&mut host, 1, 0, NODES);
    host.send(1, 0, "RM data|");
    // More than a turn may take, wherever the server looks at the clock.
    host.xen.ticking = 1_000_000;
    host.poll();
    host.xen.ticking = 0;
    host.hears(1, "OK|");
    for domid in [2, BYSTANDER, 1] {
        host.send(domid, 0, "READ data|");
        host.poll();
    }
    assert!(host.client(1).unread() > 0, "it is beyond its budget");
    host.hears(2, "");
    host.hears(BYSTANDER, "");
    host.xen.pass(8);
    host.poll();
    host.hears(1, "ENOENT");
    host.check();
}
