//! What is left of a fault: its request is answered with EIO, all others are served, and it is told of. Who has it happen
//! twice is given up.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;

use crate::json::stats;
use crate::stops::{expect_stops, poll_with_stop};
use crate::update::waiting;
use support::{Host, request};
use xenstore::abi::{DomId, RingError};
use xenstore::config::{Capacities, Settings};
use xenstore::platform::Fault;
use xenstore::store::Damage;
use xenstore::trace::{Kind, Stop};
use xenstore::wire::{MessageType, TxId};

fn host() -> Host {
    let mut host = Host::with(Settings::DEFAULT, &Capacities { trace: 4096, ..Capacities::for_nodes(8192) });
    for domid in [1, 2] {
        host.boot(domid);
        host.ok(domid, 0, "WRITE data|value");
    }
    host
}

/// The server works, is stopped by a fault in the nth operation on its slots, and goes on.
fn poll_with_fault(host: &mut Host, n: u32) {
    expect_stops();
    host.server.stop_in(n);
    assert!(catch_unwind(AssertUnwindSafe(|| host.poll())).is_err(), "there is no fault");
    host.server.stop_in(0);
    assert!(host.server.survive(&mut host.xen, Stop::Exception(14)), "it has left something wrong");
    host.poll();
}

/// A domain asks, and there is a fault in it.
fn ask_with_fault(host: &mut Host, domid: u16, request: &str) -> String {
    host.send(domid, 0, request);
    poll_with_fault(host, 1);
    host.received(domid)
}

#[test]
fn faults_on_purpose_are_had_only_where_they_are_allowed() {
    let mut host = host();
    host.expect(&[
        (0, 0, "CONTROL fault|panic|", "EACCES"),
        (1, 0, "CONTROL fault|panic|", "EACCES"),
        (0, 0, "CONTROL fault|", "EINVAL"),
        (0, 0, "CONTROL fault|stack|", "EINVAL"),
        (0, 0, "CONTROL fault|panic|now|", "EINVAL"),
    ]);
    let help = host.ask(0, 0, "CONTROL help|");
    assert!(help.contains("fault           panic|page|loop|damage\\n"), "{help}");
    host.server.allow_faults(|fault| panic!("{}", if fault == Fault::Loop { "stopped" } else { "another" }));
    expect_stops();
    host.expect(&[(1, 0, "CONTROL fault|loop|", "EACCES")]);
    host.send(0, 0, "CONTROL fault|loop|");
    assert!(catch_unwind(AssertUnwindSafe(|| host.poll())).is_err());
    assert!(host.server.survive(&mut host.xen, Stop::Endless));
    host.poll();
    host.hears(0, "EIO");
    assert_eq!(stats(&mut host, "totals")["restarts"], 1);
    host.check();
}

