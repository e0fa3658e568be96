//! Growth: when a store wants more memory, when it begins anew with that, and what its clients notice of it.

use std::cell::Cell;
use std::rc::Rc;

use support::{Client, Host, request};
use xenstore::abi::DomId;
use xenstore::config::{Capacities, Settings};
use xenstore::server::Way;
use xenstore::update::Bounds;
use xenstore::wire::{MessageType, TxId};

use crate::json::stats;

const SMALL: usize = 8192;

/// A small host that may grow.
fn host() -> Host {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(SMALL));
    host.server.let_grow(24 << 20);
    host
}

/// A store that has been given memory.
fn with_memory(mut host: Host) -> Host {
    assert!(host.server.wants_memory());
    host.server.have_memory();
    host.poll();
    host
}

/// Fills the nodes until more memory is wanted.
fn fill(host: &mut Host) -> usize {
    let filled = (0..SMALL).take_while(|n| {
        host.ok(0, 0, &format!("WRITE /n/{}/{n}|", n / 100));
        !host.server.wants_memory()
    });
    filled.count()
}

#[test]
fn memory_is_wanted_before_any_arena_is_full() {
    let large = "v".repeat(4000);
    let requests: [(&str, &dyn Fn(usize) -> String); 7] = [
        ("nodes", &|n| format!("WRITE /n/{}/{n}|", n / 100)),
        ("chunks", &|n| format!("WRITE /n/{n}|{large}")),
        ("permission lists", &|n| format!("SET_PERMS /|n0|r{n}|")),
        ("watches", &|n| format!("WATCH /|{n}|")),
        ("watched paths", &|n| format!("WATCH /{n}|t|")),
        ("transactions", &|_| "TRANSACTION_START |".into()),
        ("domains", &|n| format!("INTRODUCE {}|1|5|", n + 1)),
    ];
    for (kind, request) in requests {
        let mut host = host();
        // A list is there for as long as a node has it.
        let lists = kind == "permission lists";
        let wanted = (0..SMALL).find(|n| {
            if kind == "domains" {
                host.create(*n as u16 + 1);
            }
            if lists {
                host.ok(0, 0, &format!("WRITE /l/{n}|"));
            }
            let request = request(*n).replace("S /|", &format!("S /l/{n}|"));
            let answer = host.ask(0, 0, &request);
            assert!(!answer.starts_with('E'), "{kind}: {request} -> {answer}");
            host.server.wants_memory()
        });
        assert!(wanted.is_some_and(|n| n > 10), "{kind}: {wanted:?}");
        let [used, capacity] = level(&mut host, kind);
        assert!(used * 8 >= capacity * 5 && used * 4 < capacity * 3, "{kind}: {used} of {capacity}");
    }
}

/// Slots of this kind in use, and all.
fn level(host: &mut Host, kind: &str) -> [u32; 2] {
    let report = host.ask(0, 0, "CONTROL memreport|");
    let line = report.split("\\n").find(|line| line.contains(&format!(" {kind}, "))).expect("it is reported");
    let numbers: Vec<u32> = line.split([' ', ',']).filter_map(|word| word.parse().ok()).collect();
    [numbers[0], numbers[2]]
}

#[test]
fn a_store_that_cannot_grow_wants_nothing() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(SMALL));
    for n in 0..SMALL * 3 / 4 {
        host.ok(0, 0, &format!("WRITE /n/{}/{n}|", n / 100));
    }
    assert!(!host.server.wants_memory());
}

#[test]
fn memory_is_wanted_before_a_guest_is_refused_its_share() {
    let mut host = host();
    (1..=20).for_each(|domid| host.boot(domid));
    let mut n = 0;
    while !host.server.wants_memory() {
        n += 1;
        (1..=20).for_each(|domid| host.ok(domid, 0, &format!("WRITE n/{n}|")));
        assert!(n < 1000, "the quota comes first");
    }
    let [used, capacity] = level(&mut host, "nodes");
    assert!(used * 8 < capacity * 5, "it was the share: {used} of {capacity}");
    // Nor is it refused soon after that.
    for n in n + 1..n + n / 8 {
        (1..=20).for_each(|domid| host.ok(domid, 0, &format!("WRITE n/{n}|")));
    }
}

