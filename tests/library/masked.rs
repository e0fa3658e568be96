//! Whose event channels are masked, and who pays for events that tell of nothing.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

use crate::json::stats;
use crate::service::{host, is_taken, milliseconds_since, read, sleep};
use support::{Client, Host};
use xenstore::abi::DomId;
use xenstore::trace::Stop;
use xenstore::update::Bounds;

const MICROSECOND: u64 = 1000;

fn throttled(host: &mut Host, who: &str) -> u64 {
    stats(host, who)["throttled"].as_u64().expect("a number")
}

/// What happens `times` times to a server for which each look at the clock takes 5 us, while guest 11 keeps others company.
fn again(host: &mut Host, times: usize, mut happens: impl FnMut(&mut Host)) {
    for n in 0..times {
        host.xen.ticking = 5 * MICROSECOND;
        happens(host);
        host.poll();
        host.xen.ticking = 0;
        if n % 100 == 0 {
            host.ok(11, 0, "WRITE own|");
        }
    }
}

#[test]
fn who_tells_of_nothing_wakes_nobody_beyond_its_budget() {
    let mut host = host(10..12);
    // 8 ms at most, and so many looks at the clock: one for the event, and one for the end of it.
    again(&mut host, 2000, |host| host.xen.kick(DomId(10)));
    assert!(!host.xen.is_heard(DomId(10)) && host.xen.is_heard(DomId(11)));
    host.client(10).write(&read());
    host.xen.kick(DomId(10));
    host.poll();
    assert!(!is_taken(&mut host, 10));
    // It is served when its budget allows that, though its event has woken nobody.
    let begin = host.xen.now;
    while !is_taken(&mut host, 10) {
        sleep(&mut host);
        host.ok(11, 0, "WRITE own|");
    }
    assert!(host.xen.now > begin && host.xen.is_heard(DomId(10)));
    assert!(throttled(&mut host, "10") > 0 && throttled(&mut host, "11") == 0);
    host.hears(10, "EACCES");
    host.check();
}

#[test]
fn pieces_of_a_message_have_their_price() {
    let mut host = host(10..12);
    again(&mut host, 2000, |host| {
        let sent = host.client(10).page.req_prod.load(SeqCst) as usize;
        host.client(10).write(&[read()[sent % read().len()]]);
        host.xen.kick(DomId(10));
    });
    assert!(!host.xen.is_heard(DomId(10)));
    host.check();
}

/// Old kernels notify whenever they have read something, and it is others who make them read.
#[test]
fn who_tells_of_what_it_has_read_pays_nothing() {
    let mut host = host(10..12);
    host.expect(&[(10, 0, "WATCH own|t|", "OK|; ev own,t")]);
    for _ in 0..3000 {
        host.ok(0, 0, "WRITE /local/domain/10/own|");
        for bytes in [16, 1024] {
            host.client(10).read_some(bytes);
            again(&mut host, 1, |host| host.xen.kick(DomId(10)));
        }
    }
    assert_eq!(throttled(&mut host, "10"), 0);
    host.check();
}

/// The indexes of what it has to read are the guest's, which may set them to what it likes.
#[test]
fn who_reads_what_nobody_has_written_pays_for_it() {
    for written in [false, true] {
        let mut host = host(10..12);
        host.ask(10, 0, "READ own|");
        let page = host.client(10).page.clone();
        again(&mut host, 3000, |host| {
            let end = page.rsp_prod.load(SeqCst);
            if written {
                page.rsp_prod.store(end + 17, SeqCst);
                page.rsp_cons.store(end + 17, SeqCst);
            } else {
                page.rsp_cons.store(if page.rsp_cons.load(SeqCst) == end { end - 17 } else { end }, SeqCst);
            }
            host.xen.kick(DomId(10));
        });
        assert!(!host.xen.is_heard(DomId(10)), "{written}");
        host.check();
    }
}

/// A guest beyond its budget for whom more events wait than its ring has room for.
fn waiting() -> Host {
    let mut host = host(10..12);
    host.expect(&[(10, 0, "WATCH own|t|", "OK|; ev own,t")]);
    // By more than a millisecond, for which it waits a second and more.
    while host.xen.is_heard(DomId(10)) {
        poll_slowly(&mut host, 2000 * MICROSECOND);
        host.ok(11, 0, "WRITE own|");
    }
    (0..44).for_each(|n| host.ok(0, 0, &format!("WRITE /local/domain/10/own/{n}|")));
    assert!(host.xen.is_heard(DomId(10)));
    host
}