#[test]
fn a_fault_costs_its_request_and_is_told_of() {
    let mut host = host();
    host.send(2, 0, "WRITE data|second");
    host.send(1, 0, "WRITE data|other");
    // Domain 2 was first.
    poll_with_fault(&mut host, 1);
    host.hears(2, "EIO");
    host.hears(1, "OK|");
    host.expect(&[(2, 0, "READ data|", "value"), (1, 0, "READ data|", "other")]);
    let told = |host: &Host, kind| {
        let records = host.server.trace().from(0).filter(|record| record.kind == kind);
        records.map(|record| record.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(told(&host, Kind::Fault), ["d2 fault: exception 14, in WRITE"]);
    assert_eq!(told(&host, Kind::Recovered), ["recovered in 0 cycles"]);
    assert_eq!(stats(&mut host, "totals")["restarts"], 1);
    let text = host.ask(0, 0, "CONTROL stats|");
    assert!(text.contains("restarts         :        1\\n"), "{text}");
    // Between requests it is nobody's.
    host.xen.kill(DomId(2));
    poll_with_fault(&mut host, 1);
    assert_eq!(told(&host, Kind::Fault)[1..], ["fault: exception 14"]);
    host.expect(&[(0, 0, "IS_DOMAIN_INTRODUCED 2|", "F|")]);
}

/// Whether a guest is still served.
fn is_heard(host: &mut Host, domid: u16) -> bool {
    host.ask(domid, 0, "READ data|") == "value"
}

#[test]
fn who_has_the_same_fault_twice_is_given_up() {
    let mut host = host();
    let (write, make) = ("WRITE data|other", "MKDIR made|");
    // Another's, another request, or one much later is another case.
    for (who, request) in [(1, write), (2, write), (1, make)] {
        assert_eq!(ask_with_fault(&mut host, who, request), "EIO");
    }
    host.xen.pass(11);
    assert_eq!(ask_with_fault(&mut host, 2, write), "EIO");
    assert!(is_heard(&mut host, 1) && is_heard(&mut host, 2));
    // What comes between is no excuse.
    for (who, request) in [(1, write), (2, make)] {
        host.xen.pass(61);
        for request in [request, "MKDIR other|", request] {
            assert_eq!(ask_with_fault(&mut host, who, request), "EIO");
        }
        assert!(!is_heard(&mut host, who));
    }
}

#[test]
fn only_its_own_connection_is_given_up() {
    let mut host = host();
    let request = "WRITE data|other";
    host.expect(&[(1, 0, "WATCH data|t|", "OK|; ev data,t")]);
    assert_eq!(ask_with_fault(&mut host, 1, request), "EIO");
    assert_eq!(ask_with_fault(&mut host, 1, request), "EIO");
    assert_eq!(host.client(1).page.error.load(SeqCst), RingError::Proto as u32);
    assert_eq!(host.server.usage(DomId(1)).map(|usage| usage.watches), Some(0));
    assert!(!is_heard(&mut host, 1) && is_heard(&mut host, 2));
    host.expect(&[(0, 0, "IS_DOMAIN_INTRODUCED 1|", "T|"), (0, 0, "READ /local/domain/1/data|", "value")]);
    // dom0 would never come back.
    for _ in 0..3 {
        assert_eq!(ask_with_fault(&mut host, 0, "WRITE /local/domain/1/data|new"), "EIO");
    }
    host.expect(&[(0, 0, "READ /local/domain/1/data|", "value")]);
    // Its successor is another.
    host.kill(1);
    host.boot(1);
    assert_eq!(ask_with_fault(&mut host, 1, request), "EIO");
    host.ok(1, 0, request);
}

/// What the check finds wrong is put right through the state: all that clients can see stays.
#[test]
fn damage_is_repaired_through_the_state() {
    for what in Damage::ALL {
        let mut host = host();
        host.expect(&[
            (1, 0, "WATCH data|t|", "OK|; ev data,t"),
            (0, 0, "SET_QUOTA 2|nodes|30|", "OK|"),
            (0, 0, "CONTROL trace|mark|before|", "OK|"),
        ]);
        let dump = |host: &mut Host| {
            ["data", "data/a", "data/b"].map(|path| host.ask(0, 0, &format!("READ /local/domain/1/{path}|")))
        };
        host.expect(&[
            (1, 0, "WRITE data/a|1", "ev data/a,t; OK|"),
            (1, 0, "WRITE data/b|2", "ev data/b,t; OK|"),
        ]);
        let before = dump(&mut host);
        host.server.damage(DomId(1), what);
        // One request is stopped, and another waits.
        host.send(2, 0, "WRITE data|second");
        host.send(1, 0, "WRITE data/a|other");
        expect_stops();
        host.server.stop_in(1);
        assert!(catch_unwind(AssertUnwindSafe(|| host.poll())).is_err(), "there is no fault");
        host.server.stop_in(0);
        assert!(!host.server.survive(&mut host.xen, Stop::Panic(1)), "{what:?}: nothing is found");
        host.repair();
        host.hears(2, "EIO");
        host.hears(1, "ev data/a,t; OK|");
        assert_eq!(dump(&mut host)[2], before[2]);
        host.expect(&[
            (2, 0, "READ data|", "value"),
            (0, 0, "READ /local/domain/1/data/a|", "other"),
            (0, 0, "GET_QUOTA 2|nodes|", "30|"),
            (2, 0, "WRITE data|second", "OK|"),
            (0, 0, "CONTROL check|", "OK|"),
        ]);
        assert_eq!(stats(&mut host, "totals")["restarts"], 1);
        let told = host.server.trace().last(u64::MAX).map(|record| record.to_string()).collect::<Vec<_>>();
        for record in ["fault: panic in line 1, in WRITE", "repaired after 7 us"] {
            assert!(told.iter().any(|line| line.ends_with(record)), "{what:?}: no {record} in {told:#?}");
        }
        host.kill(1);
        host.expect(&[(0, 0, "IS_DOMAIN_INTRODUCED 1|", "F|")]);
    }
}

/// `fault damage` leaves a sum wrong and panics.
#[test]
fn damage_can_be_had_on_purpose() {
    let mut host = host();
    host.expect(&[(0, 0, "CONTROL fault|damage|", "EACCES"), (0, 0, "CONTROL check|", "OK|")]);
    host.server.allow_faults(|_| panic!("stopped"));
    expect_stops();
    host.send(0, 0, "CONTROL fault|damage|");
    assert!(catch_unwind(AssertUnwindSafe(|| host.poll())).is_err());
    assert!(!host.server.survive(&mut host.xen, Stop::Panic(1)));
    host.repair();
    host.hears(0, "EIO");
    host.check();
}

/// How often guest 1 has others looked at while a tree of its own is removed.
fn looks_amid_a_removal(host: &mut Host) -> u32 {
    (0..200).for_each(|n| host.ok(1, 0, &format!("WRITE data/t/{}/{n}|x", n % 8)));
    let looks = Rc::new(Cell::new(0));
    let counted = looks.clone();
    host.xen.on_look = Some(Box::new(move || counted.set(counted.get() + 1)));
    host.send(1, 0, "RM data/t|");
    host.poll();
    host.xen.on_look = None;
    host.hears(1, "OK|");
    looks.get()
}

#[test]
fn large_changes_go_on_as_before() {
    let mut host = host();
    let before = looks_amid_a_removal(&mut host);
    assert!(host.server.survive(&mut host.xen, Stop::Panic(1)));
    host.poll();
    assert_eq!(looks_amid_a_removal(&mut host), before);
}

/// What a client has sent half of is not of the earlier request that it is answered just now.
#[test]
fn half_a_request_is_completed_after_a_fault_in_the_answer_to_an_earlier_one() {
    for n in 1.. {
        let mut host = waiting("");
        host.expect(&[(6, 0, "TRANSACTION_START |", "")]);
        let read = request(MessageType::Read as u32, 7, TxId(0), b"none\0");
        let (first, rest) = read.split_at(18);
        host.push(6, first);
        host.poll();
        host.send(0, 0, "CONTROL live-update|-a|");
        let stopped = poll_with_stop(&mut host, n);
        host.ask(0, 0, "CONTROL live-update|-a|");
        host.push(6, rest);
        host.poll();
        let told = host.received(6);
        assert!(told == "1|; ENOENT" || told == "EIO; ENOENT", "stopped in {n}: {told}");
        if !stopped {
            break;
        }
    }
}
