//! Who is notified when: dom0 before guests, and others' turns between.

use support::{Client, Host};
use xenstore::abi::DomId;

use crate::service::{host, read};

/// All of these guests hear of what guest 10 writes.
fn neighbours() -> Host {
    let mut host = host(10..42);
    host.expect(&[(0, 0, "WRITE /shared|", "OK|"), (0, 0, "SET_PERMS /shared|b0|", "OK|")]);
    for guest in 10..42 {
        host.expect(&[(guest, 0, "WATCH /shared|t|", "OK|; ev /shared,t")]);
    }
    host.xen.notified_in_order.clear();
    host
}

/// How many were notified before dom0 was, of all.
fn notified_before_dom0(host: &Host) -> (usize, usize) {
    let order = &host.xen.notified_in_order;
    (order.iter().position(|who| *who == 0).expect("dom0 is notified"), order.len())
}

#[test]
fn dom0_does_not_wait_for_all_who_are_notified() {
    let mut host = neighbours();
    host.send(10, 0, "WRITE /shared|new");
    host.client(0).write(&read());
    // Who is notified may run, and meanwhile dom0 asks.
    host.xen.responds = Some((11, DomId(0)));
    host.poll();
    let (before, all) = notified_before_dom0(&host);
    assert_eq!(all, 33);
    assert!(before <= 2, "{before} of {all} were notified before dom0");
    host.hears(0, "ENOENT");
    host.check();
}

#[test]
fn dom0_is_notified_first_of_all() {
    let mut host = neighbours();
    host.send(10, 0, "WRITE /shared|new");
    host.client(0).write(&read());
    // dom0 asks while the first guest has its turn, with others ready or not.
    for also in [false, true] {
        host.xen.notified_in_order.clear();
        host.xen.ticking = 1;
        host.xen.alarms.push((host.xen.now.after_nanoseconds(2), DomId(0)));
        if also {
            host.send(10, 0, "WRITE /shared|newer");
            host.send(11, 0, "READ /shared|");
            host.client(0).write(&read());
        }
        host.poll();
        let (before, all) = notified_before_dom0(&host);
        assert_eq!((before, all), (0, 33), "others are ready: {also}");
    }
    host.check();
}

#[test]
fn dom0_is_notified_of_what_happens_while_others_are() {
    let mut host = neighbours();
    host.expect(&[(0, 0, "WATCH @releaseDomain|d|", "OK|; ev @releaseDomain,d")]);
    host.xen.notified_in_order.clear();
    host.send(10, 0, "WRITE /shared|new");
    host.xen.dies = Some((20, DomId(41)));
    host.poll();
    // All but the dead one.
    assert_eq!(notified_before_dom0(&host).1, 32);
    host.hears(0, "ev @releaseDomain,d");
    // And of what it asks from then on.
    host.xen.notified_in_order.clear();
    host.send(0, 0, "READ /tool|");
    host.poll();
    assert_eq!(host.xen.notified_in_order, [0]);
    host.check();
}

#[test]
fn a_burial_that_begins_while_others_are_notified_is_not_left_half_done() {
    let mut host = neighbours();
    host.expect(&[(0, 0, "WATCH @releaseDomain|d|", "OK|; ev @releaseDomain,d")]);
    // More than goes at once.
    (0..400).for_each(|n| host.ok(41, 0, &format!("WRITE {n}|")));
    host.send(10, 0, "WRITE /shared|new");
    host.xen.dies = Some((20, DomId(41)));
    host.poll();
    assert!(host.client(0).waiting() > 0, "dom0 hears of it before the server sleeps");
    host.hears(0, "ev @releaseDomain,d");
    host.hears(10, "ev /shared,t; OK|");
    host.check();
}

#[test]
fn all_are_notified_while_dom0_never_stops_asking() {
    let mut host = neighbours();
    host.send(10, 0, "WRITE /shared|new");
    let mut dom0 = Client::new(host.client(0).page.clone());
    let mut left = 100;
    host.send(0, 0, "READ /tool|");
    // Whenever somebody is notified, dom0 has read its answer and asked anew.
    host.xen.meanwhile = Some(Box::new(move || {
        dom0.read();
        if left > 0 && dom0.unread() == 0 {
            left -= 1;
            dom0.write(&read());
        }
    }));
    host.poll();
    let order = &host.xen.notified_in_order;
    let asked = order.iter().filter(|who| **who == 0).count();
    let last = (10..42).map(|guest| order.iter().position(|who| *who == guest)).max().flatten();
    assert!(asked >= 50, "dom0 asks {asked} times");
    assert!(last.is_some_and(|last| last < 80), "{order:?}");
    host.check();
}

#[test]
fn the_rest_of_a_long_answer_takes_one_turn() {
    let mut host = host(10..11);
    host.ok(0, 0, &format!("WRITE /long|{}", "v".repeat(1500)));
    host.send(0, 0, "READ /long|");
    host.poll();
    assert!(host.client(0).read_some(1024).is_empty());
    host.xen.kick(DomId(0));
    let begun = host.xen.now;
    host.xen.ticking = 1;
    host.poll();
    // A reading of the clock may be a call of the hypervisor: there is one for the wake-up.
    assert_eq!(host.xen.now.0 - begun.0, 1);
    assert_eq!(host.client(0).read().len(), 1);
    host.check();
}