/// What is promised to guests that do nothing leaves others no more than their own, long before an arena is filled.
#[test]
fn memory_is_wanted_when_a_guest_is_refused_what_is_promised_to_others() {
    let mut host = Host::with(Settings::DEFAULT, &Capacities::for_nodes(5 * SMALL));
    host.server.let_grow(24 << 20);
    (1..=120).for_each(|domid| host.boot(domid));
    (0..40).for_each(|n| host.ok(0, 0, &format!("WRITE /{n}|")));
    assert!(!host.server.wants_memory());
    host.expect(&[(1, 0, "TRANSACTION_START |", "1|")]);
    let refused = (0..100).find(|n| host.ask(1, 1, &format!("WRITE n/{n}|")) == "ENOMEM");
    let [used, capacity] = level(&mut host, "transaction nodes");
    assert!(refused.is_some() && used * 4 < capacity, "{refused:?}, {used} of {capacity}");
    (0..40).for_each(|n| host.ok(0, 0, &format!("WRITE /m/{n}|")));
    assert!(host.server.wants_memory());
}

#[test]
fn a_refusal_is_followed_by_another_request_a_minute_later() {
    let mut host = host();
    fill(&mut host);
    host.server.have_no_memory(true);
    assert!(!host.server.wants_memory());
    for (seconds, wants) in [(59, false), (1, true)] {
        host.xen.pass(seconds);
        (0..40).for_each(|n| host.ok(0, 0, &format!("WRITE /{seconds}/{n}|")));
        assert_eq!(host.server.wants_memory(), wants, "after {seconds} s");
    }
    host.server.have_no_memory(false);
    host.xen.pass(1000);
    (0..40).for_each(|n| host.ok(0, 0, &format!("WRITE /last/{n}|")));
    assert!(!host.server.wants_memory(), "what has failed is not tried again");
}

#[test]
fn nothing_open_is_not_waited_for() {
    let mut host = host();
    fill(&mut host);
    let host = with_memory(host);
    assert!(host.server.grows() && host.server.is_to_be_replaced());
    assert!(host.server.order(&host.xen).is_none());
}

/// What the statistics say of growth: times that it grew, and that it could not.
fn told(host: &mut Host) -> [u64; 2] {
    let stats = stats(host, "totals");
    ["growths", "growth-refused"]
        .map(|name| stats[name].as_u64().unwrap_or_else(|| panic!("no {name}: {stats}")))
}

#[test]
fn growths_and_refusals_are_counted_and_outlive_growth_and_updates() {
    let mut host = host();
    fill(&mut host);
    host.server.have_no_memory(true);
    assert_eq!(told(&mut host), [0, 1]);
    assert_eq!(stats(&mut host, "totals")["ram-limit-kib"], 24 << 10);
    host.server.have_memory();
    host.poll();
    let handed = host.server.handed();
    host.update_to(&Capacities::for_nodes(2 * SMALL));
    host.server.take_up(&mut host.xen, handed, 5, Way::Grown);
    assert_eq!(told(&mut host), [1, 1]);
    host.update(2);
    assert_eq!(told(&mut host), [1, 1]);
    // What has failed with more memory is none.
    host.server.have_no_memory(false);
    assert_eq!(told(&mut host), [1, 1]);
}

/// A host that has memory, where domain 5 has transaction 1 open.
fn waiting() -> Host {
    let mut host = host();
    host.boot(5);
    host.boot(6);
    assert_eq!(host.start(5), 1);
    fill(&mut host);
    with_memory(host)
}

