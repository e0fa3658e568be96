//! Requests whose events got lost: they are served all the same, and told of. Where all events come, none is.

use std::sync::atomic::Ordering::SeqCst;

use crate::json::stats;
use support::{Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::platform::{Event, EventChannels};
use xenstore::trace::Kind;
use xenstore::wire::{MessageType, TxId};

const SECOND: u64 = 1_000_000_000;

/// The server sleeps for so long: until an event comes, or until it wants to be woken.
fn sleep(host: &mut Host, nanoseconds: u64) {
    let end = host.xen.now.after_nanoseconds(nanoseconds);
    while let Some(deadline) = host.server.poll(&mut host.xen)
        && deadline <= end
    {
        assert!(deadline > host.xen.now, "it sleeps without a pause");
        host.xen.now = deadline;
    }
    host.xen.now = end;
}

/// A guest asks, and its event gets lost.
fn whisper(host: &mut Host, domid: u16, path: &str) {
    let payload = [path.as_bytes(), b"\0"].concat();
    host.client(domid).write(&request(MessageType::Read as u32, 7, TxId(0), &payload));
}

/// What is told of missed events: in all, by domain, and in the trace.
fn missed(host: &mut Host, domid: u16) -> [u64; 3] {
    let [all, of_domain] = ["totals", &domid.to_string()]
        .map(|subject| stats(host, subject)["missed-events"].as_u64().expect("a number"));
    let is_of = |domid| move |record: &xenstore::trace::Record| record.domid == domid;
    let told = host.server.trace().from(0).filter(|record| record.kind == Kind::Missed);
    [all, of_domain, told.filter(is_of(DomId(domid))).count() as u64]
}

fn host() -> Host {
    let mut host = Host::with(Settings::DEFAULT, &Capacities { trace: 4096, ..Capacities::for_nodes(8192) });
    for domid in 1..4 {
        host.boot(domid);
        host.ok(domid, 0, "WRITE data|value");
    }
    host
}

#[test]
fn a_request_whose_event_got_lost_is_served_at_the_next_second_and_told_of() {
    let mut host = host();
    for n in 1..4 {
        sleep(&mut host, SECOND / 2);
        whisper(&mut host, 2, "data");
        sleep(&mut host, SECOND + SECOND / 4);
        host.hears(2, "value");
        assert_eq!(missed(&mut host, 2), [n, n, n]);
        assert_eq!(missed(&mut host, 1), [n, 0, 0]);
    }
    let text = host.ask(0, 0, "CONTROL stats|");
    assert!(text.contains("missed-events    :        3\\n"), "{text}");
    let page = stats(&mut host, "domains");
    let column = page["columns"].as_array().expect("names").iter().position(|name| name == "missed");
    assert_eq!(page["domains"][2][column.expect("a column")], 3);
    let told = host.server.trace().from(0).filter(|record| record.kind == Kind::Missed);
    assert_eq!(told.map(|record| record.to_string()).collect::<Vec<_>>(), ["d2 missed-event"; 3]);
    // Its successor begins at zero.
    host.kill(2);
    host.boot(2);
    assert_eq!(missed(&mut host, 2)[..2], [3, 0]);
    host.check();
}

/// Who writes a request may be kept from running before it can tell.
#[test]
fn an_event_that_comes_late_is_not_missed() {
    let mut host = host();
    for late in [1, SECOND / 10, SECOND / 4 - 1, SECOND / 4] {
        sleep(&mut host, SECOND);
        // As a look is due.
        let deadline = host.server.poll(&mut host.xen).expect("they were active lately");
        whisper(&mut host, 1, "data");
        host.xen.now = deadline;
        host.poll();
        assert_eq!(host.client(1).waiting(), 0, "served before its event came");
        host.xen.now = deadline.after_nanoseconds(late);
        host.xen.kick(DomId(1));
        host.poll();
        host.hears(1, "value");
    }
    assert_eq!(missed(&mut host, 1), [0, 0, 0]);
}

#[test]
fn nothing_is_missed_in_ordinary_life() {
    let mut host = host();
    let mut random = fastrand::Rng::with_seed(1);
    // One that leaves its answers unread until the server reads no more of it, and then reads them.
    let taken = |host: &mut Host| {
        host.client(3).page.req_prod.load(SeqCst) == host.client(3).page.req_cons.load(SeqCst)
    };
    while taken(&mut host) {
        host.send(3, 0, "READ data|");
        host.poll();
    }
    for n in 0..500_u64 {
        let domid = random.u16(0..3);
        let path = if domid == 0 { "/local/domain/1/data" } else { "data" };
        assert_eq!(host.ask(domid, 0, &format!("READ {path}|")), "value");
        sleep(&mut host, random.u64(0..SECOND));
        if n == 250 {
            assert!(!taken(&mut host));
            host.received(3);
            assert!(taken(&mut host));
        }
    }
    for domid in 0..4 {
        assert_eq!(missed(&mut host, domid), [0, 0, 0]);
    }
}

#[test]
fn who_does_not_listen_has_nothing_missed() {
    let mut host = host();
    // A broken ring, and a domain that is gone.
    host.client(1).set_indexes([0, 5000, 0, 0]);
    host.xen.kick(DomId(1));
    host.poll();
    whisper(&mut host, 2, "data");
    host.kill(2);
    sleep(&mut host, 5 * SECOND);
    assert_eq!(missed(&mut host, 1), [0, 0, 0]);
    assert_eq!(missed(&mut host, 0), [0, 0, 0]);
    host.check();
}

/// What is done in goes lies in its ring until it is answered.
#[test]
fn a_request_that_is_gone_on_with_is_not_missed() {
    let mut host = host();
    host.send(0, 0, "CONTROL check|");
    for domid in 1..4 {
        (0..30).for_each(|_| host.send(domid, 0, "READ data|"));
    }
    host.xen.ticking = SECOND / 3;
    host.poll();
    host.xen.ticking = 0;
    host.hears(0, "OK|");
    assert_eq!(missed(&mut host, 0), [0, 0, 0]);
    host.check();
}

#[test]
fn a_store_with_nothing_to_do_sleeps_after_a_minute() {
    let mut host = host();
    for _ in 0..2 {
        host.ok(1, 0, "WRITE data|value");
        let mut deadline = host.server.poll(&mut host.xen);
        let (begin, seen) = (host.xen.now, host.server.trace().end());
        let mut wake_ups = 0;
        while let Some(now) = deadline {
            host.xen.now = now;
            wake_ups += 1;
            deadline = host.server.poll(&mut host.xen);
        }
        let seconds = (host.xen.now.0 - begin.0) / SECOND;
        assert!((58..=62).contains(&seconds) && wake_ups <= 62, "{wake_ups} in {seconds} s");
        assert_eq!(host.server.trace().end(), seen, "wake-ups for nothing are not recorded");
        host.xen.pass(3600);
    }
    // Whoever is woken after such a sleep is looked at again.
    host.ok(1, 0, "WRITE data|value");
    whisper(&mut host, 1, "data");
    sleep(&mut host, 2 * SECOND);
    host.hears(1, "value");
    assert_eq!(missed(&mut host, 1), [1, 1, 1]);
    assert_eq!(host.xen.take_pending(), None::<Event>);
}