/// Guest 10 notifies a server for which each look at the clock takes so long.
fn poll_slowly(host: &mut Host, ticking: u64) {
    host.xen.kick(DomId(10));
    host.xen.ticking = ticking;
    host.poll();
    host.xen.ticking = 0;
}

#[test]
fn who_reads_byte_by_byte_is_not_heard_for_each() {
    let mut host = waiting();
    let mut heard = 0;
    for _ in 0..20 {
        heard += host.client(10).read_some(1).len();
        host.xen.kick(DomId(10));
        host.poll();
    }
    assert!(!host.xen.is_heard(DomId(10)));
    // It has all in the end, and no later than who is looked at each 10 ms.
    let begin = host.xen.now;
    while heard < 44 {
        heard += host.client(10).read_some(16).len();
        host.xen.kick(DomId(10));
        host.poll();
        if host.client(10).waiting() == 0 && heard < 44 {
            sleep(&mut host);
        }
    }
    assert!(milliseconds_since(&host, begin) <= 100);
    host.check();
}

#[test]
fn who_asks_for_a_reset_is_not_heard_beyond_its_budget() {
    let mut host = waiting();
    let page = host.client(10).page.clone();
    page.rsp_cons.store(page.rsp_prod.load(SeqCst), SeqCst);
    page.connection.store(1, SeqCst);
    host.xen.kick(DomId(10));
    host.poll();
    assert!(!host.xen.is_heard(DomId(10)));
    assert_eq!(host.client(10).waiting(), 0, "what is to be dropped is not sent");
    while page.connection.load(SeqCst) == 1 {
        sleep(&mut host);
        host.ok(11, 0, "WRITE own|");
    }
    assert!(host.xen.is_heard(DomId(10)));
    host.check();
}

#[test]
fn who_waits_for_its_budget_is_heard_while_it_reads() {
    let mut host = waiting();
    let mut heard = 0;
    while host.client(10).waiting() > 0 {
        heard += host.client(10).read().len();
        host.xen.kick(DomId(10));
        host.poll();
    }
    assert_eq!(heard, 44);
    assert!(!host.xen.is_heard(DomId(10)));
    host.check();
}

/// Milliseconds until a guest's request is served for which events wait, where to send it the last of them takes so long.
fn served_after(ticking: u64) -> u64 {
    let mut host = waiting();
    host.client(10).write(&read());
    host.client(10).read();
    poll_slowly(&mut host, ticking);
    let begin = host.xen.now;
    while !is_taken(&mut host, 10) {
        sleep(&mut host);
        host.ok(11, 0, "WRITE own|");
    }
    milliseconds_since(&host, begin)
}

#[test]
fn who_is_sent_something_beyond_its_budget_pays_for_that() {
    let (at_once, later) = (served_after(0), served_after(2000 * MICROSECOND));
    assert!(at_once > 1000 && later > at_once + 1900, "{at_once} ms, {later} ms");
}

/// A guest that is not heard beyond its budget, and whose ring is full of what it has to read.
fn with_a_full_ring() -> Host {
    let mut host = host(10..12);
    let token = "t".repeat(40);
    host.expect(&[(10, 0, &format!("WATCH own|{token}|"), &format!("OK|; ev own,{token}"))]);
    again(&mut host, 2000, |host| host.xen.kick(DomId(10)));
    // 16 events of 64 bytes fill it.
    (10..26).for_each(|n| host.ok(0, 0, &format!("WRITE /local/domain/10/own/{n}|")));
    assert!((host.client(10).waiting(), host.xen.is_heard(DomId(10))) == (1024, false));
    host
}

/// Of what its ring has no room for at all, nothing tells the client but that it is heard.
#[test]
fn who_has_a_full_ring_is_heard_when_something_waits() {
    let mut host = with_a_full_ring();
    host.ok(0, 0, "WRITE /local/domain/10/own/26|");
    assert!(host.xen.is_heard(DomId(10)));
    assert_eq!(host.client(10).read().len(), 16);
    host.xen.kick(DomId(10));
    host.poll();
    assert!(!host.xen.is_heard(DomId(10)));
    assert_eq!(host.client(10).read().len(), 1);
    host.check();
}