#[test]
fn open_transactions_are_waited_for_and_none_begins() {
    let mut host = waiting();
    assert!(!host.server.grows());
    host.expect(&[
        (6, 0, "TRANSACTION_START |", ""),
        (0, 0, "WRITE /a|b|", "OK|"),
        (5, 1, "WRITE a|b|", "OK|"),
        (5, 1, "TRANSACTION_END T|", "OK|"),
    ]);
    assert!(host.server.grows());
    // What was put off begins in the larger store.
    let handed = host.server.handed();
    host.update_to(&Capacities::for_nodes(2 * SMALL));
    host.server.take_up(&mut host.xen, handed, 5, Way::Grown);
    assert!(host.server.trace().last(3).any(|record| record.to_string() == "grown after 5 us"));
    host.poll();
    host.hears(6, "1|");
    host.expect(&[(6, 1, "WRITE a|b|", "OK|"), (6, 1, "TRANSACTION_END T|", "OK|"), (5, 0, "READ a|", "b|")]);
    assert_eq!(level(&mut host, "nodes")[1] as usize, 2 * SMALL);
    assert_eq!(host.server.handed().updates, 0, "it is no update");
}

#[test]
fn they_are_given_up_after_five_seconds() {
    let mut host = waiting();
    for (seconds, grows) in [(4, false), (1, true)] {
        host.xen.pass(seconds);
        host.poll();
        assert_eq!(host.server.grows(), grows);
    }
}

#[test]
fn a_store_that_is_nearly_full_waits_for_nobody() {
    let mut host = waiting();
    let [used, capacity] = level(&mut host, "nodes");
    for n in 0..capacity - used {
        host.ok(0, 0, &format!("WRITE /more/{n}|"));
        if host.server.grows() {
            return;
        }
    }
    panic!("dom0 has filled it");
}

#[test]
fn a_store_that_cannot_begin_anew_serves_on() {
    let mut host = waiting();
    host.expect(&[(6, 0, "TRANSACTION_START |", ""), (5, 1, "TRANSACTION_END T|", "OK|")]);
    host.server.refuse(&mut host.xen, format_args!("no"));
    assert!(!host.server.is_to_be_replaced() && !host.server.wants_memory());
    host.poll();
    host.hears(6, "1|");
    host.expect(&[(6, 1, "TRANSACTION_END T|", "OK|"), (5, 0, "TRANSACTION_START |", "2|")]);
}

/// Whoever begins a transaction waits for each try with memory, for none without.
#[test]
fn memory_that_is_too_little_is_asked_for_ever_more_seldom() {
    let mut host = host();
    fill(&mut host);
    let mut look = 0;
    let mut wants = |host: &mut Host, seconds: u64| {
        host.xen.pass(seconds);
        look += 1;
        (0..40).for_each(|n| host.ok(0, 0, &format!("WRITE /some/{look}/{n}|")));
        host.server.wants_memory()
    };
    for minutes in [1, 2, 4, 8, 16, 32, 64, 64] {
        host.server.have_memory();
        host.poll();
        assert!(host.server.grows());
        host.server.refuse(&mut host.xen, format_args!("no"));
        assert!(!wants(&mut host, minutes * 60 - 1), "sooner than after {minutes} minutes");
        assert!(wants(&mut host, 1), "not after {minutes} minutes");
    }
    for _ in 0..2 {
        host.server.have_no_memory(true);
        assert!(!wants(&mut host, 59), "sooner than after a minute, where there was none");
        assert!(wants(&mut host, 1), "not after a minute, where there was none");
    }
    assert_eq!(told(&mut host), [0, 10]);
}

#[test]
fn an_operators_update_goes_first() {
    // Before the platform is asked, and when it has been.
    for given in [false, true] {
        let mut host = host();
        host.xen.bounds = Some(Bounds { memory: 0..1 << 20, states: 1..=2, hand_over: 1 });
        fill(&mut host);
        if given {
            host = with_memory(host);
        }
        host.ok(0, 0, "CONTROL live-update|-b|1000|");
        assert!(!host.server.wants_memory() && !host.server.is_to_be_replaced());
        host.ok(0, 0, "CONTROL live-update|-a|");
        assert_eq!((host.server.wants_memory(), host.server.grows()), (!given, given));
    }
}

