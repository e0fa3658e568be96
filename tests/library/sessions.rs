//! Sessions that end, and requests of dom0 about domains, amid what others change, and what they leave for later turns.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

use support::{Client, Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::trace::Kind;
use xenstore::wire::TxId;

/// A guest that looks meanwhile.
const BYSTANDER: u16 = 200;

/// Nodes of a change that takes several slices.
const NODES: usize = 600;

/// Operations on slots between two looks at others, at most.
#[cfg(debug_assertions)]
const MOST: u64 = 35_000;

fn host(guests: u16) -> Host {
    let capacities = Capacities { trace: 16_384, ..Capacities::for_nodes(60_000) };
    let mut host = Host::with(Settings::DEFAULT, &capacities);
    host.limit(super::LIMITS);
    host.expect(&[(0, 0, "WRITE /shared|", "OK|"), (0, 0, "SET_PERMS /shared|r0|", "OK|")]);
    (1..=guests).chain([BYSTANDER]).for_each(|domid| host.boot(domid));
    host.ok(BYSTANDER, 0, "WRITE own|mine");
    host
}

fn write(host: &mut Host, domid: u16, nodes: usize) {
    for n in 0..nodes {
        host.ok(domid, 0, &format!("WRITE data/{}/{n}|there", n % 8));
    }
}

/// The ends of requests and the notifications since a record of the trace, by domain.
fn recorded(host: &Host, since: u64) -> Vec<(Kind, u16)> {
    host.server.trace().from(since).map(|record| (record.kind, record.domid.0)).collect()
}

fn place(records: &[(Kind, u16)], kind: Kind, domid: u16) -> usize {
    records.iter().position(|record| *record == (kind, domid)).unwrap_or(usize::MAX)
}

/// Sends the bystander's request after the others', and says who is answered first. The others wait for no more than a slice.
#[track_caller]
fn is_served_before(host: &mut Host, other: (Kind, u16)) {
    let since = host.server.trace().end();
    host.send(BYSTANDER, 0, "READ own|");
    let most = host.most_operations();
    #[cfg(debug_assertions)]
    assert!(most < MOST, "{most} operations in one go");
    #[cfg(not(debug_assertions))]
    assert_eq!(most, 0, "nothing is counted");
    let records = recorded(host, since);
    assert!(place(&records, Kind::Ended, BYSTANDER) < place(&records, other.0, other.1), "{records:?}");
    host.hears(BYSTANDER, "mine");
    host.check();
}

#[test]
fn who_resets_its_ring_amid_a_change_waits_for_it() {
    let mut host = host(2);
    write(&mut host, 1, NODES);
    host.ask(2, 0, "WATCH own|w|");
    host.send(1, 0, "RM data|");
    host.client(2).page.connection.store(1, SeqCst);
    host.send(2, 0, "READ own|");
    is_served_before(&mut host, (Kind::Ended, 1));
    host.hears(1, "OK|");
    assert_eq!((host.client(2).page.connection.load(SeqCst), host.client(2).indexes()), (0, [0; 4]));
    host.expect(&[(2, 0, "WATCH own|w|", "OK|; ev own,w")]);
}

#[test]
fn who_breaks_its_ring_amid_a_change_waits_for_it() {
    for indexes in [[0, 4096, 0, 0], [0, 0, 4096, 0]] {
        let mut host = host(2);
        write(&mut host, 1, NODES);
        host.send(1, 0, "RM data|");
        host.client(2).set_indexes(indexes);
        host.xen.kick(DomId(2));
        is_served_before(&mut host, (Kind::Ended, 1));
        host.hears(1, "OK|");
        let given_up = host.server.trace().from(0).filter(|record| record.kind == Kind::RingError).count();
        assert_eq!(given_up, usize::from(indexes[1] > 0), "{indexes:?}");
    }
}

#[test]
fn others_are_served_before_a_large_domain_is_released() {
    let mut host = host(1);
    write(&mut host, 1, NODES);
    for n in 0..100 {
        host.ask(1, 0, &format!("WATCH data|{n}|"));
    }
    host.ask(0, 0, "WATCH @releaseDomain|gone|");
    host.send(0, 0, "RELEASE 1|");
    is_served_before(&mut host, (Kind::Ended, 0));
    host.hears(0, "ev @releaseDomain,gone; OK|");
    host.expect(&[(0, 0, "READ /local/domain/1|", "ENOENT"), (0, 0, "RELEASE 1|", "ENOENT")]);
}

#[test]
fn others_are_served_before_a_domain_takes_anothers_place() {
    let mut host = host(1);
    write(&mut host, 1, NODES);
    host.create(1);
    host.send(0, 0, "INTRODUCE 1|1|5|");
    is_served_before(&mut host, (Kind::Ended, 0));
    host.hears(0, "OK|");
    host.expect(&[(0, 0, "READ /local/domain/1|", "ENOENT"), (1, 0, "READ data|", "EACCES")]);
}

/// dom0 may have any number of watches.
#[test]
fn others_are_served_before_all_watches_are_dropped() {
    let mut host = host(0);
    for n in 0..2000 {
        host.ask(0, 0, &format!("WATCH /tool/{n}|{n}|"));
    }
    host.send(0, 0, "RESET_WATCHES |");
    is_served_before(&mut host, (Kind::Ended, 0));
    host.hears(0, "OK|");
    assert_eq!(host.server.in_use().watches, 0);
}

/// A guest has not read thousands of events, and then wants to begin anew, or does what has it given up.
#[test]
fn others_are_served_before_all_is_dropped_that_was_not_read() {
    let ends: [fn(&mut Host); 3] = [
        |host| host.client(1).page.connection.store(1, SeqCst),
        |host| host.client(1).set_indexes([0, 4096, 0, 0]),
        |host| host.xen.kill(DomId(1)),
    ];
    for (n, end) in ends.into_iter().enumerate() {
        let mut host = host(1);
        host.ask(1, 0, "WATCH /shared|w|");
        for n in 0..1500 {
            host.ok(0, 0, &format!("WRITE /shared/{}/{n}|", n % 50));
        }
        let waiting = host.server.in_use().messages;
        assert!(waiting > 1400, "{waiting} messages wait");
        end(&mut host);
        host.xen.kick(DomId(1));
        let since = host.server.trace().end();
        host.send(BYSTANDER, 0, "READ own|");
        let mut most = host.most_operations();
        // News of a death waits for those who read.
        host.xen.pass(1);
        most = most.max(host.most_operations());
        assert!(most < 3000, "{n}: {most} operations in one go");
        assert!(recorded(&host, since).contains(&(Kind::Ended, BYSTANDER)));
        assert_eq!(host.server.in_use().messages, 0, "{n}");
        host.check();
    }
}

/// dom0's first request is answered amid a change, its second waits for that.
#[test]
fn an_answer_is_told_of_before_what_follows_waits() {
    let (mut amid, mut told) = (0, 0);
    for begin in 1.. {
        let mut host = host(1);
        write(&mut host, 1, 970);
        let mut dom0 = Client::new(host.client(0).page.clone());
        host.send(1, 0, "RM data|");
        let mut looks = 0;
        host.xen.script = Some(Box::new(move || {
            looks += 1;
            if looks == begin {
                dom0.write(&request(2, 0, TxId(0), b"/tool\0"));
                dom0.write(&request(11, 0, TxId(0), b"/tool/x\0"));
            }
            1000
        }));
        host.xen.alarms.push((host.xen.now.after_nanoseconds(begin * 1000), DomId(0)));
        let since = host.server.trace().end();
        host.poll();
        if host.client(0).waiting() == 0 {
            // The change was made before.
            break;
        }
        let records = recorded(&host, since);
        let done = place(&records, Kind::Ended, 1);
        let answered = records.iter().take(done).filter(|record| **record == (Kind::Ended, 0)).count();
        host.hears(0, "; OK|");
        host.hears(1, "OK|");
        if answered == 1 {
            amid += 1;
            told += usize::from(place(&records, Kind::Notified, 0) < done);
        }
    }
    // Before the last slice it may not be known yet that what follows waits.
    assert!(amid >= 4 && 2 * told > amid, "{told} of {amid} times");
}

/// A guest whose next request waits for a change goes on reading what it is sent.
#[test]
fn whose_request_waits_hears_on() {
    let mut host = host(1);
    write(&mut host, 1, 970);
    host.ask(BYSTANDER, 0, "WATCH /shared|w|");
    for n in 0..200 {
        host.ok(0, 0, &format!("WRITE /shared/{n}|"));
    }
    host.send(1, 0, "RM data|");
    host.send(BYSTANDER, 0, "WRITE own|x");
    let mut reader = Client::new(host.client(BYSTANDER).page.clone());
    let changer = host.client(1).page.clone();
    let before = changer.rsp_prod.load(SeqCst);
    let heard = Rc::new(Cell::new(0));
    let (seen, mut looks) = (heard.clone(), 0);
    host.xen.script = Some(Box::new(move || {
        looks += 1;
        if looks % 6 == 0 && changer.rsp_prod.load(SeqCst) == before {
            seen.set(seen.get() + reader.read().len());
        }
        1000
    }));
    for n in 1..200 {
        host.xen.alarms.push((host.xen.now.after_nanoseconds(n * 1000), DomId(BYSTANDER)));
    }
    host.poll();
    assert!(heard.get() > 90, "{} events are heard before the change is made", heard.get());
}