/// Its event may come before it is heard, and wakes nobody then.
#[test]
fn who_reads_as_soon_as_it_is_notified_has_all() {
    let mut host = with_a_full_ring();
    let (mut client, heard) = (Client::new(host.client(10).page.clone()), Rc::new(Cell::new(0)));
    let read = heard.clone();
    host.xen.meanwhile = Some(Box::new(move || read.set(read.get() + client.read().len())));
    host.xen.responds = Some((10, DomId(10)));
    host.ok(0, 0, "WRITE /local/domain/10/own/26|");
    assert_eq!(heard.get(), 17);
    host.check();
}

/// Who does not read what waits for it is not heard either.
#[test]
fn who_does_not_read_is_not_heard_beyond_its_budget() {
    let mut host = host(10..12);
    host.expect(&[(10, 0, "WATCH own|t|", "OK|; ev own,t")]);
    (0..44).for_each(|n| host.ok(0, 0, &format!("WRITE /local/domain/10/own/{n}|")));
    again(&mut host, 2000, |host| host.xen.kick(DomId(10)));
    assert!(!host.xen.is_heard(DomId(10)));
    // When it reads at last, it has all, if not at once.
    let mut heard = 0;
    while heard < 44 {
        heard += host.client(10).read().len();
        host.xen.kick(DomId(10));
        host.poll();
        if heard < 44 && host.client(10).waiting() == 0 {
            sleep(&mut host);
        }
    }
    host.check();
}

/// An image that takes over may not know of masks.
#[test]
fn all_are_heard_by_who_takes_over() {
    let mut host = host(10..12);
    host.xen.bounds = Some(Bounds { memory: 0..1 << 20, states: 1..=2, hand_over: 1 });
    again(&mut host, 2000, |host| host.xen.kick(DomId(10)));
    assert!(!host.xen.is_heard(DomId(10)));
    host.server.let_grow(1 << 30);
    host.server.have_memory();
    host.poll();
    assert!(host.server.grows() && host.xen.is_heard(DomId(10)));
}

#[test]
fn a_port_is_heard_whosever_it_was() {
    let mut host = host(10..12);
    again(&mut host, 2000, |host| host.xen.kick(DomId(10)));
    assert!(!host.xen.is_heard(DomId(10)));
    host.ok(0, 0, "RELEASE 10|");
    host.ok(0, 0, "INTRODUCE 10|1|6|");
    assert!(host.xen.is_heard(DomId(10)));
    assert_ne!(host.ask(10, 0, "READ own|"), "");
    host.check();
}

/// Whatever comes between, who has asked is served.
#[test]
fn who_is_not_heard_is_served_in_the_end() {
    type Named = (&'static str, fn(&mut Host));
    let deeds: [Named; 4] = [
        ("a fault", |host| assert!(host.server.survive(&mut host.xen, Stop::Panic(1)))),
        ("a repair", Host::repair),
        ("an update", |host| host.update(2)),
        ("another port", |host| host.ok(0, 0, "INTRODUCE 10|1|6|")),
    ];
    for (what, happens) in deeds {
        let mut host = host(10..12);
        again(&mut host, 2000, |host| host.xen.kick(DomId(10)));
        assert!(!host.xen.is_heard(DomId(10)), "{what}");
        happens(&mut host);
        host.client(10).write(&read());
        while !is_taken(&mut host, 10) {
            sleep(&mut host);
            host.ok(11, 0, "WRITE own|");
        }
        host.poll();
        assert!(host.xen.is_heard(DomId(10)), "{what}");
        host.check();
    }
}

#[test]
fn who_comes_after_one_that_was_not_heard_is_heard() {
    let mut host = host(10..12);
    again(&mut host, 2000, |host| host.xen.kick(DomId(10)));
    assert!(!host.xen.is_heard(DomId(10)));
    let ports = host.xen.open_ports();
    host.kill(10);
    host.boot(12);
    assert!(host.xen.open_ports() == ports && host.xen.is_heard(DomId(12)), "it has the port of the dead");
    host.expect(&[(12, 0, "WRITE own|", "OK|")]);
}