/// Nobody is told of a transaction that has not begun.
#[test]
fn what_an_update_has_put_off_waits_on_for_a_growth() {
    let mut host = waiting();
    host.xen.bounds = Some(Bounds { memory: 0..1 << 20, states: 1..=2, hand_over: 1 });
    host.expect(&[(0, 0, "CONTROL live-update|-b|1000|", "OK|"), (6, 0, "TRANSACTION_START |", "")]);
    // The tool has been killed.
    host.xen.pass(30);
    host.poll();
    assert_eq!(host.server.handed().put_off.len(), 1);
    host.poll();
    assert!(host.server.grows());
    host.server.refuse(&mut host.xen, format_args!("no"));
    host.poll();
    host.hears(6, "1|");
}

#[test]
fn a_state_that_an_operator_fetches_is_waited_for() {
    let mut host = host();
    host.xen.bounds = Some(Bounds { memory: 0..1 << 20, states: 1..=2, hand_over: 1 });
    // Of nodes there are few, so that there is room for it.
    let watches = (0..SMALL).take_while(|n| {
        host.ask(0, 0, &format!("WATCH /|{n}|"));
        !host.server.wants_memory()
    });
    assert!(watches.count() > 100);
    assert!(!host.ask(0, 0, "CONTROL state|dump|").contains("memory"));
    let mut host = with_memory(host);
    assert!(!host.server.grows());
    host.xen.pass(5);
    host.poll();
    assert!(host.server.grows());
}

#[test]
fn a_fault_amid_growth_is_the_last_try() {
    let mut host = host();
    fill(&mut host);
    let mut host = with_memory(host);
    assert!(host.server.survive(&mut host.xen, xenstore::trace::Stop::Panic(1)));
    assert!(!host.server.is_to_be_replaced());
    assert_eq!(told(&mut host), [0, 0], "there was memory");
    host.xen.pass(1000);
    (0..40).for_each(|n| host.ok(0, 0, &format!("WRITE /last/{n}|")));
    assert!(!host.server.wants_memory());
}

#[test]
fn clients_that_always_ask_do_not_keep_it_from_growing() {
    let mut host = host();
    host.boot(5);
    host.boot(6);
    fill(&mut host);
    host.server.have_memory();
    // Each time that the server looks, both have asked again.
    let bytes = request(MessageType::Read as u32, 7, TxId(0), b"/local\0");
    let mut clients = [5, 6].map(|domid| Client::new(host.client(domid).page.clone()));
    let asked = Rc::new(Cell::new(0));
    let (seen, limit) = (asked.clone(), 10_000);
    host.xen.on_look = Some(Box::new(move || {
        for client in &mut clients {
            if seen.get() < limit && client.write(&bytes) == bytes.len() {
                seen.set(seen.get() + 1);
            }
            while client.waiting() > 0 {
                client.read();
            }
        }
    }));
    host.xen.kick(DomId(5));
    host.xen.kick(DomId(6));
    host.server.poll(&mut host.xen);
    assert!(host.server.grows() && asked.get() < limit, "{} requests came before", asked.get());
}

/// Who begins anew does not know who was to be notified.
#[test]
fn all_have_been_notified_when_it_begins_anew() {
    let mut host = host();
    host.expect(&[(0, 0, "WRITE /shared|", "OK|"), (0, 0, "SET_PERMS /shared|b0|", "OK|")]);
    for guest in 10..42 {
        host.boot(guest);
        host.expect(&[(guest, 0, "WATCH /shared|t|", "OK|; ev /shared,t")]);
    }
    fill(&mut host);
    host.server.have_memory();
    host.xen.notified_in_order.clear();
    host.send(10, 0, "WRITE /shared|new");
    // dom0 asks as soon as one has been notified.
    host.client(0).write(&request(MessageType::Read as u32, 7, TxId(0), b"/tool\0"));
    host.xen.responds = Some((11, DomId(0)));
    host.poll();
    assert!(host.server.grows());
    let told: std::collections::BTreeSet<u16> = host.xen.notified_in_order.iter().copied().collect();
    assert!((10..42).all(|guest| told.contains(&guest)), "{told:?}");
}

/// Memory that is lent while a layer is written is not in use.
#[test]
fn no_memory_is_wanted_for_what_is_lent_for_a_moment() {
    let mut host = host();
    (0..SMALL / 3).for_each(|n| host.ok(0, 0, &format!("WRITE /n/{}/{n}|", n / 100)));
    for n in 0..40 {
        let answer = host.ask(0, 0, "CONTROL layers|diff|all|");
        assert!(answer.starts_with("# xenstore-layer "), "{answer}");
        assert!(!host.server.wants_memory(), "{n}");
        // Looks come at other moments of the next.
        let requests = ["WRITE /n|", "MKDIR /new|", "RM /new|"];
        (0..n).for_each(|n| host.ok(0, 0, requests[n % 3]));
    }
}

/// A growth that is refused does not hand out other bytes to who fetches a state: that is held no more.
#[test]
fn a_refused_growth_ends_what_is_being_fetched() {
    let mut host = host();
    (0..200).for_each(|n| host.ok(0, 0, &format!("WRITE /n/{n}|{n}")));
    let first = host.ask(0, 0, "CONTROL state|dump|");
    let number = first.split("number=").nth(1).and_then(|rest| rest.split(' ').next()).expect(&first);
    let next = format!("CONTROL state|dump|{number}|2952|");
    assert!(host.ask(0, 0, &next).contains("first=2952"));
    host.server.have_memory();
    host.poll();
    assert!(!host.server.grows());
    host.xen.pass(5);
    host.poll();
    assert!(host.server.grows());
    host.server.refuse(&mut host.xen, format_args!("no"));
    host.poll();
    host.expect(&[(0, 0, &next, "The state is not held any more.|")]);
    host.check();
}

/// Nor for what is held for an operator, or for the image that is sent.
#[test]
fn no_memory_is_wanted_for_what_is_lent_to_an_operator() {
    for request in ["CONTROL state|dump|", "CONTROL live-update|-b|250000|"] {
        let mut host = host();
        host.xen.bounds = Some(Bounds { memory: 0..1 << 20, states: 1..=2, hand_over: 1 });
        (0..SMALL * 3 / 7).for_each(|n| host.ok(0, 0, &format!("WRITE /n/{}/{n}|", n / 100)));
        let [used, capacity] = level(&mut host, "nodes");
        let answer = host.ask(0, 0, request);
        assert!(!answer.contains("memory"), "{request}: {answer}");
        let [_, left] = level(&mut host, "nodes");
        assert!(left < capacity && used * 8 >= left * 5, "{request}: {used} of {left}");
        (0..40).for_each(|n| host.ok(0, 0, &format!("WRITE /more/{n}|")));
        // Nobody asks for more.
        host.xen.pass(30);
        host.poll();
        assert_eq!(level(&mut host, "nodes")[1], capacity, "{request}");
        assert!(!host.server.wants_memory(), "{request}");
    }
}

/// What is lent is no reason to grow, nor to forget one.
#[test]
fn a_guest_that_was_refused_while_something_was_lent_is_not_forgotten() {
    let large = "v".repeat(1900);
    for (kind, value, each) in [("nodes", "", 100), ("chunks", &large, 40)] {
        let mut host = host();
        host.xen.bounds = Some(Bounds { memory: 0..1 << 20, states: 1..=2, hand_over: 1 });
        (1..=8).for_each(|domid| host.boot(domid));
        (0..SMALL * 3 / 7).for_each(|n| host.ok(0, 0, &format!("WRITE /n/{}/{n}|", n / 100)));
        assert!(!host.ask(0, 0, "CONTROL live-update|-b|250000|").contains("memory"), "{kind}");
        let mut all = (1..=8).flat_map(|guest| (0..each).map(move |n| (guest, n)));
        let refused = all.any(|(guest, n)| host.ask(guest, 0, &format!("WRITE n/{n}|{value}")) == "ENOMEM");
        assert!(refused, "{kind}");
        (0..40).for_each(|n| host.ok(0, 0, &format!("WRITE /more/{n}|")));
        assert!(!host.server.wants_memory(), "{kind}");
        // Nobody asks for more.
        host.xen.pass(30);
        host.poll();
        (0..40).for_each(|n| host.ok(0, 0, &format!("WRITE /later/{n}|")));
        assert_eq!(host.server.wants_memory(), kind != "nodes", "{kind}");
    }
}
